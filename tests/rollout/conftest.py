"""Roll-outs and looks of tests, and a store with a canary."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from experiments.statistics.effects import Sums
from rollout.looks import Look, Seen
from rollout.plan import Plan
from rollout.rollout import Rollout
from serving.store import model_store

AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def running(stage: int = 1, plan: Plan | None = None, **parts) -> Rollout:
    """A roll-out of version 2 beside version 1, whose stage began at `AT`."""
    plain = Rollout(1, {"ranking": 2}, {"ranking": 1}, plan or Plan(), "running", AT, stage)
    return replace(plain, **parts)


def seen(listeners: int = 100, each: int = 4, reward: float | Sums = 2.0, skips: float = 0.3, **parts) -> Seen:
    """A cohort whose listeners differ a little: half of them are a tenth above the mean, and half below.

    Without listeners it has had no request.
    """
    requests = np.full(listeners, float(each))
    half = np.where(np.arange(listeners) % 2 == 0, 1.1, 0.9)
    started = requests * 10
    sums = reward if isinstance(reward, Sums) else Sums(reward * requests * half, requests)
    newest = AT + 2 * DAY if listeners else None
    plain = Seen(listeners * each, 0, 0, newest, sums, Sums(skips * started * half, started))
    return replace(plain, **parts)


def look(candidate: Seen | None = None, control: Seen | None = None) -> Look:
    """A look at two cohorts, which are equal unless they are given."""
    return Look(control or seen(), candidate or seen())


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with the files of a SavedModel; the store does not read their contents."""
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


@pytest.fixture
def store(tmp_path, source) -> Callable[[], Path]:
    """A function that makes a new store: of `ranking` and `retrieval` 1 is stable and 2 the canary."""
    made = 0

    def make() -> Path:
        nonlocal made
        made += 1
        root = tmp_path / f"store{made}"
        for label in ("stable", "canary"):
            model_store.push(root, {"ranking": source, "retrieval": source}, label=label)
        return root

    return make
