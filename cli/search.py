"""A search, as a person reads it on a terminal."""

from typing import Any

import click

from cli.output import print_table


def trial_steps(settings: dict[str, Any]) -> list[str]:
    """The steps of a search's trials.

    Args:
        settings: `TrainingConfig.to_dict()`.

    Raises:
        InputError: the space cannot be searched; said here, before anything runs.
    """
    from models.fitting.search import plan
    from models.training_config import TrainingConfig

    planned = plan(TrainingConfig.from_dict(settings), settings["seed"])
    return [f"trial-{number}" for number in range(len(planned))]


def show_search(found: dict[str, Any], folder: str) -> None:
    """Print a search's trials, the best one marked, and how to train with its settings.

    Args:
        found: a run's `search.json`.
        folder: the run's.
    """
    names = list(found["best"]["values"])
    rows = []
    for one in found["trials"]:
        # Three digits, not four decimals: a learning rate has few before the point.
        values = [f"{value:.3g}" if isinstance(value, float) else value for value in map(one["values"].get, names)]
        rows.append([one["trial"], *values, one["objective"], "best" if one == found["best"] else ""])
    title = f"Search for {found['model']}, judged on the validation span"
    print_table(title, ["trial", *names, found["metric"], ""], rows)
    click.echo(f"train with it: segue run training --config {folder}/best.yaml")
