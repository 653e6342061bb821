"""Quality and training speed of Segue's retrieval, beside well-known alternatives on the same splits in one run.

Contestants: retrieval alone (`segue_retrieval`), retrieval followed by ranking (`segue`), the baselines of
`models.evaluation.baselines` with the regularization that is best on validation, and the two towers of TensorFlow
Recommenders' tutorial. Splits:

- `time`: the pipeline's split by global time. Each held-out positive is a request at its own instant, and every model
  gets the listener's history up to that instant. Segue's models learn from train and use validation for early stopping
  and for the choice head; the others learn from train and validation, so that no contestant uses more data.
- `random_75_25`: 25 % of each listener's pairs are test, as in papers; lists of 10 without the listener's known items.
- `random_80_20`: 20 % of all pairs are test, as in the tutorial; each target is ranked among all items.

Segue runs with its default configuration on every split; `benchmarks.retrieval.random_splits` makes training sets for
the random ones.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import Say, check_names, machine
from benchmarks.retrieval import peers, random_splits
from benchmarks.retrieval.data import DataSet, Log, Task, prepare, requests
from benchmarks.retrieval.figures import (
    Contestant,
    Ranked,
    answer,
    interval,
    of_lists,
    of_targets,
    of_tops,
    random_recall,
)
from benchmarks.retrieval.targets import targets
from models.evaluation.held_out import MAX_ROWS
from models.evaluation.metrics import recall_at
from models.inputs.arrow_columns import dense, sample, vector_width
from workloads.training_set import REPEATS, repeat_share

SEGUE = ("segue", "segue_retrieval")
TUTORIAL = "tfrs_tutorial"
MODELS = (*SEGUE, *peers.PEERS, TUTORIAL)
RANDOM = {"random_75_25": (0.25, True), "random_80_20": (0.2, False)}  # share of test, whether per listener
SPLITS = ("time", *RANDOM)
VALIDATION_REQUESTS = 5_000  # most validation requests that the regularization is chosen by


@dataclass(frozen=True, eq=False)
class Arena:
    """The data of one split, in the form that each kind of contestant needs.

    Args:
        training_set: the folder that Segue learns from; its `items_now` is the catalogue at the test span's start.
        train: positives that the peers learn from while their regularization is chosen.
        train_and_validation: positives that the peers finally learn from.
        validation: requests of the validation part.
        test: requests of the test part.
        queries: rows of a training set from which Segue's models read the test requests.
        request: number of the test request that each row of `queries` belongs to, ascending, int `[rows]`.
    """

    training_set: Path
    train: Log
    train_and_validation: Log
    validation: Task
    test: Task
    queries: pa.Table
    request: np.ndarray


def run(
    data: str, say: Say, models: tuple[str, ...] = MODELS, splits: tuple[str, ...] = SPLITS, seed: int = 0
) -> dict[str, Any]:
    """Train and measure every contestant on every split.

    Args:
        data: a folder of original MovieLens or Last.fm files or of canonical tables, or a synthetic world's size.
        say: prints a line of progress.
        models: some of `MODELS`.
        splits: some of `SPLITS`.
        seed: seed of worlds, splits, samples, trainings and bootstraps.

    Returns:
        `data` (the data set's name); `splits`: for each split every model's figures and the models that were
        `left_out`, with the reason; `targets`, `seed`, `machine`.

    Raises:
        InputError: there is no such model or split, or the importer refuses the data.
    """
    check_names("model", models, MODELS)
    check_names("split", splits, SPLITS)
    measured = {}
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say(f"importing {data} and making its training set")
        data_set = prepare(data, base, seed)
        for split in splits:
            work = base / split
            work.mkdir()
            arena = time_arena(data_set, work, seed) if split == "time" else random_arena(data_set, split, work, seed)
            measured[split] = compete(split, arena, data_set, models, work, seed, say)
            shutil.rmtree(work)
    return {
        "data": data_set.name,
        "splits": measured,
        "targets": targets(data_set.name, measured),
        "seed": seed,
        "machine": machine("tensorflow", "numpy", "implicit"),
    }


def time_arena(data: DataSet, work: Path, seed: int) -> Arena:
    """The arena of the pipeline's split by global time."""
    folder = work / "training_set"
    shutil.copytree(data.training_set, folder)
    # Models serve the catalogue of `items_now`; for the test span it must be the catalogue as of the span's start.
    shutil.copyfile(folder / "items_at_test.parquet", folder / "items_now.parquet")
    unseen = repeat_share(data.rows.filter(pa.array(data.part == 0))) < REPEATS
    limits = ((1, VALIDATION_REQUESTS), (2, MAX_ROWS))
    validation, test = (sampled(data.part == part, rows, seed) for part, rows in limits)
    return Arena(
        folder,
        data.log.take(data.part == 0),
        data.log.take(data.part < 2),
        requests(data, validation, unseen),
        requests(data, test, unseen),
        data.rows.take(pa.array(test)),
        np.arange(len(test)),
    )


def sampled(mask: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Numbers of the rows where a mask is true, ascending; a random sample of `rows` if there are more."""
    return sample(pa.table({"row": np.flatnonzero(mask)}), rows, seed)["row"].to_numpy()


def random_arena(data: DataSet, split: str, work: Path, seed: int) -> Arena:
    """The arena of one of the random splits."""
    share, by_listener = RANDOM[split]
    pairs = random_splits.split(data, share, by_listener, seed)
    folder = work / "training_set"
    request = random_splits.training_set(data, pairs, seed, folder)
    train, train_and_validation = pairs.part == 0, pairs.part < 2
    return Arena(
        folder,
        pairs.log.take(train),
        pairs.log.take(train_and_validation),
        random_splits.task(pairs, train, pairs.part == 1, unseen=True),
        random_splits.task(pairs, train_and_validation, pairs.part == 2, unseen=by_listener),
        pq.read_table(folder / "test.parquet"),
        request,
    )


def compete(
    split: str, arena: Arena, data: DataSet, models: tuple[str, ...], work: Path, seed: int, say: Say
) -> dict[str, Any]:
    """Train and measure every contestant on a split; each is freed before the next is trained."""
    log = arena.train_and_validation
    left_out = {name: "too many items" for name in models if peers.too_wide(name, log)}
    measured: dict[str, Any] = {}
    slices = Slices(arena)
    counts = np.bincount(log.item, minlength=log.items)
    genres = dense(data.items["genre_weights"], vector_width(data.items["genre_weights"]))
    for name, contestant in train_contestants(arena, data, tuple(m for m in models if m not in left_out), work, seed):
        ranked = answer(contestant.scores, arena.test)
        figures = (
            of_lists(ranked, arena.test, seed) if split == "random_75_25" else of_targets(ranked, arena.test, seed)
        )
        figures |= of_tops(ranked.top, arena.test, counts, genres)
        if split == "random_80_20":
            unseen = replace(arena.test, unseen=True)
            alone = recall_at(answer(contestant.scores, unseen).rank, 100)
            figures["recall@100_unseen"] = interval(alone, unseen.user[unseen.row], seed)
        elif split == "time":
            slices.add(name, ranked)
        speed = {"train_seconds": contestant.train_seconds, "examples_per_second": contestant.examples_per_second}
        measured[name] = {**figures, **speed, **contestant.extra}
        quality = ", ".join(f"{key} {figures[key]['mean']:.4f}" for key in ("recall@100", "ndcg@10"))
        say(f"{split}, {name}: {quality}, {contestant.train_seconds:.1f} s of training")
        del contestant  # EASE's weights may take as much memory as everything else
    return {**measured, **(slices.figures() if split == "time" else {}), "left_out": left_out}


def train_contestants(
    arena: Arena, data: DataSet, models: tuple[str, ...], work: Path, seed: int
) -> Iterator[tuple[str, Contestant]]:
    """Train the models one after the other and yield each with its name."""
    for name in (name for name in peers.PEERS if name in models):
        logs = arena.train, arena.train_and_validation
        yield name, peers.train(name, *logs, arena.validation, arena.test, seed)
    if TUTORIAL in models:
        yield TUTORIAL, train_tutorial(arena, data, seed)
    if set(SEGUE) & set(models):
        from benchmarks.retrieval import contestants

        yield from contestants.train(arena.training_set, arena.queries, arena.request, models, seed, work)


def train_tutorial(arena: Arena, data: DataSet, seed: int) -> Contestant:
    """Train the tutorial's model, whose only input from a listener is the id."""
    from benchmarks.retrieval import tutorial

    log = arena.train_and_validation
    trained = tutorial.train(data.user_ids[log.user], data.item_ids[log.item], data.item_ids, seed)
    names = ("examples_per_second_without_metrics", "steps", "steps_with_metrics")
    return Contestant(
        lambda rows, _: trained.model.score(data.user_ids[arena.test.user[rows]], data.item_ids),
        trained.seconds,
        trained.examples_per_second,
        {name: getattr(trained, name) for name in names},
    )


class Slices:
    """Recall on two slices of the time split: items without positives before the test span, and new listeners.

    Args:
        arena: the arena of the time split.
    """

    def __init__(self, arena: Arena) -> None:
        self.new_items = ~np.isin(arena.test.item, arena.train_and_validation.item)
        self.new_users = arena.test.history.getnnz(axis=1)[arena.test.row] == 0
        self.chance = random_recall(arena.test, self.new_items, 100) if self.new_items.any() else 0.0
        self.items: dict[str, Any] = {}
        self.users: dict[str, Any] = {}

    def add(self, name: str, ranked: Ranked) -> None:
        """Add a model's figures."""
        if self.new_items.any():
            recall = float(recall_at(ranked.rank[self.new_items], 100).mean())
            self.items[name] = {"recall@100": recall, "ratio": recall / self.chance if self.chance else None}
        if self.new_users.any():
            self.users[name] = {"recall@100": float(recall_at(ranked.rank[self.new_users], 100).mean())}

    def figures(self) -> dict[str, Any]:
        """`new_items` and `new_users`, each with the number of its `examples` and each model's recall.

        `new_items` also has the recall that a random list is expected to have, and each model's `ratio` to it.
        Without examples there are no models' figures.
        """
        chance = {"random_recall@100": self.chance}
        return {
            "new_items": {"examples": int(self.new_items.sum()), **chance, **self.items},
            "new_users": {"examples": int(self.new_users.sum()), **self.users},
        }
