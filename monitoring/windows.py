"""The windows of a report: the last whole day, the days before that it is compared with, and the rows of each day.

A request and all that its listener does with it belong to one window, that of the request. What happens later than
`MATURITY` after the request does not count, in any window, nor what reaches the journal later than that after the end
of the request's day: so the days of the reference, which had more time, do not look better than the current one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from events import schema

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MATURITY = 2 * HOUR
BASE_DAYS, LEAST_BASE = 14, 7  # that a day is compared with: every weekday twice, or once in a young log
CALIBRATION_DAYS, LEAST_CALIBRATION = 28, 7  # earlier days, each compared with the base before it, give the limits
LEAST_DAYS = LEAST_BASE + LEAST_CALIBRATION + 1
NULLABLE = ("session_id", "surface", "position", "ms_played")
EXPOSURE = "exposure"  # what the journal knows of an event (`events.journal.joins`)
COLUMNS = ("user_id", "item_id", "ts", "action", "request_id", schema.RECEIVED.name, EXPOSURE, *NULLABLE)  # are read
PREDICTION = r'"play":(?P<play>[-+.0-9eE]+)'  # of the ranking model, among an exposure's scores
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Windows:
    """Consecutive days that end at one instant. The last day is the current window, the others are the reference.

    Args:
        end: End of the current window, UTC.
        days: Number of days, with the current one.
    """

    end: datetime
    days: int

    @classmethod
    def before(cls, at: datetime, first: datetime) -> "Windows":
        """The windows whose outcomes are mature at an instant, of a log that begins at `first`."""
        end = (at - MATURITY).replace(minute=0, second=0, microsecond=0)
        days = (end - first) // DAY
        return cls(end, min(max(days, 1), BASE_DAYS + CALIBRATION_DAYS + 1))

    @property
    def enough(self) -> bool:
        """Whether the days are enough for a base and for limits."""
        return self.days >= LEAST_DAYS

    @property
    def start(self) -> datetime:
        """Start of the reference."""
        return self.end - self.days * DAY

    @property
    def reference(self) -> tuple[datetime, datetime]:
        """Start and end of the reference window."""
        return self.start, self.end - DAY

    @property
    def current(self) -> tuple[datetime, datetime]:
        """Start and end of the current window."""
        return self.end - DAY, self.end


def rows(events: pa.Table, items: pa.Table, windows: Windows, cells: np.ndarray | None = None) -> pd.DataFrame:
    """Return the events of the windows with what the checks read.

    Args:
        events: Events (`events.schema.EVENTS`), also of the `MATURITY` after the windows.
        items: The catalogue (`events.schema.ITEMS`).
        windows: The windows.
        cells: The cell of each item of the catalogue in the embedding space, -1 for none; None without a model.

    Returns:
        A row for each event `[n]`, in the order of `day` and `listener`: `day` (from 0), `listener` (a number),
        `action`, `play` (see `plays`), `surface`, `ms_played`, `request` and `session` (numbers; -1 for none),
        `null_<column>` for each of `NULLABLE`, of the item `item` (row of `items`), `content_type`, `duration_ms`,
        `age` (days since its release) and, with `cells`, `cell`; and where the journal collected the events, `delay`
        (hours until feedback came), `fallback` (the page was not decided as usual) and `prediction` (of a play, by the
        ranking model).
    """
    start = microseconds(windows.start)
    ts = events["ts"].cast(pa.int64()).to_numpy()
    request = codes(events["request_id"])
    decided = np.where(request < 0, ts, pd.Series(ts).groupby(request).transform("min"))
    day, maturity = (decided - start) // (DAY // MICROSECOND), MATURITY // MICROSECOND
    kept = (day >= 0) & (day < windows.days) & (ts - decided <= maturity)
    if schema.RECEIVED.name in events.column_names:
        came = events[schema.RECEIVED.name].cast(pa.int64()).fill_null(0).to_numpy()
        kept &= came <= start + (day + 1) * (DAY // MICROSECOND) + maturity
    events, request, decided, day = events.filter(pa.array(kept)), request[kept], decided[kept], day[kept]
    item = pc.index_in(events["item_id"], items["item_id"]).fill_null(-1).to_numpy()
    catalogue = items.select(["content_type", "duration_ms"]).to_pandas(strings_to_categorical=True)
    catalogue["release"] = items["release_date"].cast(pa.timestamp("us")).to_pandas()
    frame = events.select(["surface", "action", "ms_played"]).to_pandas(strings_to_categorical=True)
    frame = frame.join(catalogue.reindex(item).reset_index(drop=True))
    frame["age"] = (pd.to_datetime(decided, unit="us") - frame.pop("release")) / DAY
    frame["day"], frame["listener"], frame["request"], frame["item"] = day, codes(events["user_id"]), request, item
    session, listener = codes(events["session_id"]), frame["listener"].to_numpy()
    frame["session"] = np.where(session < 0, -1, listener * (session.max(initial=0) + 1) + session)
    frame["play"] = plays(frame)
    if cells is not None:
        frame["cell"] = np.append(cells, -1)[item]
    for name in NULLABLE:
        frame[f"null_{name}"] = events[name].is_null().to_numpy()
    received = events[schema.RECEIVED.name] if schema.RECEIVED.name in events.column_names else None
    if received is not None:
        frame["delay"] = (received.to_pandas() - events["ts"].to_pandas()) / HOUR
    if EXPOSURE in events.column_names:
        exposure = events[EXPOSURE].combine_chunks()
        frame["fallback"] = (pc.struct_field(exposure, "fallback").fill_null(0).to_numpy(zero_copy_only=False)) > 0
        scores = pc.extract_regex(pc.struct_field(exposure, "scores"), PREDICTION)
        frame["prediction"] = pc.struct_field(scores, "play").cast(pa.float64()).to_numpy(zero_copy_only=False)
    return frame.sort_values(["day", "listener"], kind="stable", ignore_index=True)


def plays(frame: pd.DataFrame) -> np.ndarray:
    """Return which rows are plays, or stand for one: likes and adds of an item that has no play or skip there `[n]`.

    A log of ratings has a like in place of the play, and a log of a player has it beside the play.

    Args:
        frame: Rows with `action`, `listener`, `item` and `request`.
    """
    played, liked = (frame["action"].isin(actions).to_numpy() for actions in ([schema.PLAY], [schema.LIKE, schema.ADD]))
    place = frame[["listener", "item", "request"]]
    heard = pd.MultiIndex.from_frame(place[played | (frame["action"] == schema.SKIP).to_numpy()])
    played[liked] = ~pd.MultiIndex.from_frame(place[liked]).isin(heard)
    return played


def microseconds(at: datetime) -> int:
    """Return an instant in microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each text, equal for equal texts and -1 for null `[n]`."""
    return column.to_pandas(strings_to_categorical=True).cat.codes.to_numpy().astype(np.int64)
