"""Quality of predicting the next item, leave-one-out over all items: Segue's sequence model beside alternatives.

Contestants: popularity, item-kNN and EASE of `models.evaluation.baselines`, SASRec as published
(`benchmarks.sequence.sasrec`), and Segue's dense and generative heads.
Each listener's last choice is test and the choice before it is validation. Epochs and regularization are chosen on
validation; the test is read once, at the end. Candidates are all items of the data set, without those of the history
if listeners hardly ever choose an item twice.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.results import Say, check_names, machine, peak_memory_mb
from benchmarks.retrieval import peers
from benchmarks.sequence.data import Requests, Sequences, read
from benchmarks.sequence.targets import targets
from models import training_config
from models.evaluation.baselines import MAX_DENSE_ITEMS
from models.evaluation.metrics import bootstrap_mean, ndcg_at, recall_at, reciprocal_rank
from models.training_config import SequenceConfig
from segue.errors import InputError, SegueError

PEERS = ("popularity", "item_knn", "ease")
SASREC = "sasrec_one_negative"
SEGUE = DENSE, GENERATIVE = ("segue_dense", "segue_generative")
EPOCHS = 100  # the most of either head; the minutes are what limits a training
MODELS = (*PEERS, SASREC, *SEGUE)
K = 10
VALIDATION_REQUESTS = 2_000  # most validation requests that epochs and regularization are chosen by
BLOCK = 250  # requests that a baseline scores at once
# Segue's model reads more entries than its default of 50, because histories here are longer than the feature store's.
SETTINGS = {"length": 200, "batch_size": 32}
Report = Callable[[dict[str, float]], None]  # takes an epoch's figures


@dataclass(frozen=True, eq=False)
class Trained:
    """A contestant after training.

    Args:
        ranks: the rank of each request's item among the candidates, 0 for the best.
        seconds: duration of the training.
        figures: further figures of the contestant's result.
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
        data: any value that `benchmarks.sequence.data.read` takes.
        say: prints a line of progress.
        models: some of `MODELS`.
        minutes: most minutes of training per model; None leaves it to each model's own rule.
        settings: settings of Segue's model, in place of the defaults of `SequenceConfig`.
        seed: seed of worlds, samples, trainings and bootstraps.

    Returns:
        `data` (sizes of the data set); `models`: for each model `hr@10`, `ndcg@10`, `mrr`, their 95 % `intervals`,
        `train_seconds` and `validation_ndcg@10`, for EASE its `regularization`, for models trained by epochs `epochs`,
        `best_epoch`, `seconds_per_epoch`, `examples_per_second` and `config`, for the generative head `codes_a_level`
        and `collision_rate`; `left_out` (the models that could not be trained, with the reason), `targets`, `seed`,
        `peak_memory_mb` (MiB), `machine`.

    Raises:
        InputError: there is no such model, the data cannot be read, or no model could be trained.
    """
    check_names("model", models, MODELS)
    limit = {"epochs": EPOCHS} | ({} if minutes is None else {"minutes": minutes})
    config = training_config.build(SequenceConfig, SETTINGS | limit | (settings or {}), "sequence")
    say(f"reading {data}")
    sequences = read(data, seed)
    items = sequences.items.num_rows
    measured: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    if "ease" in models and items > MAX_DENSE_ITEMS:
        left_out["ease"] = f"its matrix would have {items:,} rows; at most {MAX_DENSE_ITEMS:,} fit"
    names = tuple(name for name in models if name not in left_out)
    for own, train in contestants(sequences, minutes, config, seed, say, GENERATIVE in names):
        if not set(own) & set(names):
            continue
        try:
            for name, trained in train():
                if name in names:
                    measured[name] = figures_on_test(trained, sequences, seed)
                    say(
                        f"{name}: HR@10 {measured[name]['hr@10']:.4f}, NDCG@10 {measured[name]['ndcg@10']:.4f}, "
                        f"{trained.seconds:,.0f} s of training"
                    )
                del trained  # frees its memory before the next model is trained
        except SegueError as error:  # the other models' results are kept
            left_out |= {name: error.headline for name in own if name in names and name not in measured}
            say(f"{', '.join(own)}: {error.headline}")
    if not measured:
        raise InputError(
            f"No model could be trained: {'; '.join(left_out.values())}", "Give another log, or other models."
        )
    sizes = describe(sequences)
    return {
        "data": sizes,
        "models": measured,
        "left_out": left_out,
        "targets": targets(sizes, measured),
        "seed": seed,
        "peak_memory_mb": peak_memory_mb(),
        "machine": machine("tensorflow"),
    }


def describe(sequences: Sequences) -> dict[str, Any]:
    """Name and sizes of a data set, and the rule for its candidates."""
    h, test = sequences.histories, sequences.test
    return {
        "name": sequences.name,
        "listeners": len(h),
        "items": sequences.items.num_rows,
        "entries": len(h.item),
        "requests": len(test.item),
        "median_history": float(np.median(test.entry - h.offsets[test.listener])),
        "candidates": "all items but those of the history" if sequences.unseen else "all items",
    }


def measure(ranks: np.ndarray, seed: int) -> dict[str, Any]:
    """HR@10 (recall of the single choice), NDCG@10 and MRR of ranks `[n]`, and their 95 % `intervals`."""
    values = {f"hr@{K}": recall_at(ranks, K), f"ndcg@{K}": ndcg_at(ranks, K), "mrr": reciprocal_rank(ranks)}
    listeners = np.arange(len(ranks))
    means = {name: bootstrap_mean(value, listeners, seed) for name, value in values.items()}
    intervals = {name: {"low": figure.low, "high": figure.high} for name, figure in means.items()}
    return {name: figure.mean for name, figure in means.items()} | {"intervals": intervals}


def figures_on_test(trained: Trained, sequences: Sequences, seed: int) -> dict[str, Any]:
    """A contestant's figures on the test requests, which no other function reads."""
    return {**measure(trained.ranks(sequences.test), seed), "train_seconds": trained.seconds, **trained.figures}


