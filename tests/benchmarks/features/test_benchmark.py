"""The features benchmark: both training sets have equal values. No test asserts a duration."""

import pyarrow as pa
import pytest

from benchmarks.features.benchmark import run, same, targets


@pytest.mark.slow
def test_segue_and_pandas_make_the_same_training_set():
    result = run("nano")
    assert result["different_columns"] == []
    assert result["equal_values"] is True
    assert result["targets"] == {"different_columns": {"value": 0, "at_most": 0, "holds": True}}
    assert result["events"] > result["examples"] > 1000
    for name in ("segue", "pandas"):
        timed = result[name]
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
def test_same_compares_values(left, right, equal):
    assert same(pa.chunked_array([left]), pa.chunked_array([right])) is equal


def test_only_the_large_world_limits_speed_and_memory():
    assert set(targets("small", 0, 0.1, 2.0)) == {"different_columns"}
    limits = targets("large", 1, 2.0, 0.3)
    assert {name: limit["holds"] for name, limit in limits.items()} == {
        "different_columns": False,
        "speedup": True,
        "memory_ratio": True,
    }


def test_dictionaries_equal_their_values():
    assert same(pa.chunked_array([pa.array(["a"]).dictionary_encode()]), pa.chunked_array([["a"]]))
