"""Drift: how far a current window of features and predictions has moved from a reference window."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitoring.columns import Comparable, align
from segue.errors import InputError
from segue.files import write_text
from segue.verdict import Verdict

# Distances, not p-values: with the rows of one day any difference is significant, however small, and a
# p-value would ask for retraining every day. A distance says how large the difference is, whatever the number
# of rows.
NUMERICAL_METHOD = "wasserstein"  # first Wasserstein distance over the reference's standard deviation
CATEGORICAL_METHOD = "jensenshannon"  # Jensen-Shannon distance, natural logarithm: 0 to 0.83


@dataclass(frozen=True)
class DriftLimits:
    """What counts as drift.

    Attributes:
        share: the windows have drifted if at least this share of the feature columns has, in (0, 1].
        distance: a column has drifted from this distance on. The distance is in standard deviations of the
            reference for numbers, and the Jensen-Shannon distance for categories.
        sample_rows: a longer window is sampled down to this many rows: the distances no longer change, the
            cost does.
        seed: the sample's seed.

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
                f"The drift share lies in (0, 1]. Received {self.share}.", "Give 0.3 for 30 % of the columns."
            )
        if self.distance <= 0 or self.sample_rows < 1:
            raise InputError(
                "The drift distance and the number of sampled rows are positive. "
                f"Received {self.distance} and {self.sample_rows}.",
                "Give, for example, 0.1 and 50000.",
            )


def compare(reference: pd.DataFrame, current: pd.DataFrame, limits: DriftLimits, html: Path | None) -> Verdict:
    """Compare two windows with Evidently and judge the result.

    Columns named `prediction_*` are predictions, all others features. The windows have drifted if the share
    of drifted feature columns reaches `limits.share`, or if any prediction has drifted: predictions are few,
    and what they do the listener sees. How nulls and rare categories are treated: `monitoring.columns.align`.

    Args:
        reference: the older window: scalar feature columns and predictions, one row an example.
        current: the newer window, same columns.
        limits: what counts as drift.
        html: where to write Evidently's report, whole or not at all; None for no report.

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


def _sample(frame: pd.DataFrame, limits: DriftLimits) -> pd.DataFrame:
    """The frame, or `limits.sample_rows` of its rows."""
    if len(frame) <= limits.sample_rows:
        return frame
    return frame.sample(n=limits.sample_rows, random_state=limits.seed)


def _evaluate(windows: Comparable, limits: DriftLimits) -> Any:
    """Evidently's snapshot: one table over the features, one chart a prediction."""
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
        # Evidently correlates each column with itself for a chart: 0 / 0 where a column is constant.
        warnings.simplefilter("ignore", RuntimeWarning)
        return Report(metrics).run(
            Dataset.from_pandas(windows.current, definition),
            Dataset.from_pandas(windows.reference, definition),
        )


def _scores(snapshot: Any, limits: DriftLimits) -> dict[str, dict[str, Any]]:
    """Each column's distance, read from Evidently's results."""
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
    """The verdict in one sentence."""
    side = "at or over" if share >= limits.share else "under"
    features = f"{len(drifted)} of {total} feature columns drifted ({share:.0%}; {side} {limits.share:.0%})"
    if drifted:
        features += f": {', '.join(drifted)}"
    if predictions:
        return f"The model's predictions drifted ({', '.join(predictions)}); {features}."
    return f"No prediction drifted; {features}."
