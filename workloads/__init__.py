"""What a step of a pipeline does, whoever runs it: one workload a file.

A workload reads artifacts of a run, calls a room that knows how, and writes artifacts. Its `step(run, ...)` is what a
component calls; it records the step under the run's folder.
"""
