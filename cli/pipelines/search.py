"""Prints the result of a search on a terminal."""

from typing import Any

from cli.output import print_table


def trial_steps(settings: dict[str, Any]) -> list[str]:
    """Return the names of a search's trial steps, which the compiled pipeline does not contain.

    Args:
        settings: `TrainingConfig.to_dict()`.

    Raises:
        InputError: the space cannot be searched.
    """
    from models.fitting.search import plan
    from models.training_config import TrainingConfig

    trials = plan(TrainingConfig.from_dict(settings), settings["seed"])
    return [f"trial-{number}" for number in range(len(trials))]


def show_search(result: dict[str, Any]) -> None:
    """Print a search's trials with the best trial marked.

    Args:
        result: a run's `search.json`.
    """
    names = list(result["best"]["values"])
    rows = []
    for trial in result["trials"]:
        # Three significant digits, because four decimals would round a small learning rate away.
        values = [f"{value:.3g}" if isinstance(value, float) else value for value in map(trial["values"].get, names)]
        rows.append([trial["trial"], *values, trial["objective"], "best" if trial == result["best"] else ""])
    title = f"Search for {result['model']}, judged on the validation span"
    print_table(title, ["trial", *names, result["metric"], ""], rows)
