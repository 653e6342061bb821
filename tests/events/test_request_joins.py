"""Interactions that belong to no impression."""

import pyarrow as pa
import pytest

from events.checks import check
from events.request_joins import Unjoined, count, sentence, with_cause


def shown(event, number: int, request: str | None, **values):
    """Return an impression of one listener."""
    return event(number, user_id="u0", action="impression", request_id=request, **values)


def acted(event, number: int, request: str | None, **values):
    """Return a play of the same listener."""
    return event(number, user_id="u0", action="play", request_id=request, **values)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ((("r1",), ("r1",)), Unjoined(1, 0, 1, 0)),
        (((None,), (None, None)), Unjoined(1, 1, 2, 2)),
        ((("r1", None), ("r1", "r2", None)), Unjoined(2, 1, 3, 2)),
        (((), ("r1", None)), Unjoined(0, 0, 2, 0)),
    ],
)
def test_interactions_without_an_impression_are_counted(event, imported, requests, expected):
    impressions, plays = requests
    rows = [shown(event, n, request) for n, request in enumerate(impressions)]
    rows += [acted(event, 10 + n, request) for n, request in enumerate(plays)]
    rows.append(event(21, action="impression", request_id="other", user_id="u1"))
    other = Unjoined(expected.impressions + 1, *list(vars(expected).values())[1:])
    if not impressions:
        other = Unjoined(1, 0, 2, 2)
    assert count(check(imported(rows)).events) == other


def test_the_import_says_what_cannot_be_joined(event, imported):
    rows = [shown(event, 0, None), acted(event, 2, None), event(1), event(3)]
    (line,) = check(imported(rows)).mapping
    assert line.startswith("1 of 1 impressions have no request_id and cannot be joined")
    assert "3 of 3 interactions belong to no impression" in line


def test_a_log_without_impressions_has_nothing_to_join(event, imported):
    assert check(imported([event(0), event(1)])).mapping == ()
    assert sentence(Unjoined(0, 0, 5, 0)) == ""


def test_an_error_about_labels_names_impressions_that_cannot_be_joined():
    rows = {"user_id": ["u"] * 3, "item_id": ["a"] * 3, "action": ["impression", "play", "like"]}
    lacking = with_cause("None.", "Check.", pa.table({**rows, "request_id": pa.nulls(3, pa.string())}))
    assert lacking.headline.startswith("None. 1 of 1 impressions have no request_id")
    assert "2 of 2 interactions belong to no impression" in lacking.headline
    assert "request_id" in lacking.fix
    joined = with_cause("None.", "Check.", pa.table({**rows, "request_id": ["r"] * 3}))
    assert (joined.headline, joined.fix) == ("None.", "Check.")
