"""What listeners did, in order, as flat arrays; and the windows of it that training sees."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from models.inputs.arrow_columns import recent_first, seconds
from models.inputs.shards import Arrays, take
from models.inputs.vocabulary import Lookup
from segue.errors import InputError

OPEN = 64  # rows that are filled at once; more pack hardly better and take longer
COLUMNS = ("item", "action", "time", "next_item", "next_entry", "next_action", "next_surface", "next_time")
HISTORY_INPUTS = ("history_items", "history_actions", "history_times", "request_ts", "surface")  # of the signatures


@dataclass(frozen=True, eq=False)
class Histories:
    """Entries of many listeners, each listener's oldest first, one listener after the other.

    Attributes:
        item: rows of the catalogue, from 1, int32 `[n]`.
        action: what was done, int32 `[n]`; 0 if the log does not say.
        surface: where, int32 `[n]`; 0 if the log does not say.
        time: when, int64 `[n]`, seconds since 1970 UTC; all 0 if only the order is known.
        asked: when the request was made that answered the entry, int64 `[n]`, likewise: before it was heard.
        target: whether the entry is something to predict, bool `[n]`.
        offsets: where each listener begins, and the end, int64 `[listeners + 1]`.
    """

    item: np.ndarray
    action: np.ndarray
    surface: np.ndarray
    time: np.ndarray
    asked: np.ndarray
    target: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of_items(cls, sequences: list[np.ndarray]) -> "Histories":
        """Histories of which only the items and their order are known.

        Args:
            sequences: rows of the catalogue, one array a listener.
        """
        item = np.concatenate([np.zeros(0, np.int32), *sequences]).astype(np.int32)
        nothing, never = np.zeros(len(item), np.int32), np.zeros(len(item), np.int64)
        offsets = np.cumsum([0, *map(len, sequences)])
        return cls(item, nothing, nothing, never, never, np.ones(len(item), bool), offsets)

    @classmethod
    def of_table(cls, listeners: pa.Table, items: pa.Array, lookups: dict[str, Lookup]) -> "Histories":
        """Histories of a table with one listener a row, as `feature_repo.transformations.requested_sequences` makes it.

        What a listener did within one second is put in an order that says nothing (see `ties`).

        Args:
            listeners: lists `items`, `actions`, `times` and `asked` (seconds since 1970 UTC), `surfaces`, oldest first.
            items: ids of the catalogue, in the order of its rows from 1.
            lookups: `action` and `surface`.

        Raises:
            InputError: an item is not in the catalogue.
        """
        flat = {name: pc.list_flatten(listeners[name]) for name in ("items", "actions", "times", "asked", "surfaces")}
        lengths = pc.fill_null(pc.list_value_length(listeners["items"]), 0).to_numpy()
        place = pc.index_in(flat["items"], items)
        if place.null_count:
            unknown = pc.unique(flat["items"].filter(place.is_null())).to_pylist()
            raise InputError(
                f"Histories hold items of the catalogue. It lacks {len(unknown)} of them, {unknown[0]!r} the first.",
                "Give the catalogue of the same log.",
            )
        item = (place.to_numpy() + 1).astype(np.int32)
        time = flat["times"].to_numpy().astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        order = ties(offsets, time, item)
        item, time, asked = item[order], time[order], flat["asked"].to_numpy().astype(np.int64)[order]
        flat = {name: flat[name].take(pa.array(order)) for name in ("actions", "surfaces")}
        action, surface = (lookups[n].encode(flat[f"{n}s"]) for n in ("action", "surface"))
        return cls(item, action, surface, time, asked, targets(flat["actions"], item, offsets), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def timed(self) -> bool:
        """Whether it is known when things happened."""
        return bool(self.time.any())

    def clip(self, keep: np.ndarray) -> "Histories":
        """The first `keep` `[listeners]` entries of each listener."""
        lengths = np.minimum(np.diff(self.offsets), np.maximum(keep, 0))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1] - offsets[:-1], lengths)
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "offsets"}
        return Histories(**columns, offsets=offsets)


def ties(offsets: np.ndarray, time: np.ndarray, item: np.ndarray) -> np.ndarray:
    """An order of entries that keeps listeners and times, and deals what has one time by a hash of listener and item.

    Logs that count in seconds or days are sorted by something within them, ids as a rule: a model would learn the ids'
    order and not the listeners'. Entries of one item stay together, in the order that they had.

    Args:
        offsets: where each listener begins, and the end.
        time: of the entries, `[n]`, oldest first.
        item: of the entries, `[n]`.

    Returns:
        Places of the entries, int64 `[n]`.
    """
    listener = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64), np.diff(offsets))
    # SplitMix64 (Steele et al., OOPSLA 2014)
    mixed = (listener << np.uint64(32) | item.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.lexsort([np.arange(len(item)), mixed ^ mixed >> np.uint64(31), time, listener])


def targets(actions: pa.ChunkedArray, items: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Which entries say what was chosen to be heard next, bool `[n]`.

    A skip was not chosen; a like or an add of what was heard just before chooses nothing new.
    """
    kinds = np.asarray(actions.to_pylist(), object)
    again = np.zeros(len(items), bool)
    again[1:] = items[1:] == items[:-1]
    again[offsets[:-1][np.diff(offsets) > 0]] = False
    return np.isin(kinds, schema.POSITIVE) & ~(again & np.isin(kinds, (schema.LIKE, schema.ADD)))


