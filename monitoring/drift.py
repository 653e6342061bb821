"""Drift: the distance of a current window of features and predictions from a reference window, by Evidently."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitoring.aligning import Comparable, align
from monitoring.snapshots import keep
from segue.errors import InputError
from segue.files import write_json, write_text
from segue.verdict import Verdict

# Drift is judged by distances, not by p-values. With the rows of a whole day any difference is significant, however
# small, so p-values would ask for retraining every day. A distance measures the size of the difference and does not
# grow with the number of rows.
NUMERICAL_METHOD = "wasserstein"  # first Wasserstein distance, in standard deviations of the reference
CATEGORICAL_METHOD = "jensenshannon"  # Jensen-Shannon distance, natural logarithm: 0 to 0.83
TIME = "ts"  # the column of a window's times, which takes no part in the comparison


@dataclass(frozen=True)
class DriftLimits:
    """The limits from which columns and windows count as drifted.

    Attributes:
        share: the window has drifted if at least this share of the feature columns has, in (0, 1].
        distance: a column has drifted from this distance on. It is in standard deviations of the reference for
            numbers, and the Jensen-Shannon distance for categories.
        sample_rows: a longer window is sampled down to this many rows. More rows cost more and hardly change the
            distances.
        seed: the seed of the sample.

    Raises:
        InputError: a limit is out of its range.
    """

    share: float = 0.3
    distance: float = 0.1
    sample_rows: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(
                f"The drift share must be in (0, 1]. Received {self.share}.", "Give 0.3 for 30 % of the columns."
            )
        if self.distance <= 0 or self.sample_rows < 1:
            raise InputError(
                "The drift distance and the number of sampled rows must be positive. "
                f"Received {self.distance} and {self.sample_rows}.",
                "Give, for example, 0.1 and 50000.",
            )


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    limits: DriftLimits,
    html: Path | None,
    snapshots: Path | None = None,
) -> Verdict:
    """Compare two windows with Evidently and judge the result.

    Columns named `prediction_*` are predictions, all others are features. The window has drifted if the share of
    drifted feature columns reaches `limits.share`, or if any prediction has drifted: there are few predictions, and
    listeners see their effect directly. `monitoring.aligning.align` documents how nulls and rare categories are
    treated.

    Args:
        reference: the older window: scalar features and predictions, one row per example.
        current: the newer window, with the same columns.
        limits: the limits of drift.
        html: the file to write Evidently's report to; None for no report.
        snapshots: the folder to add Evidently's result to, for its own pages; None for none.

    Returns:
        The verdict, passed if the windows have not drifted. Its figures: `share_drifted`, `columns` (name -> score,
        method, threshold, drifted), `predictions_drifted`, `skipped` (name -> why it was not compared) and `rows`.
        Its limits: `share` and `distance`.

    Raises:
        InputError: a window is empty, the windows have no scalar column in common or disagree on a type.
    """
    rows = {"reference": len(reference), "current": len(current)}
    windows = align(_sample(reference, limits), _sample(current, limits))
    snapshot = _evaluate(windows, limits)
    columns = _scores(snapshot, limits)
    if html is not None:
        write_text(html, snapshot.get_html_str(as_iframe=False))
    if snapshots is not None:
        keep(snapshot, snapshots)
    drifted = [name for name in windows.features if columns[name]["drifted"]]
    predictions = [name for name in windows.predictions if columns[name]["drifted"]]
    share = len(drifted) / len(windows.features) if windows.features else 0.0
    return Verdict(
        passed=share < limits.share and not predictions,
        reason=_reason(drifted, predictions, len(windows.features), share, limits),
        figures={
            "share_drifted": share,
            "columns": columns,
            "predictions_drifted": predictions,
            "skipped": windows.skipped,
            "rows": rows,
        },
        limits={"share": limits.share, "distance": limits.distance},
    )


def compare_files(reference: Path, current: Path, verdict_file: Path, page: Path, snapshots: Path) -> Verdict:
    """Compare two windows in Parquet files; write the verdict as JSON, and Evidently's report as HTML and snapshot.

    Args:
        reference: the file of the older window.
        current: the file of the newer window.
        verdict_file: the JSON file to write.
        page: the HTML file to write.
        snapshots: the folder to add Evidently's result to.

    Returns:
        The verdict of `compare` with the default limits.

    Raises:
        InputError: a file is missing or is no Parquet file, or `compare` refuses the windows.
    """
    windows = [_read_window(path).drop(columns=TIME, errors="ignore") for path in (reference, current)]
    verdict = compare(windows[0], windows[1], DriftLimits(), page, snapshots)
    write_json(verdict_file, verdict.to_dict())
    return verdict


def _read_window(path: Path) -> pd.DataFrame:
    """Read a frame of features and predictions."""
    if not Path(path).is_file():
        raise InputError(
            f"A drift comparison needs the frame {path}; it is not there.",
            "Run `segue run training`, then `segue run monitoring`, or name Parquet files.",
        )
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is no Parquet file: {error}.", "Name a Parquet file.") from None


def _sample(frame: pd.DataFrame, limits: DriftLimits) -> pd.DataFrame:
    """Return the frame, or `limits.sample_rows` of its rows."""
    if len(frame) <= limits.sample_rows:
        return frame
    return frame.sample(n=limits.sample_rows, random_state=limits.seed)


def _evaluate(windows: Comparable, limits: DriftLimits) -> Any:
    """Return Evidently's results: one table over the features, and one chart per prediction."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=windows.numerical, categorical_columns=windows.categorical)
    metrics: list[Any] = [
        ValueDrift(
            column=name,
            method=NUMERICAL_METHOD if name in windows.numerical else CATEGORICAL_METHOD,
            threshold=limits.distance,
        )
        for name in windows.predictions
    ]
    if windows.features:
        table = DataDriftPreset(
            columns=windows.features,
            drift_share=limits.share,
            num_method=NUMERICAL_METHOD,
            cat_method=CATEGORICAL_METHOD,
            num_threshold=limits.distance,
            cat_threshold=limits.distance,
        )
        metrics = [table, *metrics]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # For a chart, Evidently correlates each column with itself, which is 0 / 0 for a constant column.
        warnings.simplefilter("ignore", RuntimeWarning)
        return Report(metrics).run(
            Dataset.from_pandas(windows.current, definition),
            Dataset.from_pandas(windows.reference, definition),
        )


def _scores(snapshot: Any, limits: DriftLimits) -> dict[str, dict[str, Any]]:
    """Read each column's distance from Evidently's results."""
    columns = {}
    for metric in snapshot.dict()["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        score = float(metric["value"])
        columns[config["column"]] = {
            "score": score,
            "method": config["method"],
            "threshold": limits.distance,
            "drifted": score >= limits.distance,
        }
    return columns


def _reason(drifted: list[str], predictions: list[str], total: int, share: float, limits: DriftLimits) -> str:
    """Return the verdict in one sentence."""
    side = "at or over" if share >= limits.share else "under"
    features = f"{len(drifted)} of {total} feature columns drifted ({share:.0%}; {side} {limits.share:.0%})"
    if drifted:
        features += f": {', '.join(drifted)}"
    if predictions:
        return f"The model's predictions drifted ({', '.join(predictions)}); {features}."
    return f"No prediction drifted; {features}."
