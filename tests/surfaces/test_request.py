"""Requests and explorations that break a rule are refused."""

import math
from datetime import datetime

import pytest

from segue.errors import InputError
from surfaces.request import Exploration, Request
from tests.surfaces.conftest import NOW


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("budget", {"budget": 0.6}),
        ("budget", {"budget": -0.1}),
        ("budget", {"budget": math.nan}),
        ("bonus", {"bonus": -1.0}),
        ("bonus", {"bonus": math.inf}),
    ],
)
def test_an_exploration_out_of_bounds_is_refused(rule, arguments):
    with pytest.raises(InputError, match=rule):
        Exploration(**arguments)


def test_a_budget_is_never_exceeded_by_rounding():
    assert [Exploration(0.29).places(k) for k in (1, 3, 4, 100)] == [0, 0, 1, 29]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"at": NOW, "k": 0}, "at least 1 item. Received k=0"),
        ({"at": datetime(2027, 1, 15)}, "has a time zone. Received 2027-01-15"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        Request("u1", **arguments)


def test_a_timestamp_is_in_whole_seconds():
    assert Request("u1", NOW.replace(microsecond=900_000)).timestamp == int(NOW.timestamp())
