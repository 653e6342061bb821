"""Evaluate: judge the run's models on held-out time and slices, beside the champion on the same examples."""

from kfp.dsl import Dataset, Input, Markdown, Metrics, Model, Output

from components.base import component


@component
def evaluate(
    config: dict,
    training_set: Input[Dataset],
    retrieval: Input[Model],
    ranking: Input[Model],
    sequence: Input[Model],
    metrics: Output[Metrics],
    report: Output[Markdown],
    window: Output[Dataset],
) -> bool:
    """Evaluate the run's models, and return whether they are blessed."""
    from pathlib import Path

    from workloads import evaluate
    from workloads.run import Run, paths

    models = paths(retrieval=retrieval, ranking=ranking, sequence=sequence)
    run = Run.now(config)
    blessed, figures = evaluate.step(run, Path(training_set.path), models, Path(report.path), Path(window.path))
    for name, figure in figures.items():
        metrics.log_metric(name, figure)
    return blessed