@dataclass(frozen=True)
class Windows:
    """Training rows of a fixed length, cut from histories anew for each epoch and packed.

    A history longer than a row is cut at places that differ from epoch to epoch, so that each entry is met with much
    and with little before it (sliding windows). Short pieces share a row; `segment` tells them apart.

    Args:
        histories: of the train span.
        length: entries of a row.
        passes: over the histories that make an epoch.
        steps: that an epoch has at most; None for all that it could have.
    """

    histories: Histories
    length: int
    passes: int = 1
    steps: int | None = None

    @property
    def rows(self) -> int:
        """About how many rows an epoch has, at least, if `steps` does not end it."""
        return self.passes * -(-len(self.histories.item) // self.length)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Batches of an epoch: `COLUMNS` and `segment` `[batch_size, length]`; what does not fill a batch is dropped.

        Args:
            batch_size: rows of a batch.
            seed: of the cuts and the order; None cuts at the ends and keeps the order.
            epoch: counted from 0.
        """
        rng = None if seed is None else np.random.default_rng([seed, epoch])
        passes = [pack(self.histories, self.length, rng) for _ in range(self.passes)]
        arrays = {name: np.concatenate([one[name] for one in passes]) for name in passes[0]}
        rows = len(arrays["item"])
        order = np.arange(rows) if rng is None else rng.permutation(rows)
        size = max(min(batch_size, rows), 1)
        for start in range(0, rows - size + 1, size)[: self.steps]:
            yield take(arrays, order[start : start + size])


def cut(offsets: np.ndarray, length: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of histories as the first entry that is predicted and how many are, `length` at most: `[pieces]` both.

    What predicts an entry is the one before it. A history's first entry is a piece of its own: it is predicted from
    nothing, as for a listener who is new.
    """
    starts, counts = [], []
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if begin == end:
            continue
        starts.append(begin)
        counts.append(1)
        at, left = begin + 1, end - begin - 1
        if rng is not None and left > length:
            first = int(rng.integers(1, length + 1))
            starts.append(at)
            counts.append(first)
            at, left = at + first, left - first
        while left > 0:
            size = min(left, length)
            starts.append(at)
            counts.append(size)
            at, left = at + size, left - size
    return np.array(starts, np.int64), np.array(counts, np.int64)


def pack(histories: Histories, length: int, rng: np.random.Generator | None) -> Arrays:
    """Rows `[rows, length]` of `COLUMNS` and `segment`, which counts the pieces of a row from 1; 0 is nothing.

    `next_entry` and `next_action` are what comes next, chosen or not; `next_item` is its item if it was chosen, else 0.

    First fit, longest piece first, among at most `OPEN` rows; beyond them the fullest is closed.
    """
    starts, counts = cut(histories.offsets, length, rng)
    piece = np.argsort(-counts, kind="stable") if rng is None else rng.permutation(len(counts))
    piece = piece[np.argsort(-counts[piece], kind="stable")]
    row, place, segment, rows = first_fit(counts[piece], length)
    predicted = np.repeat(starts[piece], counts[piece]) + within(counts[piece])
    to = np.repeat(row * length + place, counts[piece]) + within(counts[piece])
    h = histories
    new = np.isin(predicted, h.offsets[:-1])  # nothing comes before it
    known = {
        **{name: np.where(new, 0, getattr(h, name)[predicted - 1]) for name in ("item", "action", "time")},
        "next_item": np.where(h.target[predicted], h.item[predicted], 0),
        "next_entry": h.item[predicted],
        "next_action": h.action[predicted],
        "next_surface": h.surface[predicted],
        "next_time": h.asked[predicted],
        "segment": np.repeat(segment, counts[piece]).astype(np.int32),
    }
    return {name: scatter(values, to, rows, length) for name, values in known.items()}


def first_fit(counts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Row, place in it and number in it from 1 of each piece, and how many rows there are."""
    row, place, segment = (np.zeros(len(counts), np.int64) for _ in range(3))
    opened: list[list[int]] = []  # row, entries used, pieces
    rows = 0
    for index, count in enumerate(counts.tolist()):
        found = next((one for one in opened if one[1] + count <= length), None)
        if found is None:
            found = [rows, 0, 0]
            rows += 1
            opened.append(found)
            if len(opened) > OPEN:
                opened.remove(max(opened, key=lambda one: one[1]))
        row[index], place[index], segment[index] = found[0], found[1], found[2] + 1
        found[1] += count
        found[2] += 1
        if found[1] == length:
            opened.remove(found)
    return row, place, segment, rows


def within(counts: np.ndarray) -> np.ndarray:
    """0 to count - 1 for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def scatter(values: np.ndarray, places: np.ndarray, rows: int, length: int) -> np.ndarray:
    """Values at flat places of a `[rows, length]` array of zeros."""
    out = np.zeros(rows * length, values.dtype)
    out[places] = values
    return out.reshape(rows, length)


def requests(histories: Histories, listeners: np.ndarray, ends: np.ndarray, length: int) -> Arrays:
    """What a model reads to predict some entries: the last `length` entries before each, at the right of the row.

    Args:
        histories: of all listeners.
        listeners: whose entry each is, `[n]`.
        ends: which entry of `histories` is predicted, `[n]`; when and where it was asked for is the request's.
        length: of a row.

    Returns:
        `item`, `action`, `time`, `next_time`, `next_surface`, `segment`, each `[n, length]`. What is left over has
        item 0 and a segment of its own; the request is known at the last place alone.
    """
    h = histories
    source = ends[:, None] - length + np.arange(length)  # [n, length]
    present = source >= h.offsets[listeners][:, None]
    source = np.where(present, source, 0)
    read = {name: np.where(present, getattr(h, name)[source], 0) for name in ("item", "action", "time")}
    present[:, -1] = True  # a listener of whom nothing is known has a request all the same
    next_time, next_surface = (np.zeros(source.shape, kind) for kind in (np.int64, np.int32))
    next_time[:, -1], next_surface[:, -1] = h.asked[ends], h.surface[ends]
    return {**read, "next_time": next_time, "next_surface": next_surface, "segment": present.astype(np.int32)}


def table_requests(table: pa.Table, items: pa.Array, lookups: dict[str, Lookup], length: int) -> Arrays:
    """`requests` of the rows of a training set's table, each of which brings its own history.

    Args:
        table: `history_items`, `history_actions`, `history_times`, oldest first, `ts` and `surface`.
        items: ids of the catalogue, in the order of its rows from 1; what it lacks is left out of histories, and the
            rest moves up.
        lookups: `action` and `surface`.
        length: of a row.
    """
    rows, columns, entries = recent_first(table["history_items"])
    place = pc.fill_null(pc.index_in(entries, items), -1).to_numpy(zero_copy_only=False) + 1
    action = lookups["action"].encode(recent_first(table["history_actions"])[2])
    times = recent_first(table["history_times"])[2].to_numpy()
    kept = (columns < length) & (place > 0)
    counts = np.bincount(rows[kept], minlength=table.num_rows)
    at = rows[kept], length - np.repeat(counts, counts) + within(counts)  # oldest first, up to the right
    shape = (table.num_rows, length)
    item, done, next_surface, segment = (np.zeros(shape, np.int32) for _ in range(4))
    time, next_time = (np.zeros(shape, np.int64) for _ in range(2))
    item[at], done[at], time[at], segment[at] = place[kept], action[kept], times[kept], 1
    segment[:, -1] = 1
    next_surface[:, -1] = lookups["surface"].encode(table["surface"])
    next_time[:, -1] = seconds(table["ts"])
    return {
        "item": item,
        "action": done,
        "time": time,
        "next_time": next_time,
        "next_surface": next_surface,
        "segment": segment,
    }
