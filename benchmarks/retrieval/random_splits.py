"""Random splits, as papers and tutorials measure on, and the training set that Segue's towers need for them.

In a random split the past is no guide: what a listener chose later may be known and what came before may be asked for.
So a history is a random sample of the listener's other known items; nothing is known of time but the clock, and all
statistics, which would tell of the held-out part, are empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import DataSet, Log, Task
from models.inputs.feature_names import HISTORY
from segue.files import read_json, write_json
from workloads.training_set import write_vocabularies

MAX_SAMPLES = 4  # histories that a heavy listener's query is averaged over
HELD_OUT = 0.05  # of the training rows, for early stopping and for the peers' regularization
STATIC = (
    "event_id", "user_id", "item_id", "ts", "positive", "content_type", "creator_id", "duration_s", "genre_weights",
    "language", "release_ts", "age_at_request_days", "age_band", "country", "plan", "text", "markets",
)  # fmt: skip
SHARES = ("genre_shares", "content_type_shares")
ACTIONS = ("like", "skip", "add")  # an interaction's action by its labels, the first that holds; else it is a play


@dataclass(frozen=True, eq=False)
class RandomSplit:
    """Distinct pairs of listener and item, cut at random.

    Args:
        rows: of the data set, `[n]`: the first interaction of each pair.
        log: the same, numbered.
        part: 0, 1, 2 for train, validation, test, int `[n]`.
    """

    rows: np.ndarray
    log: Log
    part: np.ndarray


def split(data: DataSet, share: float, by_listener: bool, seed: int) -> RandomSplit:
    """Cut a data set at random; a twentieth of what is not test is validation.

    A pair counts once, since a repeat would be known from the other part.

    Args:
        data: the data set.
        share: of the pairs for test.
        by_listener: whether that share is taken of each listener's pairs, or of all.
        seed: of the cut.
    """
    log = data.log
    _, rows = np.unique(log.user * log.items + log.item, return_index=True)  # the log is in order of time
    rows = np.sort(rows)
    log = log.take(rows)
    rng = np.random.default_rng(seed)
    listener = log.user if by_listener else np.zeros(len(rows), np.int64)
    test = drawn(listener, share, rng)
    part = np.where(test, 2, 0)
    rest = np.flatnonzero(~test)
    part[rest[drawn(np.zeros(len(rest), np.int64), HELD_OUT, rng)]] = 1
    return RandomSplit(rows, log, part)


def drawn(group: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of each group's rows, rounded: a mask `[n]`."""
    order = np.lexsort((rng.random(len(group)), group))
    counts = np.bincount(group)
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place < np.round(counts * share).astype(np.int64)[group]


def task(made: RandomSplit, known: np.ndarray, asked: np.ndarray, unseen: bool) -> Task:
    """One request for each listener who has a row among those asked for.

    Args:
        made: the split.
        known: which rows the listeners' histories are made of, bool `[n]`.
        asked: which rows are targets, bool `[n]`.
        unseen: what is known of a listener is no candidate.
    """
    log = made.log
    listeners = np.unique(log.user[asked])
    touched = log.take(known)
    ones = np.ones(len(touched.user), np.float32)
    history = csr_matrix((ones, (touched.user, touched.item)), shape=(log.users, log.items))[listeners]
    last = np.zeros(log.users, np.int64)
    np.maximum.at(last, log.user, np.where(known, log.ts, 0))
    targets = np.flatnonzero(asked)
    row = np.searchsorted(listeners, log.user[targets])
    order = np.argsort(row, kind="stable")
    instants = last[listeners] // 1_000_000
    return Task(listeners, instants, history, row[order], log.item[targets][order], None, unseen)


def training_set(data: DataSet, made: RandomSplit, seed: int, out: Path) -> np.ndarray:
    """Write a training set's folder of the pipeline's layout for a random split.

    Its rows have their content, profile, labels and time; the rest is empty. Histories are drawn from what is
    known: for train from train (never the row itself), for validation from train, for test from both.

    Args:
        data: the data set.
        made: its split.
        seed: of the histories.
        out: a folder that does not stand yet.

    Returns:
        The request (as `task` numbers them) of each row of `test.parquet`, where heavy listeners have several.
    """
    rng = np.random.default_rng(seed)
    rows = data.rows.take(pa.array(made.rows))
    action = actions(rows)
    out.mkdir(parents=True)
    train, fitted = made.part == 0, made.part < 2
    sizes = {}
    for name, own in (("train", train), ("validation", made.part == 1)):
        owners = np.flatnonzero(own)
        entries = list(samples(made.log, owners, train, rng))
        sizes[name] = write(out / f"{name}.parquet", rows, action, owners, entries)
    listeners = np.unique(made.log.user[made.part == 2])
    queries = [(request, entry) for request, entry in enumerate(chunks(made.log, listeners, fitted, rng))]
    request = np.array([request for request, entry in queries for _ in entry])
    entries = [chunk for _, entry in queries for chunk in entry]
    templates = last_rows(made.log, fitted)[listeners][request]
    sizes["test"] = write(out / "test.parquet", rows, action, templates, entries)
    for name in ("items_at_validation", "items_at_test", "items_now"):
        pq.write_table(static(data.items), out / f"{name}.parquet")
    heard = rows.filter(pa.array(train)).group_by("user_id").aggregate([("item_id", "list")])
    sequences = heard.select(["user_id", "item_id_list"]).rename_columns(["user_id", "items"])
    pq.write_table(sequences, out / "sequences.parquet")
    columns = pq.read_schema(data.training_set / "negatives.parquet").names
    pq.write_table(static(data.items).select(columns), out / "negatives.parquet")
    write_vocabularies(out)
    write_json(out / "manifest.json", {**read_json(data.training_set / "manifest.json"), "rows": sizes})
    return request


