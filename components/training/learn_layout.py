"""Learn layout: learn Home's layout policy from the collected log; it serves if it is no worse."""

from kfp.dsl import Dataset, Input

from components.base import component


@component
def learn_layout(config: dict, ingested: Input[Dataset]) -> bool:
    """Learn a layout policy from the run's log, judge it off-policy, and return whether it serves."""
    from pathlib import Path

    from workloads.run import Run
    from workloads.training import learn_layout

    return learn_layout.step(Run.now(config), Path(ingested.path))
