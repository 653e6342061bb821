"""Features as served against the join: silence without a fault, and the feature's name with one."""

import sys

import pytest

from monitoring.checks.rules import RULES
from monitoring.checks.skew import skew

COUNTRIES = ["SE", "NO", "DK"]


def requests(count: int = 60) -> list[dict]:
    """What training joins to some requests; every tenth listener has no plays that are known."""
    return [
        {
            "country": COUNTRIES[n % 3],
            **({"plays": float(n % 20)} if n % 10 else {}),
            "genre_shares": [n % 5 / 5, 1 - n % 5 / 5],
            "history_items": [f"i{k}" for k in range(n, n + 9)],
        }
        for n in range(count)
    ]


def test_equal_features_pass_and_need_no_statistics(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_data_validation", None)  # its import fails
    check = skew(requests(), requests())
    assert check.verdict.passed
    assert check.verdict.reason == "All 60 requests were served with the features that training joins to them."
    assert (check.effect, check.kind, check.response) == (0.0, "skew", "alert")
    assert RULES[check.name].cause == ""  # its name is the cause


def served_with(change, every: int = 1) -> list[dict]:
    """Requests of which every n-th was served with changed features."""
    return [{**values, **change(values)} if n % every == 0 else values for n, values in enumerate(requests())]


@pytest.mark.slow  # the import of TFDV takes 7 to 25 s
@pytest.mark.parametrize(
    ("change", "name", "different", "distance"),
    [
        (lambda values: {"plays": 0.0}, "plays", 1.0, 0.5),  # also where they are unknown
        (lambda values: {"plays": 9.0 * values.get("plays", 0.0)}, "plays", 1.0, 0.5),
        (lambda values: {"plays": None}, "plays", 0.9, 0.0),  # a feature without values has no distance
        (lambda values: {"plays": "x"}, "plays", 1.0, 0.0),  # nor has one of another type
        (lambda values: {"country": "XX"}, "country", 1.0, 0.9),
        (lambda values: {"genre_shares": values["genre_shares"][::-1]}, "genre_shares", 1.0, 0.0),
        (lambda values: {"history_items": values["history_items"][3:]}, "history_items", 1.0, 0.0),  # a push is late
        (lambda values: {"new": 1}, "new", 1.0, 0.0),
    ],
)
def test_a_changed_feature_is_named(change, name, different, distance):
    check = skew(served_with(change), requests())
    assert not check.verdict.passed
    assert check.verdict.figures["failed_levels"] == [name]
    figures = check.verdict.figures["features"][name]
    assert figures["different"] == pytest.approx(different, abs=0.02)
    assert figures["distance"] >= distance
    assert check.verdict.reason.startswith(f"{name} differs from the join of training in {figures['different']:.1%}")
    assert check.effect > check.limit == 0.05


@pytest.mark.slow
def test_the_largest_is_named_first_and_what_is_rare_passes():
    def both(values):
        return {"country": "XX", "plays": 99.0}

    served = [values | ({"country": "XX"} if n < 2 else {}) for n, values in enumerate(requests())]
    assert skew(served, requests()).verdict.passed  # two requests are none
    assert skew(served_with(lambda values: {"country": "XX"}, 30), requests()).verdict.passed
    served = [{**values, "genre_shares": [0.0, 0.0]} for values in served_with(both, 4)]
    check = skew(served, requests())
    assert check.verdict.figures["failed_levels"][0] == "genre_shares"
    assert set(check.verdict.figures["failed_levels"]) == {"genre_shares", "plays", "country"}
    assert "60 requests, at a distance of 1.00; the limit is 5.0% and 0.05. So do " in check.verdict.reason
    assert "plays (25.0%, " in check.verdict.reason
