"""What Segue retrieves, beside what a user would pick instead, on the same splits in one run.

Contestants: retrieval alone (`segue_retrieval`), retrieval with ranking behind it (`segue`), the baselines of
`models.evaluation.baselines` with the regularization that validation prefers, and the two towers of TensorFlow
Recommenders' tutorial. Splits:

- `time`: the pipeline's. Each held-out positive is a request at its instant; every model is given what the listener
  did until then. Segue's models learn from train and use validation to stop and for the choice head; all others
  learn from train and validation, so that nobody has more data than the others.
- `random_75_25`: of each listener's pairs, as papers report; lists of 10 without what is known of the listener.
- `random_80_20`: of all pairs, as the tutorial; the place among all items. Segue's default configuration serves for
  the random splits too: what they imply is in the training set (`benchmarks.retrieval.random_splits`).
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.retrieval import peers as retrieval_peers
from benchmarks.retrieval import random_splits as retrieval_random
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
from segue.errors import InputError
from workloads.training_set import REPEATS, repeat_share

SEGUE = ("segue", "segue_retrieval")
TUTORIAL = "tfrs_tutorial"
MODELS = (*SEGUE, *retrieval_peers.PEERS, TUTORIAL)
RANDOM = {"random_75_25": (0.25, True), "random_80_20": (0.2, False)}  # share of test, whether by listener
SPLITS = ("time", *RANDOM)
JUDGED = 5_000  # validation requests that regularization is chosen on
Say = Callable[[str], Any]


@dataclass(frozen=True, eq=False)
class Arena:
    """A split as the contestants meet it.

    Args:
        training_set: the folder that Segue learns from; its `items_now` is the catalogue at the test span's start.
        fitted: train, for choosing regularization.
        known: train and validation.
        validation: requests of the validation part.
        test: requests of the test part.
        queries: the rows of a training set that the test requests are to Segue.
        request: the request of each of them, ascending.
    """

    training_set: Path
    fitted: Log
    known: Log
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
        say: takes a line of progress.
        models: some of `MODELS`.
        splits: some of `SPLITS`.
        seed: of worlds, splits, samples, trainings and bootstraps.

    Returns:
        `data`, `splits`: for each split what its `judge` found of each model, and `left_out`; `targets`, `seed`,
        `machine`.

    Raises:
        InputError: an unknown model or split, or what the import says of the data.
    """
    for given, known, what in ((models, MODELS, "model"), (splits, SPLITS, "split")):
        wrong = [name for name in given if name not in known]
        if wrong:
            raise InputError(f"There is no {what} {wrong[0]!r}.", f"Choose among {', '.join(known)}.")
    found = {}
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say(f"importing {data} and making its training set")
        known_data = prepare(data, base, seed)
        for split in splits:
            work = base / split
            work.mkdir()
            arena = (
                time_arena(known_data, work, seed) if split == "time" else random_arena(known_data, split, work, seed)
            )
            found[split] = compete(split, arena, known_data, models, work, seed, say)
            shutil.rmtree(work)
    return {
        "data": known_data.name,
        "splits": found,
        "targets": targets(known_data.name, found),
        "seed": seed,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "numpy", "implicit")},
        },
    }


def time_arena(data: DataSet, work: Path, seed: int) -> Arena:
    """The pipeline's split by global time."""
    folder = work / "training_set"
    shutil.copytree(data.training_set, folder)
    # Whatever a model says of the test span, it may only know what was known at its start.
    shutil.copyfile(folder / "items_at_test.parquet", folder / "items_now.parquet")
    unseen = repeat_share(data.rows.filter(pa.array(data.part == 0))) < REPEATS
    validation, test = (drawn(data.part == part, rows, seed) for part, rows in ((1, JUDGED), (2, MAX_ROWS)))
    return Arena(
        folder,
        data.log.take(data.part == 0),
        data.log.take(data.part < 2),
        requests(data, validation, unseen),
        requests(data, test, unseen),
        data.rows.take(pa.array(test)),
        np.arange(len(test)),
    )


