"""What the sequence benchmark is run on: listeners' histories, and the last two choices of each held out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from benchmarks.retrieval.data import FRACTIONS, SIZES, canonical
from events import schema
from models.evaluation.baselines import Interactions
from models.inputs.arrow_columns import vector_width
from models.inputs.axes import Axes
from models.inputs.encoder import Encoder
from models.inputs.feature_names import ITEM_STRINGS, USER_STRINGS
from models.inputs.vocabulary import Lookup
from models.sequence.histories import Histories
from segue.errors import InputError
from workloads.training_set import REPEATS

HEADERS = ("user", "user_id", "uid", "userid")  # what a first line begins with that is no listener's
KINDS = ("", "token", "token_seq", "float", "float_seq")  # that may follow it behind a colon
BLANKS = re.compile("[ \t]+")  # and no other white space: names of artists have them all
SEQUENCES = "sequences.tsv"
CHOICES = 3  # that a listener needs to be asked about: one to learn from, one for validation, one for test
TOKENS = {"action": list(schema.INTERACTIONS), "surface": list(schema.SURFACES)}


@dataclass(frozen=True, eq=False)
class Requests:
    """Choices to predict, one a listener.

    Args:
        listener: whose, int `[n]`.
        entry: which entry of the histories is the choice, int `[n]`.
        item: number of the item chosen, from 0, int `[n]`.
    """

    listener: np.ndarray
    entry: np.ndarray
    item: np.ndarray

    def take(self, rows: np.ndarray) -> "Requests":
        """Some of them, by number."""
        return Requests(self.listener[rows], self.entry[rows], self.item[rows])


@dataclass(frozen=True, eq=False)
class Sequences:
    """A data set for leave-one-out: the last choice of each listener is test, the one before it validation.

    Args:
        name: of the data set.
        histories: all entries; an item's row is its number + 1.
        items: the catalogue by number, as `models.inputs.encoder.Encoder` takes it.
        train: entries that training may see of each listener, `[listeners]`.
        validation: requests; they know what came before.
        test: requests; they know what came before, validation's choices among it.
        unseen: items of the history are no candidates.
    """

    name: str
    histories: Histories
    items: pa.Table
    train: np.ndarray
    validation: Requests
    test: Requests
    unseen: bool

    @property
    def training(self) -> Histories:
        """What training may see."""
        return self.histories.clip(self.train)

    def known(self, requests: Requests) -> csr_matrix:
        """1 where a listener has had an item before a request, `[n, items]`."""
        begin = self.histories.offsets[requests.listener]
        lengths = requests.entry - begin
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], lengths)
        ones = np.ones(len(entries), np.float32)
        shape = (len(lengths), self.items.num_rows)
        found = csr_matrix((ones, self.histories.item[entries] - 1, bounds), shape=shape)
        found.sum_duplicates()
        found.data[:] = 1
        return found

    def interactions(self) -> Interactions:
        """The choices that training may see, as the baselines take them."""
        h = self.training
        user = np.repeat(np.arange(len(h)), np.diff(h.offsets))[h.target]
        return Interactions(user, h.item[h.target].astype(np.int64) - 1, h.time[h.target], len(h), self.items.num_rows)

    def encoder(self) -> Encoder:
        """An encoder whose vocabularies are what training saw."""
        seen = np.unique(self.training.item) - 1
        known = self.items.take(pa.array(seen))
        tokens = {n: sorted(t for t in pc.unique(known[n]).to_pylist() if t) for n in ITEM_STRINGS}
        unstated: dict[str, list[str]] = {name: [] for name in USER_STRINGS}
        return Encoder(Axes(tokens | unstated | TOKENS, vector_width(self.items["genre_weights"]), 1), self.items)


def read(data: str, seed: int) -> Sequences:
    """Read a data set.

    Args:
        data: a plain file or a folder with `sequences.tsv`; or what `retrieval_data.canonical` takes.
        seed: of a synthetic world.

    Raises:
        InputError: no such file, a line that breaks the format, or nobody with three choices.
    """
    path = Path(data)
    if (path / SEQUENCES).is_file():
        path = path / SEQUENCES
    if data not in SIZES and path.is_file():
        ids, sequences = plain(path)
        return split(path.stem, Histories.of_items(sequences), nothing_but(ids))
    return from_tables(data, seed)


def plain(path: Path) -> tuple[list[str], list[np.ndarray]]:
    """Ids of the items, and the rows of each listener's: `user<TAB>item item …` or `user item item …`, oldest first.

    Raises:
        InputError: a line without an item, a listener in two lines, or no UTF-8.
    """
    rows: dict[str, int] = {}
    seen: dict[str, int] = {}
    sequences = []
    first = True
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(utf8(file, path), 1):
            user, items = user_and_items(line)
            if not user:
                continue
            name, _, kind = user.lower().partition(":")
            header, first = first and name in HEADERS and kind in KINDS, False
            if header:
                continue
            if not items:
                raise InputError(
                    f"Each line names a listener and what they had: {path}, line {number} has {line.strip()!r} alone.",
                    "Write `user item item …`, oldest first, with blanks or a tab between.",
                )
            if user in seen:
                raise InputError(
                    f"A listener has one line: {user!r} is in lines {seen[user]} and {number} of {path}.",
                    "Join the lines of a listener, oldest first.",
                )
            seen[user] = number
            sequences.append(np.array([rows.setdefault(item, len(rows) + 1) for item in items], np.int32))
    return list(rows), sequences


def user_and_items(line: str) -> tuple[str, list[str]]:
    """A line's listener, up to the first tab if it has one, and items; '' for an empty line."""
    known = line.strip(" \t\r\n")
    user, _, items = known.partition("\t") if "\t" in known else known.partition(" ")
    return user.strip(" "), [item for item in BLANKS.split(items) if item]


