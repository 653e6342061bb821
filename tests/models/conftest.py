"""Hand-made training tables, and a checkerboard world on which each model is trained once for all tests.

On the checkerboard, listeners of even taste like even items and skip odd items, and the other way round, with one
exception in twenty. Only the listener's history predicts this; statistics and content do not. So the right ranking is
obvious, and a wrong one is too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from events import schema
from models.evaluation.held_out import predict_ranking
from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.shards import Arrays, Shards
from models.inputs.training_arrays import ranking_arrays, retrieval_arrays
from models.ranking import model as ranking
from models.retrieval import model as retrieval
from models.saved.ranking_export import export_ranking
from models.saved.retrieval_export import export_retrieval
from models.sequence import fit as sequence
from models.sequence.coded import CodedModel, fit_codes
from models.sequence.codes import Codebook
from models.sequence.export import export_sequence
from models.sequence.histories import Histories
from models.sequence.validation import held_out
from models.training_config import RankingConfig, RetrievalConfig, SequenceConfig

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ITEMS = 20
NOISE = 0.05  # share of exceptions; it keeps probabilities away from 0 and 1
GENRES, CONTENT_TYPES = 2, 1
REWARD = RankingConfig().reward

# The columns of a training set; `test_real_training_set.py` compares them with Feast's.
DEFAULTS: dict[str, tuple[pa.DataType, object]] = {
    "event_id": (pa.string(), "e1"),
    "user_id": (pa.string(), "u1"),
    "item_id": (pa.string(), "i1"),
    "ts": (schema.TIMESTAMP, NOON),
    "session_id": (pa.string(), "s1"),
    "request_id": (pa.string(), "r1"),
    "surface": (pa.string(), "home"),
    "position": (pa.int32(), 1),
    "propensity": (pa.float64(), 0.1),
    **dict.fromkeys(schema.LABEL_COLUMNS, (pa.float32(), 0.0)),
    "positive": (pa.bool_(), False),
    "session_plays": (pa.float32(), 0.0),
    "session_skips": (pa.float32(), 0.0),
    "item_age_days": (pa.float32(), 10.0),
    "item_like_rate_28d": (pa.float32(), 0.1),
    "item_plays_28d": (pa.float32(), 8.0),
    "item_plays_7d": (pa.float32(), 2.0),
    "item_skip_rate_28d": (pa.float32(), 0.2),
    "item_trend": (pa.float32(), 1.0),
    "content_type": (pa.string(), "music"),
    "creator_id": (pa.string(), "c1"),
    "duration_s": (pa.float32(), 180.0),
    "genre_weights": (pa.list_(pa.float32()), [0.5, 0.5]),
    "language": (pa.string(), "en"),
    "release_ts": (pa.int64(), int(NOON.timestamp()) - 10 * 86_400),
    "age_at_request_days": (pa.float32(), 10.0),
    "genre_affinity": (pa.float32(), 0.5),
    "content_type_shares": (pa.list_(pa.float32()), [1.0]),
    "genre_shares": (pa.list_(pa.float32()), [0.5, 0.5]),
    "hours_since_last_play": (pa.float32(), 12.0),
    "user_plays_28d": (pa.float32(), 8.0),
    "user_plays_7d": (pa.float32(), 2.0),
    "user_skip_rate_28d": (pa.float32(), 0.2),
    "user_skip_rate_7d": (pa.float32(), 0.1),
    "age_band": (pa.string(), "25-34"),
    "country": (pa.string(), "SE"),
    "plan": (pa.string(), "free"),
    "history_items": (pa.list_(pa.string()), []),
    "history_actions": (pa.list_(pa.string()), []),
    "history_times": (pa.list_(pa.int64()), []),
}
CATALOGUE = (
    "item_id", "creator_id", "content_type", "language", "duration_s", "release_ts", "genre_weights",
    "item_plays_7d", "item_plays_28d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend",
    "item_age_days", "age_at_request_days",
)  # fmt: skip
CATALOGUE_DEFAULTS: dict[str, tuple[pa.DataType, object]] = {
    **{name: DEFAULTS[name] for name in CATALOGUE},
    "text": (pa.string(), "A title"),
    "markets": (pa.list_(pa.string()), None),
}


def table_of(columns: dict[str, tuple[pa.DataType, object]], rows: tuple[dict, ...]) -> pa.Table:
    """Make a table of typed columns; a column that a row leaves out has its default."""
    return pa.table(
        {n: pa.array([row.get(n, default) for row in rows], arrow_type) for n, (arrow_type, default) in columns.items()}
    )


def training_table(*rows: dict) -> pa.Table:
    """Make a training set's table; a column that a row leaves out has its default."""
    return table_of(DEFAULTS, rows)