def drawn(mask: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """At most so many of the rows where a mask holds, ascending."""
    return sample(pa.table({"row": np.flatnonzero(mask)}), rows, seed)["row"].to_numpy()


def random_arena(data: DataSet, split: str, work: Path, seed: int) -> Arena:
    """One of the random splits."""
    share, by_listener = RANDOM[split]
    made = retrieval_random.split(data, share, by_listener, seed)
    folder = work / "training_set"
    request = retrieval_random.training_set(data, made, seed, folder)
    train, known = made.part == 0, made.part < 2
    return Arena(
        folder,
        made.log.take(train),
        made.log.take(known),
        retrieval_random.task(made, train, made.part == 1, unseen=True),
        retrieval_random.task(made, known, made.part == 2, unseen=by_listener),
        pq.read_table(folder / "test.parquet"),
        request,
    )


def compete(
    split: str, arena: Arena, data: DataSet, models: tuple[str, ...], work: Path, seed: int, say: Say
) -> dict[str, Any]:
    """Every contestant's figures on a split; each is let go before the next is trained."""
    left_out = {name: "too many items" for name in models if retrieval_peers.too_wide(name, arena.known)}
    found: dict[str, Any] = {}
    extras = Extras(arena)
    counts = np.bincount(arena.known.item, minlength=arena.known.items)
    genres = dense(data.items["genre_weights"], vector_width(data.items["genre_weights"]))
    for name, contestant in contestants(arena, data, tuple(m for m in models if m not in left_out), work, seed):
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
            extras.add(name, ranked)
        speed = {"train_seconds": contestant.train_seconds, "examples_per_second": contestant.examples_per_second}
        found[name] = {**figures, **speed, **contestant.extra}
        quality = ", ".join(f"{key} {figures[key]['mean']:.4f}" for key in ("recall@100", "ndcg@10"))
        say(f"{split}, {name}: {quality}, {contestant.train_seconds:.1f} s of training")
        del contestant  # EASE's weights may be as large as all else
    return {**found, **(extras.found() if split == "time" else {}), "left_out": left_out}


def contestants(
    arena: Arena, data: DataSet, models: tuple[str, ...], work: Path, seed: int
) -> Iterator[tuple[str, Contestant]]:
    """Train the models one after the other."""
    for name in (name for name in retrieval_peers.PEERS if name in models):
        yield name, retrieval_peers.train(name, arena.fitted, arena.known, arena.validation, arena.test, seed)
    if TUTORIAL in models:
        yield TUTORIAL, tutorial(arena, data, seed)
    if set(SEGUE) & set(models):
        from benchmarks.retrieval import contestants as retrieval_segue

        yield from retrieval_segue.train(arena.training_set, arena.queries, arena.request, models, seed, work)


def tutorial(arena: Arena, data: DataSet, seed: int) -> Contestant:
    """The tutorial's model; it knows a listener by the id alone."""
    from benchmarks.retrieval import tutorial as retrieval_tutorial

    users, items = data.user_ids[arena.known.user], data.item_ids[arena.known.item]
    trained = retrieval_tutorial.train(users, items, data.item_ids, seed)
    names = ("examples_per_second_without_metrics", "steps", "steps_with_metrics")
    return Contestant(
        lambda rows, _: trained.model.score(data.user_ids[arena.test.user[rows]], data.item_ids),
        trained.seconds,
        trained.examples_per_second,
        {name: getattr(trained, name) for name in names},
    )


class Extras:
    """The time split's slices: targets that nobody touched before the test span, and listeners without a past.

    Args:
        arena: the time split.
    """

    def __init__(self, arena: Arena) -> None:
        self.new_items = ~np.isin(arena.test.item, arena.known.item)
        self.new_users = arena.test.history.getnnz(axis=1)[arena.test.row] == 0
        self.chance = random_recall(arena.test, self.new_items, 100) if self.new_items.any() else 0.0
        self.items: dict[str, Any] = {}
        self.users: dict[str, Any] = {}

    def add(self, name: str, ranked: Ranked) -> None:
        """Take note of a model's figures."""
        if self.new_items.any():
            recall = float(recall_at(ranked.rank[self.new_items], 100).mean())
            self.items[name] = {"recall@100": recall, "ratio": recall / self.chance if self.chance else None}
        if self.new_users.any():
            self.users[name] = {"recall@100": float(recall_at(ranked.rank[self.new_users], 100).mean())}

    def found(self) -> dict[str, Any]:
        """`new_items` and `new_users`, each with its `examples` and, if there are any, the models' figures."""
        chance = {"random_recall@100": self.chance}
        return {
            "new_items": {"examples": int(self.new_items.sum()), **chance, **self.items},
            "new_users": {"examples": int(self.new_users.sum()), **self.users},
        }
