"""The random splits of papers and tutorials, and the training sets that Segue's models need for them.

In a random split train holds choices that are later than those in test, so features that follow the order of time
would leak. A history is therefore a random sample of the listener's other known items, each as old as the request,
and all statistics are empty because they would count held-out choices. Only the request's own time is kept.
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

MAX_SAMPLES = 4  # most histories that the query of a listener with many items is averaged over
HELD_OUT = 0.05  # share of the training rows for early stopping and for the peers' regularization
STATIC = (
    "event_id", "user_id", "item_id", "ts", "positive", "content_type", "creator_id", "duration_s", "genre_weights",
    "language", "release_ts", "age_at_request_days", "age_band", "country", "plan", "text", "markets",
)  # fmt: skip
SHARES = ("genre_shares", "content_type_shares")
ACTIONS = ("like", "skip", "add")  # an interaction's action is the first whose label is positive, or else `play`


@dataclass(frozen=True, eq=False)
class RandomSplit:
    """Distinct pairs of listener and item, split at random.

    Args:
        rows: row in the data set of each pair's first interaction, `[n]`.
        log: the same rows as numbers.
        part: 0, 1 or 2 for train, validation or test, int `[n]`.
    """

    rows: np.ndarray
    log: Log
    part: np.ndarray


def split(data: DataSet, share: float, by_listener: bool, seed: int) -> RandomSplit:
    """Split a data set at random; a twentieth of the rows that are not test is validation.

    Each pair of listener and item is kept once, because a repeat in train would give away its copy in test.

    Args:
        data: the data set.
        share: share of the pairs that is test.
        by_listener: True takes the share of each listener's pairs, False of all pairs.
        seed: seed of the split.
    """
    log = data.log
    _, rows = np.unique(log.user * log.items + log.item, return_index=True)  # the log is in order of time
    rows = np.sort(rows)
    log = log.take(rows)
    rng = np.random.default_rng(seed)
    group = log.user if by_listener else np.zeros(len(rows), np.int64)
    test = draw(group, share, rng)
    part = np.where(test, 2, 0)
    rest = np.flatnonzero(~test)
    part[rest[draw(np.zeros(len(rest), np.int64), HELD_OUT, rng)]] = 1
    return RandomSplit(rows, log, part)


def draw(group: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a share of each group's rows, rounded to whole rows; bool `[n]`."""
    order = np.lexsort((rng.random(len(group)), group))
    counts = np.bincount(group)
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place < np.round(counts * share).astype(np.int64)[group]


def task(pairs: RandomSplit, in_history: np.ndarray, is_target: np.ndarray, unseen: bool) -> Task:
    """One request per listener who has a target, at the time of the last entry in the listener's history.

    Args:
        pairs: the split.
        in_history: the rows that make up the listeners' histories, bool `[n]`.
        is_target: the rows that are targets, bool `[n]`.
        unseen: whether items of the history are excluded from the candidates.
    """
    log = pairs.log
    listeners = np.unique(log.user[is_target])
    entries = log.take(in_history)
    ones = np.ones(len(entries.user), np.float32)
    history = csr_matrix((ones, (entries.user, entries.item)), shape=(log.users, log.items))[listeners]
    last = np.zeros(log.users, np.int64)
    np.maximum.at(last, log.user, np.where(in_history, log.ts, 0))
    targets = np.flatnonzero(is_target)
    row = np.searchsorted(listeners, log.user[targets])
    order = np.argsort(row, kind="stable")
    instants = last[listeners] // 1_000_000
    return Task(listeners, instants, history, row[order], log.item[targets][order], None, unseen)


