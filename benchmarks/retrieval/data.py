"""What the retrieval benchmark is run on: a data set's positives, and requests with what followed them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from events.splits import PARTS
from models.evaluation.baselines import Interactions
from models.inputs.arrow_columns import seconds
from segue.errors import InputError

SIZES = ("nano", "small", "large")
FRACTIONS = (0.8, 0.1, 0.1)  # of the time split: the pipeline's own
# Which importer a folder of original files is for, by a file that it has.
ORIGINALS = {
    "u.data": "movielens", "ratings.dat": "movielens", "ratings.csv": "movielens",
    "user_taggedartists-timestamps.dat": "lastfm",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Log:
    """Positives in order of time, numbered.

    Args:
        user: the listener of each, int `[n]`, from 0 up to `users`.
        item: its item, int `[n]`, from 0 up to `items`.
        ts: its time, int64 microseconds, `[n]`.
        users: listeners there are.
        items: items of the catalogue.
    """

    user: np.ndarray
    item: np.ndarray
    ts: np.ndarray
    users: int
    items: int

    def take(self, rows: np.ndarray) -> "Log":
        """Some of the rows, by mask or by number."""
        return replace(self, user=self.user[rows], item=self.item[rows], ts=self.ts[rows])

    def interactions(self) -> Interactions:
        """As the baselines take them."""
        return Interactions(self.user, self.item, self.ts // 1_000_000, self.users, self.items)


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set with its training set as the pipeline makes it.

    Args:
        training_set: the folder.
        name: what the importer calls the data set.
        rows: the positives of all parts, with all columns of a training set.
        part: 0, 1, 2 for train, validation, test, int `[n]`.
        log: the same rows, numbered.
        user_ids: ids of the listeners by number, strings `[users]`.
        items: the catalogue as of the test span's start; rows by number.
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
        """When each item came out, int64 seconds `[items]`, 0 if unknown."""
        return pc.fill_null(self.items["release_ts"], 0).to_numpy()


@dataclass(frozen=True, eq=False)
class Task:
    """Requests, one listener at one instant each, and the items that followed them.

    Args:
        user: the listener of each request, int `[n]`.
        ts: when, int64 seconds `[n]`.
        history: not 0 where the listener touched the item before, `[n, items]`.
        row: the request of each target, ascending, int `[m]`.
        item: the target, int `[m]`.
        release: when each item came out, int64 seconds `[items]`: later ones are no candidates. None: all are.
        unseen: items of the history are no candidates.
    """

    user: np.ndarray
    ts: np.ndarray
    history: csr_matrix
    row: np.ndarray
    item: np.ndarray
    release: np.ndarray | None
    unseen: bool

    def allowed(self, rows: slice) -> np.ndarray:
        """The candidates of some requests, bool `[b, items]`; the same rule for every model."""
        history = self.history[rows]
        allowed = np.ones(history.shape, bool)
        if self.release is not None:
            allowed &= self.release[None, :] <= self.ts[rows][:, None]
        if self.unseen:
            allowed[history.nonzero()] = False
        return allowed


def histories(log: Log, user: np.ndarray, ts: np.ndarray) -> csr_matrix:
    """1 where a listener touched an item strictly before an instant, float32 `[n, items]`.

    Args:
        log: what was touched.
        user: the listener of each row, `[n]`.
        ts: the instant, int64 microseconds `[n]`.
    """
    instants = np.unique(log.ts)
    width = len(instants) + 1
    key = log.user.astype(np.int64) * width + np.searchsorted(instants, log.ts)
    order = np.argsort(key, kind="stable")
    start = np.searchsorted(key[order], user * width)
    end = np.searchsorted(key[order], user * width + np.searchsorted(instants, ts))
    bounds = np.concatenate([[0], np.cumsum(end - start)])
    entry = np.arange(bounds[-1]) + np.repeat(end - bounds[1:], end - start)
    found = csr_matrix((np.ones(len(entry), np.float32), log.item[order[entry]], bounds), shape=(len(user), log.items))
    found.sum_duplicates()
    found.data[:] = 1
    return found


def prepare(data: str, base: Path, seed: int) -> DataSet:
    """Make a data set's training set as a training run makes it, in the folder `base`.

    Args:
        data: a folder of original MovieLens or Last.fm files or of canonical tables, or a synthetic world's size.
        base: an empty folder.
        seed: of a synthetic world.

    Raises:
        InputError: no such folder or size, or what the import says of the files.
    """
    from events.ingest import ingest
    from feature_repo.build import build
    from workloads.make_training_set import make

    ingest(canonical(data, base, seed), base / "ingested", FRACTIONS)
    build(base / "ingested", base / "tables")
    manifest = make(base / "ingested", base / "tables", base / "training_set")
    return read(base / "training_set", manifest["dataset"])


def canonical(data: str, base: Path, seed: int) -> Path:
    """The folder of canonical tables that `data` names; they are made if need be."""
    from events.dataset import MANIFEST, write
    from events.imported import Imported
    from events.importers import lastfm, movielens
    from events.importers.synthetic import generate, sized

    folder = Path(data)
    if data not in SIZES and (folder / MANIFEST).is_file():
        return folder
    known = [name for file, name in ORIGINALS.items() if (folder / file).is_file()]
    if data not in SIZES and not known:
        raise InputError(
            f"--data is a folder of MovieLens, Last.fm or imported files, or {', '.join(SIZES)}. Received {data}.",
            "Import a log of another kind first, and give the folder that `segue data import` wrote.",
        )
    imported: Imported
    if data in SIZES:
        imported = generate(sized(data), seed)
    else:
        imported = {"movielens": movielens.read, "lastfm": lastfm.read}[known[0]](folder)
    write(base / "data", imported)
    return base / "data"


def read(training_set: Path, name: str) -> DataSet:
    """Number the positives of a training set."""
    parts = [pq.read_table(training_set / f"{part}.parquet", filters=pc.field("positive")) for part in PARTS]
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
    part = np.repeat(np.arange(len(PARTS)), [table.num_rows for table in parts])
    return DataSet(training_set, name, rows, part, log, np.asarray(users.to_pylist()), items)


def requests(data: DataSet, rows: np.ndarray, unseen: bool) -> Task:
    """One request for each of some rows, at its own instant, from the listener's whole history until then.

    Args:
        data: the data set; positives of all its parts are history once they are past.
        rows: numbers of the rows that are targets, ascending, `[n]`.
        unseen: what the listener touched before is no candidate.
    """
    asked = data.log.take(rows)
    return Task(
        asked.user,
        seconds(data.rows["ts"].take(pa.array(rows))),
        histories(data.log, asked.user, asked.ts),
        np.arange(len(rows)),
        asked.item,
        data.release_ts,
        unseen,
    )
