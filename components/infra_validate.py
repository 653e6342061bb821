"""Infra-validate: load the candidates in the model server and answer real requests."""

from kfp.dsl import Dataset, Input, Model

from components.base import component


@component
def infra_validate(
    home: str,
    run_id: str,
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
) -> bool:
    """Whether the model server can load and serve the candidates."""
    from components.step import step

    with step(home, run_id, "infra-validate") as result:
        from pathlib import Path

        from models.config import TrainingConfig
        from models.workloads import sample_requests
        from serving.infra_validation import validate

        models = {"retrieval": Path(retrieval.path), "ranking": Path(ranking.path), "sequence": Path(sequence.path)}
        seed = TrainingConfig.from_dict(config).seed
        requests = sample_requests(Path(training_set.path), models, seed=seed)
        result.update(validate(models, requests))
        return result["passed"]