def catalogue_table(*rows: dict) -> pa.Table:
    """Make a catalogue as of an instant, with the columns of `feature_repo.items_as_of`."""
    return table_of(CATALOGUE_DEFAULTS, rows)


def checkerboard(rows: int, seed: int) -> pa.Table:
    """Draw examples of the checkerboard: a random item, and a history of six items of the listener's parity.

    Items of the listener's parity are played and liked, the others are skipped. Every second row has no like label.
    """
    rng = np.random.default_rng(seed)
    examples = []
    for n in range(rows):
        taste, item = int(rng.integers(2)), int(rng.integers(ITEMS))
        likes = float((item % 2 == taste) != (rng.random() < NOISE))
        ts = NOON + timedelta(minutes=n)
        past = rng.choice(np.arange(taste, ITEMS, 2), 6)
        examples.append({
            "event_id": f"e{n}",
            "user_id": f"u{taste + 2 * int(rng.integers(20))}",
            "item_id": f"i{item}",
            "ts": ts,
            "label_play": likes,
            "label_skip": 1 - likes,
            "label_like": likes if n % 2 else None,
            "positive": bool(likes),
            "history_items": [f"i{i}" for i in past],
            "history_actions": ["play"] * len(past),
            "history_times": [int(ts.timestamp()) - 3600 * age for age in range(len(past), 0, -1)],
        })  # fmt: skip
    return training_table(*examples)


@dataclass(frozen=True)
class World:
    """The spans, catalogue and encoder of the checkerboard."""

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    items: pa.Table
    encoder: Encoder


@dataclass(frozen=True)
class Trained:
    """A trained model, its history, its encoded examples, and `refit`, which trains it again.

    `refit(seed, **settings)` takes `epochs` and the optional arguments of `fit` in `models.retrieval.model` and
    `models.ranking.model`.
    """

    model: retrieval.RetrievalModel | ranking.RankingModel
    history: dict[str, list[float]]
    refit: Callable[..., tuple]
    arrays: Arrays


def once_trained(build_once: Callable[..., Path], name: str, train: Callable[..., tuple]) -> tuple:
    """The result of `train(0, checkpoints=folder)`, which one worker trains; the others resume from its last epoch."""
    results: list[tuple] = []

    def build(folder: Path) -> None:
        folder.mkdir()
        results.append(train(0, checkpoints=folder))

    folder = build_once(name, build)
    return results[0] if results else train(0, checkpoints=folder)


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pa.Table]:
    """The function `training_table`."""
    return training_table


@pytest.fixture(scope="session")
def make_catalogue() -> Callable[..., pa.Table]:
    """The function `catalogue_table`."""
    return catalogue_table


@pytest.fixture(scope="session")
def noon() -> datetime:
    """The default time of a row."""
    return NOON


@pytest.fixture(scope="session")
def world() -> World:
    """A checkerboard of 20 items."""
    train = checkerboard(1200, seed=1)
    items = catalogue_table(*({"item_id": f"i{n}"} for n in range(ITEMS)))
    encoder = Encoder(fit_axes([train]), items)
    return World(train, checkerboard(200, seed=2), checkerboard(300, seed=3), items, encoder)


@pytest.fixture(scope="session")
def trained_retrieval(build_once, world) -> Trained:
    """Retrieval, trained on the checkerboard."""
    config = RetrievalConfig(dim=16, batch_size=64, learning_rate=0.01, epochs=6, uniform_negatives=16)
    parts = [retrieval_arrays(part, world.encoder, config.positives) for part in (world.train, world.validation)]
    train, validation = (Shards.of(part) for part in parts)
    items = world.encoder.item_table(world.items)

    def refit(seed: int, epochs: int = config.epochs, **settings) -> tuple:
        own = replace(config, epochs=epochs)
        return retrieval.fit(train, validation, items, items, world.encoder, own, seed, **settings)

    return Trained(*once_trained(build_once, "trained_retrieval", refit), refit, parts[0])


