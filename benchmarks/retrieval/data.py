"""The retrieval benchmark's data: a data set's positives, and requests with the items that followed them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from benchmarks.data_sets import canonical_tables, make_training_set
from events.splits import SPANS
from models.evaluation.baselines import Interactions
from models.inputs.arrow_columns import seconds


@dataclass(frozen=True, eq=False)
class Log:
    """Positives in order of time, with listeners and items as numbers.

    Args:
        user: number of each positive's listener, from 0, int `[n]`.
        item: number of its item, from 0, int `[n]`.
        ts: its time in microseconds since 1970 UTC, int64 `[n]`.
        users: number of listeners.
        items: number of items in the catalogue.
    """

    user: np.ndarray
    item: np.ndarray
    ts: np.ndarray
    users: int
    items: int

    def take(self, rows: np.ndarray) -> "Log":
        """Return the log of some rows, given as a boolean mask or as row numbers."""
        return replace(self, user=self.user[rows], item=self.item[rows], ts=self.ts[rows])

    def interactions(self) -> Interactions:
        """The positives in the form that the baselines take."""
        return Interactions(self.user, self.item, self.ts // 1_000_000, self.users, self.items)


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set and the training set that the pipeline makes of it.

    Args:
        training_set: folder of the training set.
        name: name of the data set, from its importer.
        rows: the positives of all parts, with all columns of a training set.
        part: 0, 1 or 2 for train, validation or test, int `[n]`.
        log: the same rows as numbers.
        user_ids: ids of the listeners by number, strings `[users]`.
        items: the catalogue as of the test span's start, in the order of item numbers.
    """

    training_set: Path
    name: str
    rows: pa.Table
    part: np.ndarray
    log: Log
    user_ids: np.ndarray
    items: pa.Table

    @property
    def item_ids(self) -> np.ndarray:
        """Ids of the items by number, strings `[items]`."""
        return np.asarray(self.items["item_id"].to_pylist())

    @property
    def release_ts(self) -> np.ndarray:
        """Release time of each item in seconds since 1970 UTC, 0 if unknown, int64 `[items]`."""
        return pc.fill_null(self.items["release_ts"], 0).to_numpy()


@dataclass(frozen=True, eq=False)
class Task:
    """Requests, each of one listener at one instant, and their targets: the items that followed.

    Args:
        user: number of each request's listener, int `[n]`.
        ts: time of each request in seconds since 1970 UTC, int64 `[n]`.
        history: nonzero where the request's history has the item, `[n, items]`.
        row: the request that each target belongs to, ascending, int `[m]`.
        item: number of each target item, int `[m]`.
        release: release time of each item in seconds since 1970 UTC, int64 `[items]`; items released after a request
            are not its candidates. None makes every item a candidate.
        unseen: whether items of the history are excluded from the candidates.
    """

    user: np.ndarray
    ts: np.ndarray
    history: csr_matrix
    row: np.ndarray
    item: np.ndarray
    release: np.ndarray | None
    unseen: bool

    def allowed(self, rows: slice) -> np.ndarray:
        """Whether each item is a candidate of each request, bool `[b, items]`; the rule is the same for every model."""
        history = self.history[rows]
        allowed = np.ones(history.shape, bool)
        if self.release is not None:
            allowed &= self.release[None, :] <= self.ts[rows][:, None]
        if self.unseen:
            allowed[history.nonzero()] = False
        return allowed


def histories(log: Log, user: np.ndarray, ts: np.ndarray) -> csr_matrix:
    """A matrix with 1 where the listener has a positive of the item strictly before an instant, float32 `[n, items]`.

    Args:
        log: the positives.
        user: number of each row's listener, `[n]`.
        ts: each row's instant in microseconds since 1970 UTC, int64 `[n]`.
    """
    instants = np.unique(log.ts)
    width = len(instants) + 1
    key = log.user.astype(np.int64) * width + np.searchsorted(instants, log.ts)
    order = np.argsort(key, kind="stable")
    start = np.searchsorted(key[order], user * width)
    end = np.searchsorted(key[order], user * width + np.searchsorted(instants, ts))
    bounds = np.concatenate([[0], np.cumsum(end - start)])
    entry = np.arange(bounds[-1]) + np.repeat(end - bounds[1:], end - start)
    matrix = csr_matrix((np.ones(len(entry), np.float32), log.item[order[entry]], bounds), shape=(len(user), log.items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def prepare(data: str, base: Path, seed: int) -> DataSet:
    """Make a data set's training set in the folder `base`, as a training run does, and read it.

    Args:
        data: a folder of original MovieLens or Last.fm files or of canonical tables, or a synthetic world's size.
        base: an empty folder.
        seed: seed of a synthetic world.

    Raises:
        InputError: there is no such folder or size, or the importer refuses the files.
    """
    manifest = make_training_set(canonical_tables(data, base, seed), base)
    return read(base / "training_set", manifest["dataset"])


def read(training_set: Path, name: str) -> DataSet:
    """Read the positives of a training set and number its listeners and items."""
    parts = [pq.read_table(training_set / f"{part}.parquet", filters=pc.field("positive")) for part in SPANS]
    rows = pa.concat_tables(parts).combine_chunks()
    items = pq.read_table(training_set / "items_at_test.parquet")
    users = pc.unique(rows["user_id"])
    log = Log(
        pc.index_in(rows["user_id"], users).to_numpy().astype(np.int64),
        pc.index_in(rows["item_id"], items["item_id"].combine_chunks()).to_numpy().astype(np.int64),
        rows["ts"].cast(pa.int64()).to_numpy(),
        len(users),
        items.num_rows,
    )
    part = np.repeat(np.arange(len(SPANS)), [table.num_rows for table in parts])
    return DataSet(training_set, name, rows, part, log, np.asarray(users.to_pylist()), items)


def requests(data: DataSet, rows: np.ndarray, unseen: bool) -> Task:
    """One request per target row, at the row's instant, with the listener's whole history before it.

    Args:
        data: the data set; a history takes positives of all parts, as long as they are earlier.
        rows: numbers of the target rows, ascending, `[n]`.
        unseen: whether items of the history are excluded from the candidates.
    """
    targets = data.log.take(rows)
    return Task(
        targets.user,
        seconds(data.rows["ts"].take(pa.array(rows))),
        histories(data.log, targets.user, targets.ts),
        np.arange(len(rows)),
        targets.item,
        data.release_ts,
        unseen,
    )
