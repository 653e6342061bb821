"""What the checks measure: ratios of sums over a listener's rows of a day.

A ratio of sums is what the listener-block bootstrap of `monitoring.checks.limits` takes: a listener's rows come
together or not at all. A check that watches several levels, such as genres, has a measure for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from monitoring.checks.measure import Measure
from monitoring.checks.quality import quality

NEW_DAYS = 7  # an item is new for so long
LATE_HOURS = 1
FEATURES, PREDICTION = ("duration_ms", "age"), "prediction"
CELLS = 16  # of the embedding space, at most; the first codes of the sequence model are up to 256
EXAMPLES = 2  # items that name a cell
QUARTERS = ("the lowest quarter", "the second quarter", "the third quarter", "the highest quarter")


@dataclass(frozen=True)
class Levels:
    """What the levels of measures are made of.

    Args:
        visit: What is counted as volume: `request`, or `session` in a log without requests.
        genres: Names of the genres, sorted.
        genre_share: Share of each genre in each item, equal for all genres of an item `[items + 1, genres]`; the last
            row is of an unknown item.
        quarters: By column, the three bounds between the quarters of its values in the reference.
        cells: By cell of the embedding space, the titles of its most played items in the reference.
    """

    visit: str
    genres: list[str]
    genre_share: np.ndarray
    quarters: dict[str, np.ndarray]
    cells: dict[int, str]

    @classmethod
    def of(cls, reference: pd.DataFrame, items: pa.Table) -> "Levels":
        """The levels of a reference (`monitoring.windows.rows`) and a catalogue (`events.schema.ITEMS`)."""
        lists = items["genres"].combine_chunks()
        names = sorted(lists.flatten().unique().drop_null().to_pylist())
        item = pc.list_parent_indices(lists).to_numpy()
        genre = pc.index_in(lists.flatten(), pa.array(names, pa.string())).fill_null(-1).to_numpy()
        share = np.zeros((items.num_rows + 1, len(names) + 1), np.float32)  # the last genre is null
        np.add.at(share, (item, genre), 1)
        share = share[:, :-1]
        share /= np.maximum(share.sum(axis=1, keepdims=True), 1)
        shown = reference[reference["action"] == schema.IMPRESSION]
        columns = [name for name in (*FEATURES, PREDICTION) if name in shown and shown[name].notna().any()]
        quarters = {name: shown[name].quantile([0.25, 0.5, 0.75]).to_numpy() for name in columns}
        visit = "request" if (reference["request"] >= 0).any() else "session"
        return cls(visit, names, share, quarters, cell_names(reference, items) if "cell" in reference else {})


def measures(day: pd.DataFrame, levels: Levels) -> Iterator[Measure]:
    """Yield the measures of a day's rows, always the same ones in the same order.

    Args:
        day: Rows of `monitoring.windows.rows`.
        levels: The levels.
    """
    skip, shown = ((day["action"] == name).to_numpy() for name in (schema.SKIP, schema.IMPRESSION))
    play = day["play"].to_numpy()
    heard = play | skip
    timing = skip | (day["action"] == schema.PLAY).to_numpy()  # a like has no time
    known = heard & ~day["null_ms_played"].to_numpy()
    timed = play & known & day["duration_ms"].notna().to_numpy()
    surfaces = masks(day["surface"])
    genre = levels.genre_share[day["item"].to_numpy()]
    listened = np.nan_to_num(np.clip(day["ms_played"].to_numpy(float) / day["duration_ms"].to_numpy(float), 0, 1))
    new = (day["age"] < NEW_DAYS).to_numpy()

    yield Measure("volume", f"{levels.visit}s", first_of(day[levels.visit].to_numpy()), None)
    for name, here in surfaces.items():
        yield Measure("feedback", name, heard & here, shown & here)
    yield Measure("nulls", "ms_played", timing & ~known, timing)
    for name in ("session_id", "surface", "position"):
        yield Measure("nulls", name, day[f"null_{name}"].to_numpy(), np.ones(len(day)))
    if "delay" in day:
        came = day["delay"].notna().to_numpy()
        yield Measure("late", "", (day["delay"] > LATE_HOURS).to_numpy(), came)
    yield Measure("skip_rate", "", skip, heard)
    yield Measure("listened", "", listened * timed, timed)
    for name, here in surfaces.items():
        yield Measure("plays_by_surface", name, play & here, play)
    for name, of_type in masks(day["content_type"]).items():
        yield Measure("plays_by_type", name, play & of_type, play)
    yield Measure("new_items", "shown", shown & new, shown)
    yield Measure("new_items", "played", play & new, play)
    for number, name in enumerate(levels.genres):
        yield Measure("plays_by_genre", name, play * genre[:, number], play)
    for number, name in enumerate(levels.genres):
        yield Measure("play_rate_by_genre", name, play * genre[:, number], heard * genre[:, number])
    for name, bounds in levels.quarters.items():
        quarter, known_there = np.searchsorted(bounds, day[name]), shown & day[name].notna().to_numpy()
        check = "predictions" if name == PREDICTION else "features"
        for number, text in enumerate(QUARTERS):
            yield Measure(check, f"{name} in {text}", known_there & (quarter == number), known_there)
    for cell, name in levels.cells.items():
        yield Measure("embeddings", name, play & (day["cell"] == cell).to_numpy(), play & (day["cell"] >= 0).to_numpy())
    if "fallback" in day:
        yield Measure("fallback", "", shown & day["fallback"].to_numpy(), shown)
    if PREDICTION in levels.quarters:
        yield from quality(day)


def cell_names(reference: pd.DataFrame, items: pa.Table) -> dict[int, str]:
    """Return by played cell the titles of its most played items, such as `Amber River and Blue Rain`.

    Args:
        reference: Rows of `monitoring.windows.rows` with a `cell`.
        items: The catalogue (`events.schema.ITEMS`).
    """
    plays = reference[reference["play"] & (reference["cell"] >= 0)]
    most_played = plays.groupby(["cell", "item"]).size().sort_values(ascending=False, kind="stable").reset_index()
    return {
        int(cell): " and ".join(items["title"].take(pa.array(of_cell["item"].head(EXAMPLES))).to_pylist())
        for cell, of_cell in most_played.groupby("cell")
    }


def first_of(codes: np.ndarray) -> np.ndarray:
    """Return whether each row is the first of its code; each row without a code (-1) is one `[n]`."""
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first | (codes < 0)


def masks(column: pd.Series) -> dict[str, np.ndarray]:
    """Return which rows have each category of a column, by category `[n]`."""
    codes = column.cat.codes.to_numpy()
    return {str(name): codes == code for code, name in enumerate(column.cat.categories)}
