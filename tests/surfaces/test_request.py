"""Requests and explorations that break a rule are refused."""

import math

import pytest

from segue.errors import InputError
from surfaces.request import Exploration, Request


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


def test_a_request_for_no_item_is_refused():
    with pytest.raises(InputError, match=r"at least 1 item\. Received k=0"):
        Request("u1", k=0)
