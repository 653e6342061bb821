"""Time and memory of a scorecard: Segue beside plain pandas, on the same log, each in a process of its own.

Both read the same Parquet files and compute the same metrics with CUPED for each listener: play rate, listening time,
skip rate, days returned and the share of new releases among plays. Pandas is told the columns to read and parses each
text of arms once. The differences and their standard errors must be equal.
"""

import math
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.experiments.log import STARTED, Planted, event_files, write_log
from benchmarks.results import Say, peak_memory_mb
from benchmarks.subprocesses import run_module
from experiments.assignment.assign import Running
from experiments.definition import parse
from experiments.metrics.catalogue import CATALOGUE
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import Sums
from segue.files import read_json, write_json

CONTESTANTS = ("segue", "pandas")
METRICS = ("play_rate", "listening_time", "skip_rate", "days_returned", "new_release_plays")
DAYS = 14
ROWS_OF_LISTENER = 70  # exposed rows of a listener in the days of the test, on average
EXPERIMENT = Running(
    parse(
        {
            "name": "bench",
            "hypothesis": "A planted lift is found.",
            "owner": "bench",
            "layer": {"name": "bench"},
            "arms": [
                {"name": "control", "share": 0.5},
                {"name": "treatment", "share": 0.5, "parameters": {"bench.lift": 1}},
            ],
            "metrics": {"success": dict.fromkeys(METRICS, 0.02)},
            "plan": {"days": DAYS, "pre_days": DAYS},
        }
    ),
    ((0, 10_000),),
)


def compare(rows: int, seed: int, say: Say) -> dict:
    """Write a log and score it with both contestants.

    Args:
        rows: Exposed impressions of the log, nearly; as many come before the test.
        seed: Seed of the log.
        say: Prints progress.

    Returns:
        `rows`; for each contestant `seconds` and `peak_memory_mb`; `speedup`, `memory_ratio` and `largest_difference`,
        the largest relative distance between the contestants' differences and errors.

    Raises:
        SegueError: A contestant failed.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say(f"writing a log of {rows:,} exposed rows")
        exposed = write_log(base, EXPERIMENT, rows // ROWS_OF_LISTENER, DAYS, Planted(lift=0.1), seed)
        results = {}
        for name in CONTESTANTS:
            run_module("benchmarks.experiments.scorecards", name, base, quiet=True)
            results[name] = read_json(base / f"{name}.json")
            say(f"{name}: {results[name]['seconds']:,.1f} s, {results[name]['peak_memory_mb']:,.0f} MiB")
    ours, peer = (results[name] for name in CONTESTANTS)
    pairs = [zip(ours["effects"][name], peer["effects"][name], strict=True) for name in METRICS]
    return {
        "rows": exposed,
        **{name: {key: results[name][key] for key in ("seconds", "peak_memory_mb")} for name in CONTESTANTS},
        "speedup": peer["seconds"] / ours["seconds"],
        "memory_ratio": ours["peak_memory_mb"] / peer["peak_memory_mb"],
        "largest_difference": max(abs(a - b) / max(abs(b), 1e-12) for pair in pairs for a, b in pair),
    }


def score_segue(base: Path) -> dict[str, tuple[float, float]]:
    """Return the difference and its error of each metric, by Segue's one pass over the log."""
    from experiments.metrics.log import Log, engine
    from experiments.metrics.sums import unit_sums

    with engine() as duckdb:
        files = [str(path) for path in event_files(base)]
        items, users = (duckdb.read_parquet([str(base / f"{table}.parquet")]) for table in ("items", "users"))
        log = Log(duckdb.read_parquet(files, hive_partitioning=False), items, users)
        until = STARTED + timedelta(days=DAYS)
        sums = unit_sums(log, EXPERIMENT, [CATALOGUE[name] for name in METRICS], STARTED, until)
        effects = {name: adjusted_effect(sums.of(name, 0), sums.of(name, 1))[0] for name in METRICS}
    return {name: (effect.difference, effect.error) for name, effect in effects.items()}


def score_pandas(base: Path) -> dict[str, tuple[float, float]]:
    """Return the same by plain pandas."""
    import json

    import pandas as pd
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    parts = []
    for path in event_files(base):
        table = pq.read_table(path, columns=["user_id", "item_id", "ts", "action", "ms_played", "exposure"])
        arms = pc.struct_field(table["exposure"], "arms")
        parts.append(table.drop(["exposure"]).append_column("arms", arms).to_pandas())
    events = pd.concat(parts, ignore_index=True)
    texts = {text: json.loads(text).get("bench") for text in events.arms.dropna().unique()}
    events["arm"] = events.arms.map(texts)
    started = pd.Timestamp(STARTED)
    exposed = (
        events[events.arm.notna() & (events.ts >= started)]
        .groupby("user_id")
        .agg(first=("ts", "min"), arm=("arm", "min"), other=("arm", "max"))
    )
    exposed = exposed[exposed.arm == exposed.other]
    items = pd.read_parquet(base / "items.parquet", columns=["item_id", "release_date"])
    joined = events.drop(columns="arm").merge(exposed, left_on="user_id", right_index=True).merge(items, on="item_id")
    play = joined.action == "play"
    age = (joined.ts.dt.tz_localize(None).dt.normalize() - pd.to_datetime(joined.release_date)).dt.days
    columns = {
        "plays": play,
        "shown": joined.action == "impression",
        "hours": joined.ms_played.fillna(0) / 3_600_000,
        "skips": joined.action == "skip",
        "started": joined.action.isin(["play", "skip"]),
        "new": play & (age >= 0) & (age < 28),
    }
    values = pd.DataFrame({"user_id": joined.user_id, **{name: each.astype(float) for name, each in columns.items()}})
    after, before = joined.ts >= joined["first"], joined.ts < started
    week = (joined.ts - joined["first"]) < timedelta(days=7)
    sums = []
    for rows, played in ((after, after & week & play), (before, before & play)):
        total = values[rows].groupby("user_id").sum().reindex(exposed.index).fillna(0.0)
        days = joined[played].groupby("user_id").ts.agg(lambda ts: ts.dt.normalize().nunique())
        total["days"] = days.reindex(exposed.index).fillna(0.0)
        total["one"] = 1.0
        sums.append(total)
    fractions = {
        "play_rate": ("plays", "shown"),
        "listening_time": ("hours", "one"),
        "skip_rate": ("skips", "started"),
        "days_returned": ("days", "one"),
        "new_release_plays": ("new", "plays"),
    }
    result = {}
    for name, (x, y) in fractions.items():
        arms = []
        for arm in ("control", "treatment"):
            chosen = (exposed.arm == arm).to_numpy()
            arms.append(Sums(*(part[column].to_numpy()[chosen] for part in sums for column in (x, y))))
        effect = adjusted_effect(*arms)[0]
        result[name] = (effect.difference, effect.error)
    return result


def main(contestant: str, base: Path) -> None:
    """Score the log with one contestant, and write its figures beside the log."""
    import ibis
    import pandas  # noqa: F401  # imports are not timed

    ibis.options.interactive = False
    started = time.perf_counter()
    effects = {"segue": score_segue, "pandas": score_pandas}[contestant](base)
    seconds = time.perf_counter() - started
    assert all(math.isfinite(value) for pair in effects.values() for value in pair)
    figures = {name: list(map(float, np.asarray(pair))) for name, pair in effects.items()}
    write_json(
        base / f"{contestant}.json", {"seconds": seconds, "peak_memory_mb": peak_memory_mb(), "effects": figures}
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