@pytest.fixture(scope="session")
def trained_ranking(build_once, world) -> Trained:
    """Ranking, trained on the checkerboard."""
    config = RankingConfig(dim=16, batch_size=64, learning_rate=0.01, epochs=4)
    parts = [ranking_arrays(part, world.encoder) for part in (world.train, world.validation)]
    train, validation = (Shards.of(part) for part in parts)

    def refit(seed: int, epochs: int = config.epochs, **settings) -> tuple:
        return ranking.fit(train, validation, world.encoder, replace(config, epochs=epochs), seed, **settings)

    return Trained(*once_trained(build_once, "trained_ranking", refit), refit, parts[0])


@pytest.fixture(scope="session")
def saved_retrieval(build_once, request, world) -> Path:
    """The trained retrieval model as a SavedModel, which all workers share."""

    def build(path: Path) -> None:
        trained = request.getfixturevalue("trained_retrieval")
        export_retrieval(trained.model, world.items, False, {"dataset": "checkerboard"}, path)

    return build_once("saved_retrieval", build)


@pytest.fixture(scope="session")
def saved_ranking(build_once, request, world) -> Path:
    """The trained ranking model as a SavedModel, which all workers share."""

    def build(path: Path) -> None:
        trained = request.getfixturevalue("trained_ranking")
        export_ranking(trained.model, world.items, REWARD, {"dataset": "checkerboard"}, path)

    return build_once("saved_ranking", build)


@pytest.fixture(scope="session")
def trained_sequence(build_once, world) -> tuple[CodedModel, Codebook]:
    """The sequence model with its generative head, trained for an epoch on histories of even and of odd items."""
    rng = np.random.default_rng(4)
    past = [rng.choice(np.arange(taste, ITEMS, 2), 9) for taste in (0, 1) * 20]
    start = int(NOON.timestamp()) - 86_400
    sequences = pa.table({
        "items": [[f"i{item}" for item in row] for row in past],
        "actions": [["play"] * len(row) for row in past],
        "times": [[start + 600 * n for n in range(len(row))] for row in past],
        "asked": [[start + 600 * n - 200 for n in range(len(row))] for row in past],
        "surfaces": [["home"] * len(row) for row in past],
    })  # fmt: skip
    encoder = world.encoder
    histories = Histories.of_table(sequences, encoder.catalogue.ids, encoder.lookups)
    config = SequenceConfig(dim=16, blocks=1, length=12, batch_size=8, epochs=1, learning_rate=0.01)
    judged = held_out(world.validation.filter(world.validation["positive"]), world.items, encoder, config.length, False)

    def train(seed: int, checkpoints: Path) -> tuple[CodedModel, Codebook]:
        model, _ = sequence.fit(histories, judged, encoder, config, seed, checkpoints=checkpoints)
        coded, book, _ = fit_codes(model, histories, judged, None, seed, checkpoints=checkpoints / "codes")
        return coded, book

    return once_trained(build_once, "trained_sequence", train)


@pytest.fixture(scope="session")
def saved_sequence(build_once, request, world) -> Path:
    """The trained sequence model as a SavedModel, which all workers share."""

    def build(path: Path) -> None:
        trained = request.getfixturevalue("trained_sequence")
        genres = [f"g{n}" for n in range(GENRES)]
        export_sequence(*trained, world.items, np.ones(ITEMS), genres, False, {"dataset": "checkerboard"}, path)

    return build_once("saved_sequence", build)


@pytest.fixture(scope="session")
def retrieval_signatures(saved_retrieval):
    """The signatures of the saved retrieval model."""
    return tf.saved_model.load(str(saved_retrieval)).signatures


@pytest.fixture(scope="session")
def ranking_signatures(saved_ranking):
    """The signatures of the saved ranking model."""
    return tf.saved_model.load(str(saved_ranking)).signatures


@pytest.fixture(scope="session")
def predictions(saved_ranking, world) -> Arrays:
    """The saved ranking model's predictions for the test span, by head."""
    return predict_ranking(saved_ranking, world.test)
