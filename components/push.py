"""Push: copy the models into the store that the server watches, all of them or none."""

from kfp.dsl import Dataset, Input, Model

from components.base import component


@component
def push(
    config: dict,
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
    requests: Input[Dataset],
    reference: Input[Dataset],
    window: Input[Dataset],
) -> int:
    """Push one new version of all models, after the references that later runs are compared with."""
    from pathlib import Path

    from workloads import push
    from workloads.run import Run, paths

    models = paths(retrieval=retrieval, ranking=ranking, sequence=sequence)
    files = (Path(artifact.path) for artifact in (reference, window))
    return push.step(Run.now(config), models, Path(requests.path), *files)
