"""Prints an evaluation, and where a run left its results, on a terminal."""

import click

from cli.output import print_table
from segue.files import read_json
from segue.settings import Home, RunFolder


def show_evaluation(run: RunFolder) -> None:
    """Print a run's evaluation against popularity, if it got that far."""
    from models.evaluation import report

    if not run.evaluation.is_file():
        return
    evaluation = read_json(run.evaluation)
    print_table("Retrieval on held-out time", report.RETRIEVAL_COLUMNS, report.retrieval_rows(evaluation))
    for sentence in report.gains(evaluation):
        click.echo(sentence)
    print_table("Ranking on held-out time", report.RANKING_COLUMNS, report.ranking_rows(evaluation))


def show_places(home: Home, run: RunFolder) -> None:
    """Print where the last run, the reports, MLflow and the pushed models are."""
    places = {"run": run.path, "reports": home.reports, "MLflow": home.tracking_uri, "models": home.models}
    for name, place in places.items():
        click.echo(f"{name:<8} {place}")
