"""`segue drift`: compare two windows of features and predictions."""

from pathlib import Path

import click

from cli.output import json_option, print_json, print_table
from segue.settings import Home
from segue.terminal import say
from segue.verdict import Verdict

WINDOW = click.Path(path_type=Path)


@click.command()
@click.option("--reference", type=WINDOW, help="The reference window, Parquet.  [default: that of the stable models]")
@click.option("--current", type=WINDOW, help="The current window, Parquet.  [default: that of the last monitoring run]")
@json_option
def drift(reference: Path | None, current: Path | None, as_json: bool) -> None:
    """Compare a current window with a reference window of features and predictions.

    A window is a Parquet file with one row for each example: scalar features and `prediction_*` columns. The report
    goes to reports/drift.html, the verdict to reports/drift.json. Drift is a result, not a failure: the exit code is 0
    either way. `segue monitor` decides whether to retrain, from other checks.
    """
    from monitoring.drift import compare_files
    from stores import parts
    from workloads.operating.agree import stable_reference

    home = Home.from_env()
    parts.bring(home, parts.MODELS)

    def compare() -> Verdict:
        windows = reference or stable_reference(home), current or home.current_window
        return compare_files(*windows, home.drift_verdict, home.drift_page, home.drift_snapshots)

    verdict = parts.change(home, parts.REPORTS, compare)
    if as_json:
        print_json(verdict.to_dict())
        return
    worst_first = sorted(verdict.figures["columns"].items(), key=lambda item: -item[1]["score"])
    print_table(
        "Drift",
        ("column", "distance", "limit", "method", "drifted"),
        [
            (name, column["score"], column["threshold"], column["method"], "yes" if column["drifted"] else "")
            for name, column in worst_first
        ],
    )
    for name, reason in verdict.figures["skipped"].items():
        say(f"not compared: {name}, {reason}")
    say(verdict.reason)
    say(f"report: {home.drift_page}")