def training_set(data: DataSet, pairs: RandomSplit, seed: int, out: Path) -> np.ndarray:
    """Write a training set in the pipeline's layout for a random split.

    Rows keep their content, profile, labels and time; all other columns are empty. Histories are drawn from the
    listener's other items: from train for train and validation, from train and validation for test.

    Args:
        data: the data set.
        pairs: its random split.
        seed: seed of the histories.
        out: the folder to write, which must not exist yet.

    Returns:
        The request, as `task` numbers them, of each row of `test.parquet`; a listener with many items has several rows.
    """
    rng = np.random.default_rng(seed)
    log = pairs.log
    rows = data.rows.take(pa.array(pairs.rows))
    action = actions(rows)
    out.mkdir(parents=True)
    train, train_and_validation = pairs.part == 0, pairs.part < 2
    sizes = {}
    for name, mask in (("train", train), ("validation", pairs.part == 1)):
        owners = np.flatnonzero(mask)
        entries = list(row_histories(log, owners, train, rng))
        sizes[name] = write(out / f"{name}.parquet", rows, action, owners, entries)
    listeners = np.unique(log.user[pairs.part == 2])
    listener_histories = list(query_histories(log, listeners, train_and_validation, rng))
    request = np.repeat(np.arange(len(listeners)), [len(histories) for histories in listener_histories])
    entries = [history for histories in listener_histories for history in histories]
    templates = last_rows(log, train_and_validation)[listeners][request]
    sizes["test"] = write(out / "test.parquet", rows, action, templates, entries)
    for name in ("items_at_validation", "items_at_test", "items_now"):
        pq.write_table(static(data.items), out / f"{name}.parquet")
    item_lists = rows.filter(pa.array(train)).group_by("user_id").aggregate([("item_id", "list")])
    sequences = item_lists.select(["user_id", "item_id_list"]).rename_columns(["user_id", "items"])
    pq.write_table(sequences, out / "sequences.parquet")
    columns = pq.read_schema(data.training_set / "negatives.parquet").names
    pq.write_table(static(data.items).select(columns), out / "negatives.parquet")
    write_vocabularies(out)
    write_json(out / "manifest.json", {**read_json(data.training_set / "manifest.json"), "rows": sizes})
    return request


def row_histories(log: Log, rows: np.ndarray, pool: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield a history for each row: at most 50 other rows of the same listener from the pool, in order of time.

    Args:
        log: the log of the split.
        rows: numbers of the rows that need a history.
        pool: the rows that a history may take, bool `[n]`.
        rng: draws the rows where the pool has more than 50.
    """
    own = rows_by_listener(log, pool)
    for row in rows:
        others = own[log.user[row]]
        others = others[others != row]
        if len(others) > HISTORY:
            others = np.sort(rng.choice(others, HISTORY, replace=False))
        yield others


def query_histories(
    log: Log, listeners: np.ndarray, pool: np.ndarray, rng: np.random.Generator
) -> Iterator[list[np.ndarray]]:
    """Yield up to four histories for each listener, which together cover up to 200 of the listener's rows in the pool.

    A listener with more than 50 rows gets only full histories of 50 rows, so two of them may overlap.

    Args:
        log: the log of the split.
        listeners: numbers of the listeners.
        pool: the rows that a history may take, bool `[n]`.
        rng: draws the order in which rows are taken.
    """
    own = rows_by_listener(log, pool)
    for listener in listeners:
        order = rng.permutation(own[listener])
        count = min(MAX_SAMPLES, max(1, -(-len(order) // HISTORY)))
        last = max(0, min(len(order), MAX_SAMPLES * HISTORY) - HISTORY)
        starts = np.linspace(0, last, count).astype(np.int64)
        yield [np.sort(order[start : start + HISTORY]) for start in starts]


def rows_by_listener(log: Log, pool: np.ndarray) -> list[np.ndarray]:
    """Each listener's rows in the pool, in order of time."""
    rows = np.flatnonzero(pool)
    order = np.argsort(log.user[rows], kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(log.user[rows], minlength=log.users))[:-1])


def last_rows(log: Log, pool: np.ndarray) -> np.ndarray:
    """The row that gives each listener's profile and time: the last in the pool, or else the listener's first row.

    Args:
        log: the log of the split.
        pool: the rows to prefer, bool `[n]`.

    Returns:
        Row numbers, int `[users]`.
    """
    out = np.zeros(log.users, np.int64)
    out[log.user[::-1]] = np.arange(len(log.user))[::-1]
    rows = np.flatnonzero(pool)
    out[log.user[rows]] = rows  # of several rows of one listener, NumPy keeps the last assignment
    return out


def actions(rows: pa.Table) -> np.ndarray:
    """The action that each interaction has in a history, strings `[n]`."""
    out = np.full(rows.num_rows, "play", object)
    for name in reversed(ACTIONS):
        out[rows[f"label_{name}"].fill_null(0).to_numpy() > 0] = name
    return out


def write(path: Path, rows: pa.Table, action: np.ndarray, owners: np.ndarray, entries: list[np.ndarray]) -> int:
    """Write rows with their histories to a Parquet file.

    All entries of a history get the time of the request, because real times would show which part they come from.

    Args:
        path: the file to write.
        rows: the rows of the split.
        action: the action of each of them, from `actions`.
        owners: numbers of the rows to write.
        entries: for each of the rows to write, numbers of the rows in its history.

    Returns:
        The number of rows written.
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
    """Copy a table without its statistics: shares of genres and content types become 0, all others null."""
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
    """A list column of the same shape, filled with 0."""
    from models.inputs.arrow_columns import vector_width

    width = vector_width(column)
    bounds = np.arange(len(column) + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(bounds, pa.array(np.zeros(bounds[-1], np.float32)))
