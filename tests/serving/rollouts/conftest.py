"""Each keeping of the state and of the counts of roll-outs, as any process opens it."""

from collections.abc import Callable

import pytest

from serving.rollouts.kept_counts import CountsKeeping, FileCounts, RedisCounts
from serving.rollouts.kept_state import FileState, RedisState, StateKeeping


@pytest.fixture(params=["file", "redis"])
def open_state(request, tmp_path) -> Callable[[], StateKeeping]:
    """A function that opens the state's keeping; it is empty at first."""
    if request.param == "file":
        return lambda: FileState(tmp_path / "models")
    settings = request.getfixturevalue("redis_settings")
    return lambda: RedisState(settings)


@pytest.fixture(params=["file", "redis"])
def open_counts(request, tmp_path) -> Callable[[], CountsKeeping]:
    """A function that opens the counts' keeping; it is empty at first."""
    if request.param == "file":
        return lambda: FileCounts(tmp_path / "cohorts")
    settings = request.getfixturevalue("redis_settings")
    return lambda: RedisCounts(settings)
