"""Evaluate: held-out time, slices, limits, and the champion on the same examples."""

from kfp.dsl import Dataset, Input, Markdown, Metrics, Model, Output

from components.base import component


@component
def evaluate(
    home: str,
    run_id: str,
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
    metrics: Output[Metrics],
    report: Output[Markdown],
) -> bool:
    """Whether the candidate is blessed."""
    from components.step import step

    with step(home, run_id, "evaluate") as result:
        from pathlib import Path

        from models.config import TrainingConfig
        from models.report import flat_metrics, markdown
        from models.workloads import evaluate, served_champion
        from segue.files import write_json, write_text
        from segue.settings import Home
        from serving.store import stable

        run = Home.at(home).run(run_id)
        candidate = {"retrieval": Path(retrieval.path), "ranking": Path(ranking.path), "sequence": Path(sequence.path)}
        champion = served_champion(stable(Home.at(home).models), candidate["ranking"])
        settings = TrainingConfig.from_dict(config)
        found = evaluate(Path(training_set.path), candidate, champion, settings, run / "tfma")
        write_json(run / "evaluation.json", found)
        write_text(Path(report.path), markdown(found))
        write_text(run / "evaluation.md", markdown(found))
        for name, value in flat_metrics(found).items():
            metrics.log_metric(name, value)
        result.update(found["verdict"])
        return found["verdict"]["passed"]
