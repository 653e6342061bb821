"""The scorecard as a page: where its intervals are drawn, what it says in words, and how it looks in a browser."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import pytest

from experiments.definition import parse
from experiments.page import WIDTH, interval, render, scale_of
from experiments.registry import Registry, summary
from experiments.reporting import last_look, report, result
from segue.errors import InputError
from tests.experiments.conftest import DAYS, PLAN
from tests.support.browser import chromium
from tests.support.experiments import definition

ARMS = [{"name": "control", "share": 0.5}, {"name": "treatment", "share": 0.5, "parameters": {"home.rows": 3}}]


@pytest.fixture
def registry(tmp_path, open_planted, started) -> Registry:
    """An experiment with three looks at a planted lift, and one without looks."""
    made = Registry(tmp_path / "experiments")
    made.start(parse(definition(plan=PLAN)), started, "me")
    for day in (1, 3, DAYS):
        report(made, "more-new", open_planted("lift"), started + timedelta(days=day))
    made.start(parse(definition(name="later", layer={"name": "later"}, arms=ARMS)), started, "me")
    return made


def row(**parts):
    plain = {"lift": 0.1, "lift_low": -0.05, "lift_high": 0.25, "margin": None, "higher_is_better": True}
    return {**plain, "improved": False, "worse": False, "non_inferior": False, **parts}


def test_an_interval_lies_around_the_middle_by_its_lift():
    # The drawing ends at 20 %: -5 % is a quarter of the half left of the middle, 25 % lies beyond the end.
    half = WIDTH / 2
    assert interval(row(), 0.2) == {"low": 0.75 * half, "point": 1.5 * half, "high": WIDTH}
    assert interval(row(lift=None, lift_low=None, lift_high=None), 0.2) is None


@pytest.mark.parametrize(("higher_is_better", "place"), [(True, 0.9), (False, 1.1)])
def test_a_margin_lies_on_the_side_of_harm(higher_is_better, place):
    drawn = interval(row(margin=0.02, higher_is_better=higher_is_better), 0.2)
    assert drawn["margin"] == pytest.approx(place * WIDTH / 2)


def test_the_drawing_ends_beyond_the_longest_interval_but_not_beyond_a_half():
    assert scale_of([row()]) == pytest.approx(1.1 * 0.25)
    assert scale_of([row(lift_high=float("inf")), row(lift_high=3.0)]) == 0.5
    assert scale_of([]) == pytest.approx(0.011)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"improved": True}, "improved"),
        ({"worse": True}, "worse"),
        ({}, ""),
        ({"margin": 0.02, "non_inferior": True, "worse": True}, "within 2.0%"),
        ({"margin": 0.02, "worse": True}, "not shown within 2.0%, worse"),
    ],
)
def test_a_result_is_said_in_words(parts, said):
    assert result(row(**parts)) == said


def test_the_page_has_the_last_look_without_taking_another(registry):
    looked = last_look(registry, "more-new")
    page = render(looked)
    assert page.count("<svg") == sum(each["lift_low"] is not None for each in looked.card["rows"]) > 0
    for each in looked.card["rows"]:
        if each["lift_low"] is not None:
            assert f"{each['lift_low']:+.1%} to {each['lift_high']:+.1%}" in page
    assert all(f"{look['at'][:10]} 00:00" in page for look in looked.state.looks)
    assert len(registry.get("more-new").looks) == 3


def test_a_summary_has_the_last_verdict_and_the_decision(registry, started):
    registry.stop("more-new", "ship", "It plays more.", "me", started + timedelta(days=DAYS))
    rows = {each["name"]: each for each in map(summary, registry.all())}
    assert [rows["more-new"][name] for name in ("looks", "verdict", "decision")] == [3, "ship", "ship"]
    assert rows["more-new"]["reason"] == registry.get("more-new").looks[-1]["reason"]
    assert [rows["later"][name] for name in ("looks", "verdict", "reason", "decision")] == [0, "", "", ""]
    assert last_look(registry, "later") is None
    with pytest.raises(InputError, match="no experiment 'absent'"):
        last_look(registry, "absent")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_fits_a_screen_and_axe_finds_no_violation(registry, tmp_path, width, dark):
    found = importlib.util.find_spec("axe_core_python")
    if found is None:
        pytest.skip("axe-core-python is not installed")
    axe = Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(render(last_look(registry, "more-new")), encoding="utf-8")
    with chromium(width, 900, dark) as browser:
        browser.get((tmp_path / "page.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        browser.execute_script(axe)
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        violations = browser.execute_async_script("axe.run(arguments[0]).then(arguments[1])", rules)["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == []
        assert browser.get_log("browser") == []
