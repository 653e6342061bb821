"""The work of each step of a pipeline, without the pipeline: each module holds one workload.

A workload reads artifacts of a run, calls a domain package, and writes artifacts. A component calls its
`step(run, ...)`, which also records the step in the run's folder.
"""
