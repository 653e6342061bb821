"""The split by global time."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from events import schema
from events.splits import Split, cut
from segue.errors import InputError

START = datetime(2026, 1, 5, tzinfo=UTC)


def minutes(values: list[int]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([START + timedelta(minutes=m) for m in values], schema.TIMESTAMP)])


def test_ten_events_are_split_into_eight_one_and_one():
    split = cut(minutes([9, 3, 0, 1, 2, 4, 5, 8, 7, 6]))
    assert split.start == START
    assert split.train_end == START + timedelta(minutes=8)
    assert split.validation_end == START + timedelta(minutes=9)
    assert split.end == START + timedelta(minutes=9, microseconds=1)  # the test span includes the last event


def test_events_of_the_same_instant_fall_into_the_same_span():
    # The boundary after 60 % of the events falls among the five at minute 5, so all five are in the next span.
    split = cut(minutes([0, 1, 2, 3, 5, 5, 5, 5, 5, 9]), (0.6, 0.3, 0.1))
    assert split.train_end == START + timedelta(minutes=5)
    assert split.validation_end == START + timedelta(minutes=9)


@pytest.mark.parametrize(
    ("values", "span"),
    [([5] * 10, "train"), ([0] + [5] * 9, "validation"), ([0] * 9 + [5], "train")],
)
def test_a_span_without_events_is_refused(values, span):
    with pytest.raises(InputError, match=f"The {span} span would be empty"):
        cut(minutes(values))


def test_two_events_are_too_few():
    with pytest.raises(InputError, match=r"at least three events. Received 2"):
        cut(minutes([0, 1]))


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (0.9, 0.1, 0.0), (1.2, -0.1, -0.1)])
def test_fractions_must_be_positive_and_sum_to_one(fractions):
    with pytest.raises(InputError, match="three positive shares"):
        cut(minutes(list(range(10))), fractions)


def test_a_split_can_be_written_as_a_dict_and_read_back():
    split = cut(minutes(list(range(10))))
    assert Split.from_dict(split.to_dict()) == split