def samples(log: Log, rows: np.ndarray, pool: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """For each of some rows, at most 50 other rows of its listener that are in the pool, in order of time."""
    own = by_listener(log, pool)
    for row in rows:
        others = own[log.user[row]]
        others = others[others != row]
        if len(others) > HISTORY:
            others = np.sort(rng.choice(others, HISTORY, replace=False))
        yield others


def chunks(log: Log, listeners: np.ndarray, pool: np.ndarray, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """For each listener, samples of 50 rows of the pool until all are used, four at most, each in order of time."""
    own = by_listener(log, pool)
    for listener in listeners:
        order = rng.permutation(own[listener])
        count = min(MAX_SAMPLES, max(1, -(-len(order) // HISTORY)))
        last = max(0, min(len(order), MAX_SAMPLES * HISTORY) - HISTORY)
        starts = np.linspace(0, last, count).astype(np.int64)  # full samples, that may overlap
        yield [np.sort(order[start : start + HISTORY]) for start in starts]


def by_listener(log: Log, pool: np.ndarray) -> list[np.ndarray]:
    """The rows of the pool of each listener, in order of time."""
    rows = np.flatnonzero(pool)
    order = np.argsort(log.user[rows], kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(log.user[rows], minlength=log.users))[:-1])


def last_rows(log: Log, known: np.ndarray) -> np.ndarray:
    """The row whose profile and time stand for each listener, `[users]`: the last known one, else the first of all."""
    out = np.zeros(log.users, np.int64)
    out[log.user[::-1]] = np.arange(len(log.user))[::-1]
    rows = np.flatnonzero(known)
    out[log.user[rows]] = rows  # of equal numbers the last assignment holds
    return out


def actions(rows: pa.Table) -> np.ndarray:
    """What each interaction counts as in a history, strings `[n]`."""
    out = np.full(rows.num_rows, "play", object)
    for name in reversed(ACTIONS):
        out[rows[f"label_{name}"].fill_null(0).to_numpy() > 0] = name
    return out


def write(path: Path, rows: pa.Table, action: np.ndarray, owners: np.ndarray, entries: list[np.ndarray]) -> int:
    """Write `owners`, rows of `rows`, each with the rows of its history; how many there are.

    An entry of a history is as old as the request, so that its distance in time tells nothing.
    """
    table = static(rows.take(pa.array(owners)))
    bounds = np.concatenate([[0], np.cumsum([len(entry) for entry in entries])]).astype(np.int32)
    flat = np.concatenate([*entries, np.zeros(0, np.int64)]).astype(np.int64)
    instant = table["ts"].cast(pa.int64()).to_numpy() // 1_000_000
    lists = {
        "history_items": rows["item_id"].combine_chunks().take(pa.array(flat)),
        "history_actions": pa.array(action[flat], pa.string()),
        "history_times": pa.array(np.repeat(instant, np.diff(bounds))),
    }
    for name, values in lists.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.ListArray.from_arrays(bounds, values))
    pq.write_table(table, path, compression="zstd")
    return table.num_rows


def static(table: pa.Table) -> pa.Table:
    """A table with what a random split may know: shares of what was heard are 0, other statistics null."""
    columns = []
    for field in table.schema:
        if field.name in STATIC or field.name.startswith("label_"):
            columns.append(table[field.name])
        elif field.name in SHARES:
            columns.append(zeros(table[field.name]))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
    return pa.table(columns, schema=table.schema)


def zeros(column: pa.ChunkedArray) -> pa.ListArray:
    """A list column's shape, filled with 0."""
    from models.inputs.arrow_columns import vector_width

    width = vector_width(column)
    bounds = np.arange(len(column) + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(bounds, pa.array(np.zeros(bounds[-1], np.float32)))
