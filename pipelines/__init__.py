"""The pipelines, which only wire components, and the runners on this machine and on a cluster."""

import importlib
from collections.abc import Iterator
from typing import Any

PIPELINES = {
    "training": "pipelines.training:training",
    "monitoring": "pipelines.monitoring:monitoring",
    "search": "pipelines.search:search",
}


def load(target: str) -> Any:
    """Import the pipeline that `module:name` names."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


def steps(name: str) -> list[str]:
    """Return the steps of a pipeline in the order in which a full run ends them, from its compiled specification.

    The trials of a search are left out, because their number is known only when the search runs.
    """
    spec = load(PIPELINES[name]).pipeline_spec
    return [*_tasks(spec, spec.root.dag)]


def _tasks(spec: Any, dag: Any) -> Iterator[str]:
    """Yield the executable tasks of a DAG, each after the tasks that it depends on; loops are left out."""
    pending = dict(sorted(dag.tasks.items()))  # the order of `pipelines.local.keep_one_order`
    while pending:
        ready = next(key for key, task in pending.items() if not set(task.dependent_tasks) & set(pending))
        task = pending.pop(ready)
        component = spec.components[task.component_ref.name]
        if component.executor_label:
            yield ready
        elif not task.HasField("parameter_iterator"):
            yield from _tasks(spec, component.dag)