def contestants(
    sequences: Sequences, minutes: float | None, config: SequenceConfig, seed: int, say: Say, generative: bool
) -> list[tuple[tuple[str, ...], Callable[[], Iterable[tuple[str, Trained]]]]]:
    """List the trainings in their order, each with the names of the contestants that it yields.

    Both heads of Segue's model come from one training, because they share its transformer.
    """

    def report(name: str) -> Report:
        return lambda figures: say(
            f"{name}: epoch {figures['epoch']:.0f}, NDCG@10 {figures['judged']:.4f} on validation"
        )

    def alone(name: str, train: Callable[[], Trained]):
        return (name,), lambda: [(name, train())]

    return [
        *(alone(name, partial(train_peer, name, sequences, seed)) for name in PEERS),
        alone(SASREC, partial(train_sasrec, sequences, minutes, seed, report(SASREC))),
        (SEGUE, partial(train_segue, sequences, config, seed, generative, report)),
    ]


def train_peer(name: str, sequences: Sequences, seed: int) -> Trained:
    """Fit a baseline once for each regularization, and return the fit that ranks validation best, with its seconds."""
    log = sequences.interactions()
    validation = sampled(sequences.validation, seed)
    best: Trained | None = None  # only the best model so far is kept in memory
    for value in peers.GRIDS.get(name, (None,)):
        settings = {} if value is None else {"regularization": value}
        started = perf_counter()
        model = peers.build(name, seed, **settings).fit(log)
        took = perf_counter() - started
        ndcg = float(ndcg_at(baseline_ranks(model, sequences, validation), K).mean())
        if best is None or ndcg > best.figures["validation_ndcg@10"]:
            figures = settings | {"validation_ndcg@10": ndcg}
            best = Trained(partial(baseline_ranks, model, sequences), took, figures)
        del model
    assert best is not None
    return best


def baseline_ranks(model, sequences: Sequences, requests: Requests) -> np.ndarray:
    """The rank of each request's item by a baseline's scores of the whole history, `[n]`."""
    at = sequences.histories.time[requests.entry]
    return sequences.ranks(requests, lambda part, history: model.score(history, at[part]), BLOCK)


def train_sasrec(sequences: Sequences, minutes: float | None, seed: int, report: Report) -> Trained:
    """Train SASRec by its published recipe."""
    from benchmarks.sequence import sasrec

    validation = sampled(sequences.validation, seed)
    model, history, settings, took = sasrec.train(sequences, validation, minutes, seed, report)
    figures = trained_figures(history) | {"config": settings}
    return Trained(lambda requests: sasrec.ranks(model, sequences, requests), took, figures)


def train_segue(
    sequences: Sequences,
    config: SequenceConfig,
    seed: int,
    generative: bool,
    report: Callable[[str], Report],
) -> Iterator[tuple[str, Trained]]:
    """Train Segue's sequence model and yield the dense head, then the generative head on the same transformer.

    The generative head's training seconds include those of the transformer.
    """
    from models.sequence import histories
    from models.sequence.coded import fit_codes, generated_ranks
    from models.sequence.fit import HeldOut, fit

    rows = np.arange(1, sequences.items.num_rows + 1, dtype=np.int32)

    def held_out(requests: Requests) -> HeldOut:
        inputs = histories.requests(sequences.histories, requests.listener, requests.entry, config.length)
        excluded = sequences.history_items(requests) if sequences.unseen else None
        return HeldOut(inputs, requests.item + 1, rows, excluded)

    validation = held_out(sampled(sequences.validation, seed))
    started = perf_counter()
    model, history = fit(
        sequences.training, validation, sequences.encoder(), config, seed,
        unseen=sequences.unseen, on_epoch=report(DENSE),
    )  # fmt: skip
    took = perf_counter() - started
    settings = {"config": asdict(config)}
    yield DENSE, Trained(lambda requests: held_out(requests).ranks(model), took, trained_figures(history) | settings)
    if not generative:
        return
    started = perf_counter()
    coded, book, history = fit_codes(
        model, sequences.training, validation, None, seed, on_epoch=report(GENERATIVE)
    )  # fmt: skip
    took += perf_counter() - started
    figures = {
        "codes_a_level": [len(centroids) for centroids in book.centroids],
        "collision_rate": book.collision_rate(sequences.items.num_rows),
        **settings,
    }
    yield (
        GENERATIVE,
        Trained(lambda requests: generated_ranks(coded, held_out(requests)), took, trained_figures(history) | figures),
    )


def trained_figures(history: dict[str, list[float]]) -> dict[str, Any]:
    """The figures of a training by epochs."""
    return {
        "epochs": len(history["judged"]),
        "best_epoch": 1 + int(np.argmax(history["judged"])),
        "seconds_per_epoch": float(np.mean(history["seconds"])),
        "examples_per_second": float(np.mean(history["examples_per_second"])),
        "validation_ndcg@10": max(history["judged"]),
    }


def sampled(requests: Requests, seed: int) -> Requests:
    """Draw at most `VALIDATION_REQUESTS` requests without replacement, in their order."""
    count = len(requests.item)
    return requests.take(np.sort(np.random.default_rng(seed).permutation(count)[:VALIDATION_REQUESTS]))
