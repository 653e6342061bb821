"""The benchmark's two training sets agree value by value; no time is asserted."""

import pyarrow as pa
import pytest

from benchmarks.features.benchmark import run, same


@pytest.mark.slow
def test_both_make_the_same_training_set():
    found = run("nano")
    assert found["different_columns"] == []
    assert found["equal_values"] is True
    assert found["events"] > found["examples"] > 1000
    for name in ("segue", "pandas"):
        timed = found[name]
        assert set(timed) == {
            "features_seconds", "join_seconds", "total_seconds", "events_per_second", "peak_memory_mb",
        }  # fmt: skip
        assert timed["total_seconds"] == timed["features_seconds"] + timed["join_seconds"] > 0
        assert timed["peak_memory_mb"] > 50


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ([1.0, None], [1.0, float("nan")], True),
        ([1.0, None], [1.0, 0.0], False),
        ([1.0], [1.01], False),
        ([["a", "b"], []], [["a", "b"], []], True),
        ([["a"], ["b"]], [["a", "b"], []], False),
        (["a"], ["b"], False),
        ([1], [1.0], True),
    ],
)
def test_same_sees_any_difference(left, right, equal):
    assert same(pa.chunked_array([left]), pa.chunked_array([right])) is equal


def test_dictionaries_are_their_values():
    assert same(pa.chunked_array([pa.array(["a"]).dictionary_encode()]), pa.chunked_array([["a"]]))
