"""Labels that a log brings."""

import pyarrow as pa
import pytest

from events import canonical, schema
from events.checks import check
from events.origins import RowOrigins
from segue.errors import InputError

NAN = float("nan")


def read(name: str, values) -> list:
    """Return the labels read from a column of these values."""
    column = pa.chunked_array([pa.array(values)])
    return canonical.cast(column, pa.field(name, pa.float32()), RowOrigins.of("log.csv", len(values), 2)).to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        [True, False, None],
        [1, 0, None],
        [1.0, 0.0, NAN],
        ["true", "FALSE", None],
        ["Yes", "no", ""],
        ["1", "0", " "],
        ["1.0", "0.0", "nan"],
        ["t", "N", None],
    ],
    ids=str,
)
@pytest.mark.parametrize("head", schema.HEADS)
def test_flags_become_labels(head, values):
    assert read(f"label_{head}", values) == [1.0, 0.0, None]


@pytest.mark.parametrize("value", [4, -1, 0.5, float("inf"), "5", "liked", "-1", 2.0])
@pytest.mark.parametrize("head", schema.HEADS)
def test_ratings_and_other_values_are_no_labels(head, value):
    other = type(value)(1)
    with pytest.raises(InputError, match=rf"log.csv, row 3: label_{head} is .*, which is not 0, 1 or null") as e:
        read(f"label_{head}", [other, value])
    assert "threshold" in e.value.fix


def test_label_listen_is_a_finite_number_of_at_least_0():
    assert read("label_listen", [0, 3]) == [0.0, 3.0]
    assert read("label_listen", ["0.5", None]) == [0.5, None]
    assert read("label_listen", [2.5, NAN]) == [2.5, None]


@pytest.mark.parametrize("value", [-1.0, float("inf"), "long", "-0.5", 1e300])
def test_other_seconds_are_refused(value):
    with pytest.raises(InputError, match=r"log.csv, row 3: label_listen is .*, which is not a finite number"):
        read("label_listen", [type(value)(1), value])


def test_an_import_reads_the_labels_of_events(event, imported):
    checked = check(imported([event(0, label_like="yes"), event(1, label_like="no")]))
    assert checked.events["label_like"].to_pylist() == [1.0, 0.0]
    with pytest.raises(InputError, match="events, row 2: label_skip is 3"):
        check(imported([event(0, label_skip=1), event(1, label_skip=3)]))
