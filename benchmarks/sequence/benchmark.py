"""What plays next, leave-one-out over all items: the sequence model beside what is published and what is simple.

Contestants: popularity, item-kNN and EASE of `models.evaluation.baselines`, SASRec as published
(`benchmarks.sequence.sasrec`), and Segue's dense and generative heads.
Each listener's last choice is the test, the one before it validation: all that is chosen (epochs, regularization) is
chosen on validation, and the test is read once, at the end. Candidates are all items of the data set, less those that
the listener has had if items are hardly ever had twice.
"""

import os
import platform
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.retrieval.peers import GRIDS, build
from benchmarks.sequence.data import Requests, Sequences, read
from models.evaluation.baselines import MAX_DENSE_ITEMS
from models.evaluation.metrics import bootstrap_mean, ndcg_at, rank_of_target, recall_at, reciprocal_rank
from models.training_config import SequenceConfig
from models.training_config import build as build_config
from segue.errors import InputError, SegueError

PEERS = ("popularity", "item_knn", "ease")
SASREC = "sasrec_one_negative"
SEGUE = DENSE, GENERATIVE = ("segue_dense", "segue_generative")
EPOCHS = 100  # the most of either head; the minutes are what limits a training
MODELS = (*PEERS, SASREC, *SEGUE)
K = 10
JUDGED = 2_000  # validation requests by which an epoch or a regularization is chosen
BATCH = 250
READ = {"length": 200, "batch_size": 32}  # of Segue's model: histories here are longer than in the feature store
Say = Callable[[str], Any]
Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True, eq=False)
class Trained:
    """A contestant after training.

    Args:
        ranks: the place of each request's item among the candidates, 0 the best.
        seconds: of the training.
        figures: what else is reported of it.
    """

    ranks: Callable[[Requests], np.ndarray]
    seconds: float
    figures: dict[str, Any]


