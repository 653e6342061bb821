"""The pandas peer of `segue bench import`: the checks of an import on whole columns, and the log by day.

It is written as pandas' guides write it: the reader is pyarrow's, text is Arrow's string type, the masks are whole
columns, and `to_parquet` with `partition_cols` writes a folder for each day.
"""

import os
import sys
from pathlib import Path

import pandas as pd

TYPES = {
    "event_id": "string[pyarrow]", "user_id": "string[pyarrow]", "item_id": "string[pyarrow]",
    "action": "string[pyarrow]", "ms_played": "Int64", "session_id": "string[pyarrow]", "surface": "string[pyarrow]",
    "position": "Int32", "request_id": "string[pyarrow]",
}  # fmt: skip
REQUIRED = ["event_id", "user_id", "item_id", "ts"]
ACTIONS = ["impression", "play", "skip", "like", "add"]
SURFACES = ["home", "now_playing", "search", "library"]


def main(log: Path, items: Path, out: Path) -> None:
    """Import the log and its items into the folder `out`.

    Raises:
        ValueError: The log breaks a rule about the whole table.
    """
    out.mkdir(parents=True)
    catalogue = pd.read_parquet(items)
    if log.suffix == ".parquet":
        events = pd.read_parquet(log, dtype_backend="pyarrow").astype(TYPES)
    else:
        events = pd.read_csv(log, engine="pyarrow", dtype=TYPES)
    events["ts"] = pd.to_datetime(events["ts"])
    outside = ~events["ts"].between("1990-01-01", "2100-01-01")
    if events[REQUIRED].isna().any(axis=None) or events["event_id"].duplicated().any() or outside.any():
        raise ValueError("a null, a repeated id or a time outside the range")
    rules = {
        "unknown action": ~events["action"].isin(ACTIONS),
        "unknown surface": events["surface"].notna() & ~events["surface"].isin(SURFACES),
        "unknown item": ~events["item_id"].isin(catalogue["item_id"]),
        "negative ms_played": events["ms_played"].lt(0).fillna(False),
        "negative position": events["position"].lt(0).fillna(False),
    }
    reason = pd.Series(pd.NA, index=events.index, dtype="string[pyarrow]")
    for rule, broken in reversed(rules.items()):
        reason = reason.mask(broken.astype(bool), rule)
    events[reason.notna()].assign(reason=reason).to_parquet(out / "quarantine.parquet")
    events = events[reason.isna()].sort_values(["ts", "event_id"], ignore_index=True)
    events["day"] = events["ts"].dt.strftime("%Y-%m-%d")
    catalogue.to_parquet(out / "items.parquet")
    events.to_parquet(out / "events", partition_cols=["day"], engine="pyarrow", compression="zstd", index=False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
    os._exit(0)  # Arrow's thread, which reads from Python's file for pandas, aborts now and then when Python ends
