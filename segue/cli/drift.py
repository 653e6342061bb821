"""`segue drift`: how far a current window has moved from a reference window."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segue.cli.output import json_option, print_json, print_table
from segue.errors import InputError
from segue.files import write_json
from segue.settings import Home

if TYPE_CHECKING:
    import pandas as pd

WINDOW = click.Path(path_type=Path)


@click.command()
@click.option("--reference", required=True, type=WINDOW, help="Parquet file of the older features and predictions.")
@click.option("--current", required=True, type=WINDOW, help="Parquet file of the newer features and predictions.")
@click.option("--html", type=WINDOW, help="Where to write Evidently's report.  [default: reports/drift.html]")
@json_option
def drift(reference: Path, current: Path, html: Path | None, as_json: bool) -> None:
    """Compare a current window with a reference window.

    The verdict is also written to reports/drift.json. Drift is a result, not a failure: the exit code is 0
    either way, and `segue retrain --if-needed` acts on it.
    """
    from monitoring.drift import DriftLimits, compare

    reports = Home.from_env().reports
    html = html or reports / "drift.html"
    verdict = compare(_read(reference), _read(current), DriftLimits(), html)
    write_json(reports / "drift.json", verdict)
    if as_json:
        print_json(verdict)
        return
    worst_first = sorted(verdict["columns"].items(), key=lambda item: -item[1]["score"])
    print_table(
        "Drift",
        ("column", "distance", "limit", "method", "drifted"),
        [
            (name, column["score"], column["threshold"], column["method"], "yes" if column["drifted"] else "")
            for name, column in worst_first
        ],
    )
    for name, why in verdict["skipped"].items():
        click.echo(f"not compared: {name}, {why}")
    click.echo(verdict["reason"])
    click.echo(f"report: {html}")


def _read(path: Path) -> "pd.DataFrame":
    """The rows of a Parquet file.

    Raises:
        InputError: there is no such file, or it is not Parquet.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"A window is a Parquet file. {path} cannot be read: {error}.",
            "Give the path of a Parquet file of features and predictions.",
        ) from error