def run(
    data: str,
    say: Say,
    models: tuple[str, ...] = MODELS,
    minutes: float | None = None,
    settings: dict[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Train and measure every contestant.

    Args:
        data: what `sequence_data.read` takes.
        say: takes a line of progress.
        models: some of `MODELS`.
        minutes: of training a model, at most; None leaves it to its own rule.
        settings: of Segue's model, in place of the defaults of `SequenceConfig`.
        seed: of worlds, samples, trainings and bootstraps.

    Returns:
        `data`, `models` (by name `hr@10`, `ndcg@10`, `mrr`, their 95 % `intervals`, `train_seconds`,
        `validation_ndcg@10`, EASE's `regularization`, and of those trained by epochs `epochs`, `best_epoch`,
        `seconds_per_epoch`, `examples_per_second`, `config`; of the generative head `codes_a_level`,
        `collision_rate`), `left_out`, `seed`, `peak_memory_mb`, `machine`.

    Raises:
        InputError: an unknown model, or what reading the data says.
    """
    wrong = [name for name in models if name not in MODELS]
    if wrong:
        raise InputError(f"There is no model {wrong[0]!r}.", f"Choose among {', '.join(MODELS)}.")
    bounded = {"epochs": EPOCHS} | ({} if minutes is None else {"minutes": minutes})
    config = build_config(SequenceConfig, READ | bounded | (settings or {}), "sequence")
    say(f"reading {data}")
    known = read(data, seed)
    found: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    if "ease" in models and known.items.num_rows > MAX_DENSE_ITEMS:
        left_out["ease"] = f"its matrix would have {known.items.num_rows:,} rows; at most {MAX_DENSE_ITEMS:,} fit"
    names = tuple(name for name in models if name not in left_out)
    for own, train in contestants(known, minutes, config, seed, say, GENERATIVE in names):
        if not set(own) & set(names):
            continue
        try:
            for name, trained in train():
                if name in names:
                    found[name] = reported(trained, known, seed)
                    say(
                        f"{name}: HR@10 {found[name]['hr@10']:.4f}, NDCG@10 {found[name]['ndcg@10']:.4f}, "
                        f"{trained.seconds:,.0f} s of training"
                    )
                del trained  # before the next one is trained
        except SegueError as error:  # what the others found is not lost
            left_out |= {name: error.headline for name in own if name in names and name not in found}
            say(f"{', '.join(own)}: {error.headline}")
    if not found:
        raise InputError(f"No model could be trained: {'; '.join(left_out.values())}", "Give another log, or models.")
    return {
        "data": describe(known),
        "models": found,
        "left_out": left_out,
        "seed": seed,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "tensorflow": version("tensorflow")},
    }


def describe(known: Sequences) -> dict[str, Any]:
    """Sizes of a data set, and the rule for its candidates."""
    h = known.histories
    return {
        "name": known.name,
        "listeners": len(h),
        "items": known.items.num_rows,
        "entries": len(h.item),
        "requests": len(known.test.item),
        "median_history": float(np.median(known.test.entry - h.offsets[known.test.listener])),
        "candidates": "all items but those of the history" if known.unseen else "all items",
    }


def measure(ranks: np.ndarray, seed: int) -> dict[str, Any]:
    """HR@10 (recall of the one choice), NDCG@10 and MRR of places `[n]`, and the 95 % `intervals` of the three."""
    values = {f"hr@{K}": recall_at(ranks, K), f"ndcg@{K}": ndcg_at(ranks, K), "mrr": reciprocal_rank(ranks)}
    listeners = np.arange(len(ranks))
    found = {name: bootstrap_mean(value, listeners, seed) for name, value in values.items()}
    intervals = {name: {"low": figure.low, "high": figure.high} for name, figure in found.items()}
    return {name: figure.mean for name, figure in found.items()} | {"intervals": intervals}


def reported(trained: Trained, known: Sequences, seed: int) -> dict[str, Any]:
    """What is said of a contestant: the test is read here, once."""
    return {**measure(trained.ranks(known.test), seed), "train_seconds": trained.seconds, **trained.figures}


def contestants(
    known: Sequences, minutes: float | None, config: SequenceConfig, seed: int, say: Say, generative: bool
) -> list[tuple[tuple[str, ...], Callable[[], Iterable[tuple[str, Trained]]]]]:
    """What is trained, one after the other, with the names that it is reported by; both heads of Segue's model share
    its transformer."""

    def report(name: str) -> Report:
        return lambda figures: say(
            f"{name}: epoch {figures['epoch']:.0f}, NDCG@10 {figures['judged']:.4f} on validation"
        )

    def alone(name: str, train: Callable[[], Trained]):
        return (name,), lambda: [(name, train())]

    return [
        *(alone(name, partial(train_peer, name, known, seed)) for name in PEERS),
        alone(SASREC, partial(train_sasrec, known, minutes, seed, report(SASREC))),
        (SEGUE, partial(train_segue, known, config, seed, generative, report)),
    ]


def train_peer(name: str, known: Sequences, seed: int) -> Trained:
    """A baseline with the regularization that validation prefers; the time is that of one fit."""
    log = known.interactions()
    sample = some(known.validation, seed)
    found: Trained | None = None  # the best so far: one model is held, not one of each value
    for value in GRIDS.get(name, (None,)):
        settings = {} if value is None else {"regularization": value}
        started = perf_counter()
        model = build(name, seed, **settings).fit(log)
        took = perf_counter() - started
        judged = float(ndcg_at(baseline_ranks(model, known, sample), K).mean())
        if found is None or judged > found.figures["validation_ndcg@10"]:
            figures = settings | {"validation_ndcg@10": judged}
            found = Trained(partial(baseline_ranks, model, known), took, figures)
        del model
    assert found is not None
    return found


def baseline_ranks(model, known: Sequences, requests: Requests) -> np.ndarray:
    """The place of each request's item by a baseline's scores of the whole history."""
    histories = known.known(requests)
    at = known.histories.time[requests.entry]
    found = []
    for first in range(0, len(requests.item), BATCH):
        part = slice(first, first + BATCH)
        scores = model.score(histories[part], at[part])
        if known.unseen:
            scores[histories[part].nonzero()] = -np.inf
        found.append(rank_of_target(scores, requests.item[part]))
    return np.concatenate(found)


def train_sasrec(known: Sequences, minutes: float | None, seed: int, report: Report) -> Trained:
    """The published recipe."""
    from benchmarks.sequence import sasrec

    model, history, settings, took = sasrec.train(known, some(known.validation, seed), minutes, seed, report)
    figures = trained_figures(history) | {"config": settings}
    return Trained(lambda requests: sasrec.ranks(model, known, requests), took, figures)


def train_segue(
    known: Sequences,
    config: SequenceConfig,
    seed: int,
    generative: bool,
    report: Callable[[str], Report],
) -> Iterator[tuple[str, Trained]]:
    """Segue's sequence model: the dense head, then the generative one on the same transformer.

    The training seconds of the generative head count those of the transformer too.
    """
    from models.sequence.coded import fit_codes, generated_ranks
    from models.sequence.fit import HeldOut, fit
    from models.sequence.histories import requests as inputs

    rows = np.arange(1, known.items.num_rows + 1, dtype=np.int32)

    def held_out(asked: Requests) -> HeldOut:
        read = inputs(known.histories, asked.listener, asked.entry, config.length)
        return HeldOut(read, asked.item + 1, rows, known.known(asked) if known.unseen else None)

    judged = held_out(some(known.validation, seed))
    started = perf_counter()
    model, history = fit(
        known.training, judged, known.encoder(), config, seed,
        unseen=known.unseen, on_epoch=report(DENSE),
    )  # fmt: skip
    took = perf_counter() - started
    settings = {"config": asdict(config)}
    yield DENSE, Trained(lambda asked: held_out(asked).ranks(model), took, trained_figures(history) | settings)
    if not generative:
        return
    started = perf_counter()
    coded, book, history = fit_codes(
        model, known.training, judged, None, seed, on_epoch=report(GENERATIVE)
    )  # fmt: skip
    took += perf_counter() - started
    figures = {
        "codes_a_level": [len(centroids) for centroids in book.centroids],
        "collision_rate": book.collision_rate(known.items.num_rows),
        **settings,
    }
    yield (
        GENERATIVE,
        Trained(lambda asked: generated_ranks(coded, held_out(asked)), took, trained_figures(history) | figures),
    )


def trained_figures(history: dict[str, list[float]]) -> dict[str, Any]:
    """What is reported of a training by epochs."""
    return {
        "epochs": len(history["judged"]),
        "best_epoch": 1 + int(np.argmax(history["judged"])),
        "seconds_per_epoch": float(np.mean(history["seconds"])),
        "examples_per_second": float(np.mean(history["examples_per_second"])),
        "validation_ndcg@10": max(history["judged"]),
    }


def some(requests: Requests, seed: int) -> Requests:
    """At most `JUDGED` requests, drawn without replacement."""
    count = len(requests.item)
    return requests.take(np.sort(np.random.default_rng(seed).permutation(count)[:JUDGED]))
