"""Event ids and codes of public logs."""

import pyarrow as pa
import pytest

from events.importers.public import logs


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([["b", "a", None], ["a", "c"], ["b"]], [0, 1, -1, 1, 2, 0]),
        ([["x", "x"]], [0, 0]),
        ([[], ["y"], []], [0]),
        ([], []),
    ],
)
def test_codes_are_the_same_in_all_chunks(chunks, expected):
    assert logs.codes(pa.chunked_array(chunks, pa.string())).tolist() == expected


def test_event_ids_of_repeated_values_are_numbered_in_their_order():
    users = pa.chunked_array([["u", "v"], ["u", "u"]])
    times = pa.chunked_array([[1, 1, 1, 2]])
    assert logs.event_ids("x", users, times).to_pylist() == ["x-u-1", "x-v-1", "x-u-1#2", "x-u-2"]


def test_labels_that_are_not_known_are_null():
    columns = logs.labels(2, label_like=pa.chunked_array([[True, None]]))
    assert columns["label_like"].to_pylist() == [1.0, None]
    assert {name for name, column in columns.items() if column.null_count == 2} == {
        "label_play", "label_complete", "label_skip", "label_add", "label_listen",
    }  # fmt: skip