def utf8(file: Iterable[str], path: Path) -> Iterator[str]:
    """The lines of a file.

    Raises:
        InputError: it is no text in UTF-8.
    """
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be text in UTF-8: {error}.", "Convert it, or unpack it.") from error


def nothing_but(ids: list[str]) -> pa.Table:
    """A catalogue of which only the ids are known."""
    count = len(ids)
    return pa.table({
        "item_id": ids,
        "genre_weights": pa.array([[0.0]] * count, pa.list_(pa.float32())),
        "duration_s": pa.nulls(count, pa.float32()),
        "release_ts": pa.nulls(count, pa.int64()),
        **{name: pa.nulls(count, pa.string()) for name in ITEM_STRINGS[1:]},
    })  # fmt: skip


def from_tables(data: str, seed: int) -> Sequences:
    """A data set of canonical tables, or what can be imported as such, with its catalogue's content."""
    from events.ingest import ingest
    from feature_repo import transformations as T
    from feature_repo.build import EARLIEST, vocabularies
    from feature_repo.engine import duckdb_engine

    with TemporaryDirectory(prefix="segue-bench-") as folder, duckdb_engine() as engine:
        base = Path(folder)
        manifest = ingest(canonical(data, base, seed), base / "ingested", FRACTIONS)
        events, items = (engine.read_parquet(base / "ingested" / f"{name}.parquet") for name in ("events", "items"))
        axes = vocabularies(engine.to_pyarrow(items.select("genres", "content_type")))
        profile = T.item_profile(items, axes.genres, axes.content_types, EARLIEST)
        described = profile.join(T.item_content(items), "item_id").order_by("item_id")
        catalogue = engine.to_pyarrow(described)
        listeners = engine.to_pyarrow(T.requested_sequences(events).order_by("user_id"))
    lookups = {name: Lookup(tokens) for name, tokens in TOKENS.items()}
    histories = Histories.of_table(listeners, catalogue["item_id"].combine_chunks(), lookups)
    return split(manifest["dataset"], histories, catalogue)


def split(name: str, histories: Histories, items: pa.Table) -> Sequences:
    """Hold out the last two choices of each listener who has three.

    Raises:
        InputError: nobody has three choices.
    """
    chosen = np.flatnonzero(histories.target)
    listener = np.searchsorted(histories.offsets, chosen, side="right") - 1
    count = np.bincount(listener, minlength=len(histories))
    asked = np.flatnonzero(count >= CHOICES)
    if len(asked) == 0:
        raise InputError(
            f"Leave-one-out needs a listener with {CHOICES} choices; the most that one has is {max(count, default=0)}.",
            "Give a longer log.",
        )
    last = np.cumsum(count)[asked] - 1
    test, validation = chosen[last], chosen[last - 1]
    keep = np.diff(histories.offsets)
    keep[asked] = validation - histories.offsets[asked]
    held_out, last_ones = (Requests(asked, at, histories.item[at].astype(np.int64) - 1) for at in (validation, test))
    unseen = repeat_share(histories.clip(keep)) < REPEATS
    return Sequences(name, histories, items, keep, held_out, last_ones, unseen)


def repeat_share(histories: Histories) -> float:
    """Share of the choices, less each listener's first, whose item the listener had before; 1 if there are none: then
    nothing says that items are not had twice."""
    listener = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))
    pair = listener.astype(np.int64) * (int(histories.item.max(initial=0)) + 1) + histories.item
    _, first = np.unique(pair, return_index=True)
    again = np.ones(len(pair), bool)
    again[first] = False
    counted = histories.target.copy()
    counted[histories.offsets[:-1][np.diff(histories.offsets) > 0]] = False
    return float(again[counted].mean()) if counted.any() else 1.0
