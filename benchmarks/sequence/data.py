"""The sequence benchmark's data: listeners' histories, with the last two choices of each listener held out."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from benchmarks.data_sets import FRACTIONS, SIZES, canonical_tables
from events import schema
from models.evaluation.baselines import Interactions
from models.evaluation.metrics import rank_of_target
from models.inputs.arrow_columns import vector_width
from models.inputs.axes import Axes
from models.inputs.encoder import Encoder
from models.inputs.feature_names import ITEM_STRINGS, USER_STRINGS
from models.inputs.vocabulary import Lookup
from models.sequence.histories import Histories
from segue.errors import InputError
from workloads.training_set import REPEATS

HEADERS = ("user", "user_id", "uid", "userid")  # first words that mark a first line as a header
COLUMN_TYPES = ("", "token", "token_seq", "float", "float_seq")  # may follow a header's word after a colon
BLANKS = re.compile("[ \t]+")  # no other white space separates items, because names of artists contain all kinds
SEQUENCES = "sequences.tsv"
CHOICES = 3  # least choices of a listener with requests: one to learn from, one for validation, one for test
TOKENS = {"action": list(schema.INTERACTIONS), "surface": list(schema.SURFACES)}


@dataclass(frozen=True, eq=False)
class Requests:
    """Choices to predict, one per listener.

    Args:
        listener: number of each listener, int `[n]`.
        entry: place of the choice among the entries of all histories, int `[n]`.
        item: number of the chosen item, from 0, int `[n]`.
    """

    listener: np.ndarray
    entry: np.ndarray
    item: np.ndarray

    def take(self, rows: np.ndarray) -> "Requests":
        """Select requests by number."""
        return Requests(self.listener[rows], self.entry[rows], self.item[rows])


@dataclass(frozen=True, eq=False)
class Sequences:
    """A data set for leave-one-out: each listener's last choice is test, and the choice before it is validation.

    Args:
        name: name of the data set.
        histories: all entries; an item is stored as its number + 1.
        items: the catalogue in the order of item numbers, as `models.inputs.encoder.Encoder` takes it.
        train: number of entries of each listener that training may see, `[listeners]`.
        validation: validation requests; a request's history is all entries before it.
        test: test requests; their histories include validation's choices.
        unseen: whether items of the history are excluded from the candidates.
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
        """The entries that training may see."""
        return self.histories.clip(self.train)

    def history_items(self, requests: Requests) -> csr_matrix:
        """A matrix with 1 where a request's history has the item, `[n, items]`."""
        begin = self.histories.offsets[requests.listener]
        lengths = requests.entry - begin
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        entries = np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], lengths)
        ones = np.ones(len(entries), np.float32)
        shape = (len(lengths), self.items.num_rows)
        matrix = csr_matrix((ones, self.histories.item[entries] - 1, bounds), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix

    def ranks(self, requests: Requests, score: Callable[[slice, csr_matrix], np.ndarray], block: int) -> np.ndarray:
        """Rank each request's item among the candidates, 0 for the best, `[n]`.

        Args:
            requests: the requests to rank.
            score: scores of all items `[b, items]` for a slice of the requests and their `history_items`.
            block: number of requests that are scored at once.
        """
        history = self.history_items(requests)
        ranks = []
        for first in range(0, len(requests.item), block):
            part = slice(first, first + block)
            scores = score(part, history[part])
            if self.unseen:
                scores[history[part].nonzero()] = -np.inf
            ranks.append(rank_of_target(scores, requests.item[part]))
        return np.concatenate(ranks)

    def interactions(self) -> Interactions:
        """The choices that training may see, in the form that the baselines take."""
        h = self.training
        user = np.repeat(np.arange(len(h)), np.diff(h.offsets))[h.target]
        return Interactions(user, h.item[h.target].astype(np.int64) - 1, h.time[h.target], len(h), self.items.num_rows)

    def encoder(self) -> Encoder:
        """An encoder whose vocabularies hold the items that training may see."""
        training_items = self.items.take(pa.array(np.unique(self.training.item) - 1))
        tokens = {n: sorted(t for t in pc.unique(training_items[n]).to_pylist() if t) for n in ITEM_STRINGS}
        no_profiles: dict[str, list[str]] = {name: [] for name in USER_STRINGS}
        return Encoder(Axes(tokens | no_profiles | TOKENS, vector_width(self.items["genre_weights"]), 1), self.items)


def read(data: str, seed: int) -> Sequences:
    """Read a data set.

    Args:
        data: a plain file, a folder with `sequences.tsv`, or any value that `data_sets.canonical_tables` takes.
        seed: seed of a synthetic world.

    Raises:
        InputError: there is no such file, a line breaks the format, or no listener has three choices.
    """
    path = Path(data)
    if (path / SEQUENCES).is_file():
        path = path / SEQUENCES
    if data not in SIZES and path.is_file():
        ids, sequences = plain(path)
        return split(path.stem, Histories.of_items(sequences), ids_only(ids))
    return from_tables(data, seed)


def plain(path: Path) -> tuple[list[str], list[np.ndarray]]:
    """Read a plain file of lines `user<TAB>item item …` or `user item item …`, each line's items oldest first.

    Returns:
        Ids of the items, and for each listener the items as numbers from 1, in the order of the line.

    Raises:
        InputError: a line has no item, a listener has two lines, or the file is not UTF-8 text.
    """
    numbers: dict[str, int] = {}  # by item id
    lines: dict[str, int] = {}  # by listener
    sequences = []
    first = True
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(utf8(file, path), 1):
            user, items = user_and_items(line)
            if not user:
                continue
            word, _, column_type = user.lower().partition(":")
            header, first = first and word in HEADERS and column_type in COLUMN_TYPES, False
            if header:
                continue
            if not items:
                raise InputError(
                    f"Each line names a listener and at least one item. {path}, line {number} has only "
                    f"{line.strip()!r}.",
                    "Write `user item item …`, oldest first, separated by blanks or tabs.",
                )
            if user in lines:
                raise InputError(
                    f"Each listener has one line. {user!r} is in lines {lines[user]} and {number} of {path}.",
                    "Join the lines of a listener, oldest first.",
                )
            lines[user] = number
            sequences.append(np.array([numbers.setdefault(item, len(numbers) + 1) for item in items], np.int32))
    return list(numbers), sequences


def user_and_items(line: str) -> tuple[str, list[str]]:
    """Split a line into its listener and items; the listener is '' for an empty line.

    The listener ends at the first tab, or at the first blank of a line without tabs.
    """
    text = line.strip(" \t\r\n")
    user, _, items = text.partition("\t") if "\t" in text else text.partition(" ")
    return user.strip(" "), [item for item in BLANKS.split(items) if item]


def utf8(file: Iterable[str], path: Path) -> Iterator[str]:
    """Yield the lines of a file.

    Raises:
        InputError: the file is not UTF-8 text.
    """
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text. {error}.", "Convert the file, or unpack it.") from error


def ids_only(ids: list[str]) -> pa.Table:
    """A catalogue that has ids only; all other columns are null, or 0 for genre weights."""
    count = len(ids)
    return pa.table({
        "item_id": ids,
        "genre_weights": pa.array([[0.0]] * count, pa.list_(pa.float32())),
        "duration_s": pa.nulls(count, pa.float32()),
        "release_ts": pa.nulls(count, pa.int64()),
        **{name: pa.nulls(count, pa.string()) for name in ITEM_STRINGS[1:]},
    })  # fmt: skip


def from_tables(data: str, seed: int) -> Sequences:
    """Read a data set of canonical tables, of original files or of a synthetic world, with its catalogue's content.

    Args:
        data: any value that `data_sets.canonical_tables` takes.
        seed: seed of a synthetic world.
    """
    from events.ingest import ingest
    from feature_repo import transformations
    from feature_repo.build import EARLIEST, vocabularies
    from feature_repo.engine import duckdb_engine

    with TemporaryDirectory(prefix="segue-bench-") as folder, duckdb_engine() as engine:
        base = Path(folder)
        manifest = ingest(canonical_tables(data, base, seed), base / "ingested", FRACTIONS)
        events, items = (engine.read_parquet(base / "ingested" / f"{name}.parquet") for name in ("events", "items"))
        axes = vocabularies(engine.to_pyarrow(items.select("genres", "content_type")))
        profile = transformations.item_profile(items, axes.genres, axes.content_types, EARLIEST)
        with_content = profile.join(transformations.item_content(items), "item_id").order_by("item_id")
        catalogue = engine.to_pyarrow(with_content)
        listeners = engine.to_pyarrow(transformations.requested_sequences(events).order_by("user_id"))
    lookups = {name: Lookup(tokens) for name, tokens in TOKENS.items()}
    histories = Histories.of_table(listeners, catalogue["item_id"].combine_chunks(), lookups)
    return split(manifest["dataset"], histories, catalogue)


def split(name: str, histories: Histories, items: pa.Table) -> Sequences:
    """Hold out the last two choices of each listener who has three.

    Args:
        name: name of the data set.
        histories: all entries of all listeners.
        items: the catalogue in the order of item numbers.

    Raises:
        InputError: no listener has three choices.
    """
    choices = np.flatnonzero(histories.target)
    listener = np.searchsorted(histories.offsets, choices, side="right") - 1
    count = np.bincount(listener, minlength=len(histories))
    listeners = np.flatnonzero(count >= CHOICES)
    if len(listeners) == 0:
        raise InputError(
            f"Leave-one-out needs a listener with {CHOICES} choices. No listener has more than "
            f"{max(count, default=0)}.",
            "Give a longer log.",
        )
    last = np.cumsum(count)[listeners] - 1
    test, validation = choices[last], choices[last - 1]
    train = np.diff(histories.offsets)
    train[listeners] = validation - histories.offsets[listeners]
    validation_requests, test_requests = (
        Requests(listeners, entry, histories.item[entry].astype(np.int64) - 1) for entry in (validation, test)
    )
    unseen = repeat_share(histories.clip(train)) < REPEATS
    return Sequences(name, histories, items, train, validation_requests, test_requests, unseen)


def repeat_share(histories: Histories) -> float:
    """Share of the choices whose item is already in the listener's history; a listener's first entry does not count.

    It is 1 if there are no such choices, because then nothing shows that items are chosen only once.
    """
    listener = np.repeat(np.arange(len(histories)), np.diff(histories.offsets))
    pair = listener.astype(np.int64) * (int(histories.item.max(initial=0)) + 1) + histories.item
    _, first = np.unique(pair, return_index=True)
    repeated = np.ones(len(pair), bool)
    repeated[first] = False
    counted = histories.target.copy()
    counted[histories.offsets[:-1][np.diff(histories.offsets) > 0]] = False
    return float(repeated[counted].mean()) if counted.any() else 1.0
