"""The peers of the drift benchmark: each compares the impressions of a day with those of the base, column by column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp

from benchmarks.rollout.drift_world import Site
from events import schema
from monitoring.aligning import align
from monitoring.checks.measures import Levels
from monitoring.drift import CATEGORICAL_METHOD, NUMERICAL_METHOD, DriftLimits
from monitoring.windows import BASE_DAYS

EVIDENTLY_SHARE = 0.5  # of the columns: the default of `DataDriftPreset`
BASE_ROWS = 3_000  # more take longer and hardly change the distances
SIGNIFICANCE = 0.05  # of all columns together
Peer = Callable[[pd.DataFrame, pd.DataFrame], bool]  # whether the second frame has drifted from the first


def evidently_default(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Evidently's preset as it comes: half of the columns beyond the thresholds of the tests that it chooses.

    Its tests are called without its report, which takes 1.5 s of CPU.
    """
    drifted = [
        stat_test(reference[name], current[name], kind(reference[name]), None, None).drifted for name in reference
    ]
    return float(np.mean(drifted)) >= EVIDENTLY_SHARE


def kind(column: pd.Series) -> str:
    """Return Evidently's name for the kind of a column."""
    return "cat" if column.dtype == object else "num"


def stat_test(reference: pd.Series, current: pd.Series, kind: str, method: str | None, threshold: float | None) -> Any:
    """Return what one of Evidently's tests says of a column; None for its own choices. Nulls are left out, as there."""
    from evidently.legacy.calculations.stattests.registry import get_stattest

    older, newer = reference.dropna(), current.dropna()
    return get_stattest(older, newer, kind, method)(older, newer, kind, threshold)


def ks_bonferroni(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """The tests of Kolmogorov and Smirnov for numbers and chi-squared for texts, corrected for the columns."""
    values = [p_value(reference[name].dropna(), current[name].dropna()) for name in reference]
    return min(values) < SIGNIFICANCE / len(values)


def p_value(reference: pd.Series, current: pd.Series) -> float:
    """Return the p-value of two samples of a column; 1 if one is empty or both have one value."""
    if reference.empty or current.empty:
        return 1.0
    if reference.dtype != object:
        return float(ks_2samp(reference, current).pvalue)
    table = pd.concat([reference.value_counts(), current.value_counts()], axis=1).fillna(0)
    return 1.0 if len(table) < 2 else float(chi2_contingency(table).pvalue)


def present_rule(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """The rule of the monitoring pipeline (`monitoring.drift`), fixed distances, without its least number of rows."""
    limits = DriftLimits()
    windows = align(reference, current)
    drifted = {
        name: stat_test(windows.reference[name], windows.current[name], kind, method, limits.distance).drifted
        for kind, method, names in (
            ("num", NUMERICAL_METHOD, windows.numerical),
            ("cat", CATEGORICAL_METHOD, windows.categorical),
        )
        for name in names
    }
    share = float(np.mean([drifted[name] for name in windows.features]))
    return share >= limits.share or any(drifted[name] for name in windows.predictions)


PEERS: dict[str, Peer] = {
    "evidently_default": evidently_default,
    "ks_bonferroni": ks_bonferroni,
    "present_rule": present_rule,
}


def impressions(site: Site) -> pd.DataFrame:
    """Return the impressions of a site with features of the context, the item and the listener, and the outcome.

    Rates are those of the days before, and `prediction_play` is made of them: a model of nothing but habits.
    """
    frame, levels = site.frame, Levels.of(site.frame, site.items)
    heard = frame[frame["action"].isin([schema.PLAY, schema.SKIP])]
    outcome = heard[["request", "item", "action", "ms_played"]].drop_duplicates(["request", "item"])
    shown = frame[frame["action"] == schema.IMPRESSION].drop(columns=["action", "ms_played"])
    shown = shown.merge(outcome, on=["request", "item"], how="left")
    played = (shown.pop("action") == schema.PLAY).astype(float)
    rates = [rate_before(shown[key], shown["day"], played) for key in ("listener", "item")]
    names = np.array(levels.genres, object)
    return pd.DataFrame({
        "day": shown["day"],
        "surface": shown["surface"].astype(object),
        "content_type": shown["content_type"].astype(object),
        "genre": names[levels.genre_share[shown["item"]].argmax(axis=1)],
        "duration_ms": shown["duration_ms"].astype(float),
        "age": shown["age"],
        "listener_rate": rates[0],
        "item_rate": rates[1],
        "played": played,
        "ms_played": shown["ms_played"].astype(float),
        "prediction_play": np.sqrt(rates[0] * rates[1]),
    })  # fmt: skip


def rate_before(key: pd.Series, day: pd.Series, played: pd.Series) -> np.ndarray:
    """Return the share of plays among a key's impressions on all days before, which begins at 1 of 4 `[n]`."""
    by_day = pd.DataFrame({"key": key, "day": day, "played": played, "shown": 1.0}).groupby(["key", "day"]).sum()
    before = by_day.groupby("key").cumsum() - by_day
    rate = (before["played"] + 1) / (before["shown"] + 4)
    return rate.loc[pd.MultiIndex.from_arrays([key, day])].to_numpy()


def of_window(shown: pd.DataFrame, site: Site, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return impressions of the base, at most `BASE_ROWS` of them, and those of the current day of a window."""
    today = number + site.windows(number).days - 1
    base = shown[(shown["day"] >= today - BASE_DAYS) & (shown["day"] < today)]
    base = base.sample(min(BASE_ROWS, len(base)), random_state=number)
    return base.drop(columns="day"), shown[shown["day"] == today].drop(columns="day")
