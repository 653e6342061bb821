"""A small catalogue, and listeners who play its items in order, starting again after the last."""

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.sequence.data import ids_only
from events import schema
from models.inputs.axes import Axes
from models.inputs.encoder import Encoder
from models.sequence.histories import Histories, requests

ITEMS, LENGTH = 20, 12


@pytest.fixture(scope="module")
def catalogue() -> pa.Table:
    """Items i0 to i19, released a year apart; creators c0 and c1 and the genres even and odd alternate."""
    return pa.table({
        "item_id": [f"i{n}" for n in range(ITEMS)],
        "creator_id": [f"c{n % 2}" for n in range(ITEMS)],
        "genre_weights": pa.array([[1.0, 0.0] if n % 2 else [0.0, 1.0] for n in range(ITEMS)], pa.list_(pa.float32())),
        "duration_s": pa.array([60.0 + n for n in range(ITEMS)], pa.float32()),
        "release_ts": pa.array([10**9 + n * 31_556_952 for n in range(ITEMS)], pa.int64()),
    })  # fmt: skip


@pytest.fixture(scope="module")
def encoder(catalogue) -> Encoder:
    """An encoder whose vocabulary lacks i19."""
    empty = ("country", "age_band", "plan", "content_type", "language")
    tokens = {
        "item_id": [f"i{n}" for n in range(ITEMS - 1)],
        "creator_id": ["c0", "c1"],
        "action": list(schema.INTERACTIONS),
        "surface": list(schema.SURFACES),
        **{name: [] for name in empty},
    }
    return Encoder(Axes(tokens, 2, 1), catalogue)


@pytest.fixture(scope="module")
def bare(encoder) -> Encoder:
    """The same encoder for a catalogue whose items have no content, only ids."""
    unstated = {name: [] for name in encoder.axes.tokens if name not in ("item_id", "action", "surface")}
    return Encoder(Axes(encoder.axes.tokens | unstated, 1, 1), ids_only([f"i{n}" for n in range(ITEMS)]))


@pytest.fixture(scope="module")
def rounds() -> Histories:
    """40 listeners who start at one of the first 19 items and play the next items in order, a minute apart."""
    starts = np.arange(40)
    item = np.concatenate([(s + np.arange(8 + s % 7)) % (ITEMS - 1) + 1 for s in starts]).astype(np.int32)
    lengths = 8 + starts % 7
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    time = np.concatenate([60 * np.arange(n) for n in lengths]) + 1_700_000_000
    action = np.full(len(item), 2, np.int32)
    all_targets, weight = np.ones(len(item), bool), np.ones(len(item), np.float32)
    return Histories(item, action, np.full(len(item), 2, np.int32), time, time - 5, all_targets, weight, offsets)


@pytest.fixture
def batch(rounds) -> dict[str, np.ndarray]:
    """The model's inputs to predict the last choices of six listeners."""
    listeners = np.arange(6)
    return requests(rounds, listeners, rounds.offsets[1:7] - 1, LENGTH)
