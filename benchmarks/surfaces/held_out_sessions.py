"""The sessions of the test span, and each of their plays as a prediction from what came before it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.dataset import load
from events.splits import Split, cut
from segue.errors import InputError
from segue.settings import Home

HISTORY = 50  # entries, as in the online store
SECOND = 1_000_000


@dataclass(frozen=True)
class Entry:
    """One interaction: item, action, microseconds since 1970 UTC, surface."""

    item_id: str
    action: str
    micros: int
    surface: str


@dataclass(frozen=True)
class Prediction:
    """A play to be predicted.

    Attributes:
        session: the session's id.
        user_id: the listener.
        before: the listener's interactions before the session, oldest first.
        so_far: the interactions of the session before the play, oldest first; at least one.
        target: the item that was played; it is not among `so_far`.
    """

    session: str
    user_id: str
    before: tuple[Entry, ...]
    so_far: tuple[Entry, ...]
    target: str

    @property
    def asked(self) -> int:
        """When the next item is needed: right after the last interaction, in seconds since 1970 UTC."""
        return self.so_far[-1].micros // SECOND


@dataclass(frozen=True)
class HeldOut:
    """The log as it was at the end of validation, and the sessions after it.

    Attributes:
        split: the spans, by global time.
        past: session id -> time of its last event, and the items played, in order, of sessions before the test span.
        histories: listener -> interactions before the test span.
        predictions: of the test span, sessions in the order of time.
    """

    split: Split
    past: dict[str, tuple[int, list[str]]]
    histories: dict[str, list[Entry]]
    predictions: list[Prediction]


def read(home: Home, most_sessions: int | None) -> HeldOut:
    """Cut the log of a home as the training pipeline does.

    Args:
        home: with an imported log.
        most_sessions: the first sessions of the test span that are predicted; None for all.

    Raises:
        InputError: no session of the test span has a second item.
    """
    log = load(home.data).events().sort_by([("ts", "ascending"), ("event_id", "ascending")])
    split = cut(log["ts"])
    interactions = log.filter(pc.is_in(log["action"], pa.array(schema.INTERACTIONS)))
    micros = interactions["ts"].cast(pa.int64()).to_pylist()
    end = int(split.validation_end.timestamp() * SECOND)
    first_seen: dict[str, int] = {}
    for session, at in zip(log["session_id"].to_pylist(), log["ts"].cast(pa.int64()).to_pylist(), strict=True):
        if session is not None:
            first_seen.setdefault(session, at)
    past: dict[str, tuple[int, list[str]]] = {}
    histories: dict[str, list[Entry]] = {}
    running: dict[str, list[Entry]] = {}  # of each listener, as the test span goes on
    sessions: dict[str, tuple[tuple[Entry, ...], list[Entry]]] = {}
    predictions: list[Prediction] = []
    columns = [interactions[name].to_pylist() for name in ("user_id", "item_id", "action", "session_id", "surface")]
    for user, item, action, session, surface, at in zip(*columns, micros, strict=True):
        entry = Entry(item, action, at, surface or "home")
        if at < end:
            histories.setdefault(user, []).append(entry)
            if session is not None and action == schema.PLAY:
                past.setdefault(session, (0, []))[1].append(item)
                past[session] = (at, past[session][1])
        elif session is not None and first_seen[session] >= end:
            known = running.setdefault(user, list(histories.get(user, [])))
            before, so_far = sessions.setdefault(session, (tuple(known[-HISTORY:]), []))
            if action == schema.PLAY and so_far and all(one.item_id != item for one in so_far):
                predictions.append(Prediction(session, user, before, tuple(so_far), item))
            so_far.append(entry)
        if at >= end:
            running.setdefault(user, list(histories.get(user, []))).append(entry)
    kept = list(dict.fromkeys(one.session for one in predictions))[:most_sessions]
    if not kept:
        raise InputError("A held-out session needs two items. The test span has none.", "Give a longer log.")
    return HeldOut(split, past, histories, [one for one in predictions if one.session in set(kept)])


def groups(predictions: list[Prediction]) -> np.ndarray:
    """The number of each prediction's session, int `[n]`."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(one.session, len(numbers)) for one in predictions])


def utc(micros: int) -> datetime:
    """An instant from microseconds since 1970 UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
