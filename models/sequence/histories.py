"""The histories of listeners as flat arrays, and the windows of them that training reads."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from models.inputs.recency import EVEN, Recency
from models.inputs.shards import Arrays, take
from models.inputs.vocabulary import Lookup
from segue.errors import InputError

OPEN = 64  # rows that are open while pieces are packed; with more, rows are hardly fuller and packing takes longer


@dataclass(frozen=True, eq=False)
class Histories:
    """The entries of many listeners, one listener after the other, each from the oldest entry to the newest.

    Training rows (`Windows`) and requests (`requests`) are cut from these flat arrays by index.

    Attributes:
        item: rows of the catalogue, from 1, int32 `[n]`.
        action: rows of the action vocabulary, int32 `[n]`; 0 if the log states no action.
        surface: rows of the surface vocabulary, int32 `[n]`; 0 if the log states no surface.
        time: times of the events, int64 `[n]`, seconds since 1970 UTC; all 0 if only the order is known.
        asked: times of the requests that the items answered, int64 `[n]`, seconds since 1970 UTC; all 0 if unknown.
            It is earlier than `time`, which is when the item was heard.
        target: whether the entry is to be predicted, bool `[n]`.
        weight: weight of its prediction, float32 `[n]`.
        offsets: the first entry of each listener, then the number of entries, int64 `[listeners + 1]`.
    """

    item: np.ndarray
    action: np.ndarray
    surface: np.ndarray
    time: np.ndarray
    asked: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of_items(cls, sequences: list[np.ndarray]) -> "Histories":
        """Build histories of which only the items and their order are known.

        Args:
            sequences: rows of the catalogue, one array for each listener.
        """
        item = np.concatenate([np.zeros(0, np.int32), *sequences]).astype(np.int32)
        unstated, no_time = np.zeros(len(item), np.int32), np.zeros(len(item), np.int64)
        offsets = np.cumsum([0, *map(len, sequences)])
        everything = np.ones(len(item), bool)
        return cls(item, unstated, unstated, no_time, no_time, everything, EVEN.weights(no_time), offsets)

    @classmethod
    def of_table(
        cls, listeners: pa.Table, items: pa.Array, lookups: dict[str, Lookup], recency: Recency = EVEN
    ) -> "Histories":
        """Build histories from a table with one listener a row (`feature_repo.transformations.requested_sequences`).

        Same-second events are shuffled deterministically; see `ties`.

        Args:
            listeners: lists `items`, `actions`, `times` and `asked` (seconds since 1970 UTC), `surfaces`, oldest first.
            items: ids of the catalogue, in the order of its rows from 1.
            lookups: the vocabularies `action` and `surface`.
            recency: the weight of an entry by its age.

        Raises:
            InputError: an item is not in the catalogue.
        """
        flat = {name: pc.list_flatten(listeners[name]) for name in ("items", "actions", "times", "asked", "surfaces")}
        lengths = pc.fill_null(pc.list_value_length(listeners["items"]), 0).to_numpy()
        place = pc.index_in(flat["items"], items)
        if place.null_count:
            missing = pc.unique(flat["items"].filter(place.is_null())).to_pylist()
            raise InputError(
                f"The items of histories must be in the catalogue. It lacks {len(missing)} of them, the first is "
                f"{missing[0]!r}.",
                "Give the catalogue of the same log.",
            )
        item = (place.to_numpy() + 1).astype(np.int32)
        time = flat["times"].to_numpy().astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        order = ties(offsets, time, item)
        item, time, asked = item[order], time[order], flat["asked"].to_numpy().astype(np.int64)[order]
        flat = {name: flat[name].take(pa.array(order)) for name in ("actions", "surfaces")}
        action, surface = (lookups[n].encode(flat[f"{n}s"]) for n in ("action", "surface"))
        target = targets(flat["actions"], item, offsets)
        return cls(item, action, surface, time, asked, target, recency.weights(time), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def timed(self) -> bool:
        """Whether the log states times."""
        return bool(self.time.any())

    def clip(self, keep: np.ndarray) -> "Histories":
        """Keep the first `keep` `[listeners]` entries of each listener."""
        lengths = np.minimum(np.diff(self.offsets), np.maximum(keep, 0))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1] - offsets[:-1], lengths)
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "offsets"}
        return Histories(**columns, offsets=offsets)


def ties(offsets: np.ndarray, time: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Order entries by listener and time, and entries of the same time by a hash of listener and item.

    A log whose times are seconds or days is sorted by another column within one time, as a rule by item id. A model
    would learn that order in place of the listeners'. Same-time entries of one item stay together and keep their order.

    Args:
        offsets: see `Histories.offsets`.
        time: times of the entries, `[n]`, oldest first for each listener.
        item: items of the entries, `[n]`.

    Returns:
        Indices that put the entries in this order, int64 `[n]`.
    """
    listener = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64), np.diff(offsets))
    # SplitMix64 (Steele et al., OOPSLA 2014)
    mixed = (listener << np.uint64(32) | item.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.lexsort([np.arange(len(item)), mixed ^ mixed >> np.uint64(31), time, listener])


def targets(actions: pa.ChunkedArray, items: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mark the entries that a model is to predict, because the listener chose to hear the item: bool `[n]`.

    A skip is not a choice. A like or add of the item before it is not a new choice. For example, of "play a, like a,
    skip b" only the play is a target.

    Args:
        actions: actions of the entries, string `[n]`.
        items: items of the entries, `[n]`.
        offsets: see `Histories.offsets`.
    """
    action = np.asarray(actions.to_pylist(), object)
    again = np.zeros(len(items), bool)
    again[1:] = items[1:] == items[:-1]
    again[offsets[:-1][np.diff(offsets) > 0]] = False
    return np.isin(action, schema.POSITIVE) & ~(again & np.isin(action, (schema.LIKE, schema.ADD)))


@dataclass(frozen=True)
class Windows:
    """Training rows of a fixed length, which are cut from histories and packed anew for each epoch.

    A history that is longer than a row is cut at different places in each epoch, so that the model sees each entry
    after a long and after a short past. Short pieces share a row; `segment` tells them apart.

    Args:
        histories: histories of the train span.
        length: entries of a row.
        passes: times that an epoch goes over the histories.
        steps: the most batches of an epoch; None sets no limit.
    """

    histories: Histories
    length: int
    passes: int = 1
    steps: int | None = None

    @property
    def rows(self) -> int:
        """The rows of an epoch if all were full and `steps` set no limit; an epoch has a few more."""
        return self.passes * -(-len(self.histories.item) // self.length)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Yield the batches of an epoch: the arrays of `pack`, each `[batch_size, length]`.

        Rows that do not fill a batch are dropped, unless an epoch has fewer rows than one batch.

        Args:
            batch_size: rows of a batch.
            seed: seed of the cuts and of the order of rows. None cuts every `length` entries from the start and keeps
                the order.
            epoch: counted from 0.
        """
        rng = None if seed is None else np.random.default_rng([seed, epoch])
        passes = [pack(self.histories, self.length, rng) for _ in range(self.passes)]
        arrays = {name: np.concatenate([rows[name] for rows in passes]) for name in passes[0]}
        rows = len(arrays["item"])
        order = np.arange(rows) if rng is None else rng.permutation(rows)
        size = max(min(batch_size, rows), 1)
        for start in range(0, rows - size + 1, size)[: self.steps]:
            yield take(arrays, order[start : start + size])


def cut(offsets: np.ndarray, length: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Cut histories into pieces of consecutive entries to predict, at most `length` long.

    Each entry is predicted from the entries before it in its piece. The first entry of a history is a piece of its own,
    so that it is predicted without a past, as for a new listener.

    Args:
        offsets: see `Histories.offsets`.
        length: entries of a row.
        rng: draws the length of the first piece of a long history; None makes it as long as a row.

    Returns:
        The first entry of each piece and its number of entries, int64 `[pieces]` each.
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
    """Cut histories and pack the pieces into rows, longest piece first (see `first_fit`).

    Args:
        histories: histories of the train span.
        length: entries of a row.
        rng: draws the cuts and the order of pieces; None draws nothing.

    Returns:
        Arrays `[rows, length]`. `item`, `action` and `time` are those of the entry before the predicted one, 0 at the
        start of a history. `next_entry`, `next_action`, `next_surface`, `next_time` (of its request) and `weight` are
        those of the predicted entry. `next_item` is its item if the entry is a target, else 0. `segment` numbers the
        pieces of a row from 1; 0 fills the row.
    """
    starts, counts = cut(histories.offsets, length, rng)
    piece = np.argsort(-counts, kind="stable") if rng is None else rng.permutation(len(counts))
    piece = piece[np.argsort(-counts[piece], kind="stable")]
    row, place, segment, rows = first_fit(counts[piece], length)
    predicted = np.repeat(starts[piece], counts[piece]) + within(counts[piece])
    to = np.repeat(row * length + place, counts[piece]) + within(counts[piece])
    h = histories
    new = np.isin(predicted, h.offsets[:-1])  # first entries of a history, which have no entry before them
    columns = {
        **{name: np.where(new, 0, getattr(h, name)[predicted - 1]) for name in ("item", "action", "time")},
        "next_item": np.where(h.target[predicted], h.item[predicted], 0),
        "next_entry": h.item[predicted],
        "next_action": h.action[predicted],
        "next_surface": h.surface[predicted],
        "next_time": h.asked[predicted],
        "weight": h.weight[predicted],
        "segment": np.repeat(segment, counts[piece]).astype(np.int32),
    }
    return {name: scatter(values, to, rows, length) for name, values in columns.items()}


def first_fit(counts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Put each piece into the first open row that has room for it.

    At most `OPEN` rows are open. When there are more, the fullest row is closed.

    Args:
        counts: entries of each piece, `[pieces]`, at most `length`.
        length: entries of a row.

    Returns:
        For each piece its row, its first place in the row, and its number in the row from 1, int64 `[pieces]` each;
        and the number of rows.
    """
    row, place, segment = (np.zeros(len(counts), np.int64) for _ in range(3))
    open_rows: list[list[int]] = []  # of each: its number, the places used, the pieces
    rows = 0
    for index, count in enumerate(counts.tolist()):
        target = next((candidate for candidate in open_rows if candidate[1] + count <= length), None)
        if target is None:
            target = [rows, 0, 0]
            rows += 1
            open_rows.append(target)
            if len(open_rows) > OPEN:
                open_rows.remove(max(open_rows, key=lambda candidate: candidate[1]))
        row[index], place[index], segment[index] = target[0], target[1], target[2] + 1
        target[1] += count
        target[2] += 1
        if target[1] == length:
            open_rows.remove(target)
    return row, place, segment, rows


def within(counts: np.ndarray) -> np.ndarray:
    """Count from 0 within each of `counts`; for example [2, 3] gives [0, 1, 0, 1, 2]."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def scatter(values: np.ndarray, places: np.ndarray, rows: int, length: int) -> np.ndarray:
    """Write values `[n]` at flat places `[n]` of an array of zeros `[rows, length]`."""
    out = np.zeros(rows * length, values.dtype)
    out[places] = values
    return out.reshape(rows, length)


def requests(histories: Histories, listeners: np.ndarray, ends: np.ndarray, length: int) -> Arrays:
    """Build the model's inputs to predict some entries, from the last `length` entries before each.

    Args:
        histories: histories of all listeners.
        listeners: the listener of each predicted entry, `[n]`.
        ends: the index of each predicted entry in `histories`, `[n]`.
        length: entries of a row.

    Returns:
        `item`, `action`, `time`, `next_time`, `next_surface` and `segment`, `[n, length]` each, with the newest entry
        at the last place. `next_time` and `next_surface` are the time and surface of the request, at the last place
        only. Places without an entry have item 0 and segment 0; the last place always has segment 1.
    """
    h = histories
    source = ends[:, None] - length + np.arange(length)  # [n, length]
    present = source >= h.offsets[listeners][:, None]
    source = np.where(present, source, 0)
    past = {name: np.where(present, getattr(h, name)[source], 0) for name in ("item", "action", "time")}
    present[:, -1] = True  # a listener without a history makes a request too
    next_time, next_surface = np.zeros(source.shape, np.int64), np.zeros(source.shape, np.int32)
    next_time[:, -1], next_surface[:, -1] = h.asked[ends], h.surface[ends]
    return {**past, "next_time": next_time, "next_surface": next_surface, "segment": present.astype(np.int32)}
