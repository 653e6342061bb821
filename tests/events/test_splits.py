"""The cut by global time."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from events import schema
from events.splits import Split, cut
from segue.errors import InputError

START = datetime(2026, 1, 5, tzinfo=UTC)


def minutes(values: list[int]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([START + timedelta(minutes=m) for m in values], schema.TIMESTAMP)])


def test_ten_events_split_eight_one_one():
    split = cut(minutes([9, 3, 0, 1, 2, 4, 5, 8, 7, 6]))
    assert split.start == START
    assert split.train_end == START + timedelta(minutes=8)
    assert split.validation_end == START + timedelta(minutes=9)
    assert split.end == START + timedelta(minutes=9, microseconds=1)  # the last event is inside


def test_events_of_one_instant_fall_on_one_side():
    # Of ten events the cut at 0.8 falls into the five at minute 5: all of them come after it.
    split = cut(minutes([0, 1, 2, 3, 5, 5, 5, 5, 5, 9]), (0.6, 0.3, 0.1))
    assert split.train_end == START + timedelta(minutes=5)
    assert split.validation_end == START + timedelta(minutes=9)


@pytest.mark.parametrize(
    ("values", "part"),
    [([5] * 10, "train"), ([0] + [5] * 9, "validation"), ([0] * 9 + [5], "train")],
)
def test_a_part_without_events_is_refused(values, part):
    with pytest.raises(InputError, match=f"The {part} part would be empty"):
        cut(minutes(values))


def test_two_events_are_too_few():
    with pytest.raises(InputError, match=r"at least three events. Received 2"):
        cut(minutes([0, 1]))


@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.2), (0.9, 0.1, 0.0), (1.2, -0.1, -0.1)])
def test_fractions_are_shares(fractions):
    with pytest.raises(InputError, match="three positive shares"):
        cut(minutes(list(range(10))), fractions)


def test_a_split_survives_json():
    split = cut(minutes(list(range(10))))
    assert Split.from_dict(split.to_dict()) == split
