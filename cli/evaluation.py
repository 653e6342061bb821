"""Prints an evaluation, and the places of a run's results, on a terminal."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cli.output import cell_text, print_table
from segue.files import read_json
from segue.settings import Home, RunFolder
from segue.terminal import say

if TYPE_CHECKING:
    from surfaces.recommendations_page.page import Figures


def figures(run: RunFolder) -> "list[Figures]":
    """Return the tables of a run's evaluation against popularity; empty if the run ended before its evaluation."""
    from models.evaluation.report import gains
    from surfaces.recommendations_page.page import Figures
    from workloads.operating.run_detail import tables

    if not run.evaluation.is_file():
        return []
    evaluation = read_json(run.evaluation)
    shown = [
        Figures(table["title"], table["columns"], [[cell_text(cell) for cell in row] for row in table["rows"]])
        for table in tables(evaluation)[:2]  # retrieval and ranking
    ]
    return [replace(shown[0], sentences=gains(evaluation)), *shown[1:]]


def show_evaluation(run: RunFolder) -> None:
    """Print a run's evaluation; print nothing if the run ended before it."""
    for table in figures(run):
        print_table(table.title, table.columns, table.rows)
        for sentence in table.sentences:
            say(sentence)


def show_places(home: Home, run: RunFolder) -> None:
    """Print the places of the run, the reports, MLflow and the pushed models."""
    from stores.settings import shown
    from tracking.address import tracking_uri

    places = {"run": run.path, "reports": home.reports, "MLflow": shown(tracking_uri(home)), "models": home.models}
    for name, place in places.items():
        say(f"{name:<8} {place}")
