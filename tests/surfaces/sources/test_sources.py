"""Each source: what it asks or finds."""

from dataclasses import replace

import numpy as np
import pytest

from surfaces.engine.context import Context
from surfaces.request import Request
from surfaces.sources.because_you_listened import because_you_listened
from surfaces.sources.cross_content import cross_content
from surfaces.sources.jump_back_in import jump_back_in
from surfaces.sources.new_releases import new_releases
from surfaces.sources.popular import popular
from surfaces.sources.sequence import sequence
from surfaces.sources.source import BLOCK, DAY_SECONDS, listed
from surfaces.sources.two_tower import two_tower
from surfaces.versions import VersionSet
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import FILTERS, NOW, PAIRS, QUERY

CATALOGUE = make_catalogue(
    {
        "song": {"markets": frozenset({"SE"})},
        "tune": {},
        "talk": {"content_type": "podcast"},
        "soon": {"release": "2027-02-01"},  # after NOW
    },
    popularity={
        "": {"song": 5.0, "tune": 9.0, "talk": 1.0, "soon": 30.0},
        "SE": {"talk": 3.0, "song": 2.0},
        "NO": {},
    },
    similar={"song": {"tune": 0.8, "soon": 0.7, "talk": 0.2}, "talk": {"song": 0.4}},
)
VERSIONS = VersionSet(
    signatures={
        "retrieval": {"serving_default": QUERY | FILTERS},
        "ranking": {"serving_default": {"sequence_scores": PAIRS["retrieval_scores"]}},
    }
)


def context(history="", market="", types=(), country=None, versions=VERSIONS) -> Context:
    """A context whose history has `item` or `item:action` entries, newest first."""
    entries = [entry.partition(":") for entry in history.split()]
    features = {
        "history_items": [item for item, _, _ in entries],
        "history_actions": [action or "play" for _, _, action in entries],
        "country": country,
    }
    return Context(Request("u", NOW, market=market, content_types=types), features, CATALOGUE, versions)


def lists(source, given) -> list[tuple[str, list[str]]]:
    """The anchor and the items of each list."""
    return [(answer.anchor, answer.item_ids.tolist()) for answer in source.find(given)]


def test_two_tower_asks_for_items_of_any_age():
    assert two_tower.ask(context()) == {"k": 200}


def test_new_releases_are_those_of_two_weeks():
    assert new_releases.ask(context()) == {"k": 50, "released_after": int(NOW.timestamp()) - 14 * DAY_SECONDS}


@pytest.mark.parametrize("source", [new_releases, cross_content])
def test_an_older_export_without_the_input_is_not_asked(source):
    old = VersionSet(signatures={"retrieval": {"serving_default": QUERY}})
    assert source.ask(context("song", versions=old)) is None


def test_the_sequence_model_is_asked_if_ranking_takes_its_scores():
    assert sequence.ask(context()) == {"k": 100}
    without = VersionSet(signatures={"ranking": {"serving_default": QUERY}})
    assert sequence.ask(context(versions=without)) is None


@pytest.mark.parametrize(
    ("history", "types", "asked"),
    [
        pytest.param("song tune talk", (), ["podcast"], id="a music listener is asked for podcasts"),
        pytest.param("talk talk song", (), ["music"], id="and back"),
        pytest.param("", (), None, id="no history"),
        pytest.param("song", ("music",), None, id="the request names its types"),
    ],
)
def test_cross_content(history, types, asked):
    question = cross_content.ask(context(history, types=types))
    assert (question and question["content_types"]) == asked


@pytest.mark.parametrize(
    ("history", "items"),
    [
        pytest.param("song tune song", ["song", "tune"], id="once each, newest first"),
        pytest.param("song:skip tune song", ["tune"], id="the newest interaction was a skip"),
        pytest.param("song tune:skip", ["song"], id="skipped"),
        pytest.param("gone song", ["song"], id="an item of no catalogue"),
        pytest.param("", [], id="no history"),
    ],
)
def test_jump_back_in(history, items):
    assert lists(jump_back_in, context(history)) == [("", items)]


@pytest.mark.parametrize(
    ("history", "found"),
    [
        pytest.param("song", [("song", ["tune", "talk"])], id="not what is not out yet"),
        pytest.param(
            "talk song", [("talk", ["song"]), ("song", ["tune", "talk"])], id="a list an anchor, newest first"
        ),
        pytest.param("tune song:skip", [], id="nothing resembles it, or it was skipped"),
        pytest.param("song song", [("song", ["tune", "talk"])], id="an anchor once"),
    ],
)
def test_because_you_listened(history, found):
    assert lists(because_you_listened, context(history)) == found


@pytest.mark.parametrize(
    ("given", "items"),
    [
        pytest.param({}, ["tune", "song", "talk"], id="everywhere"),
        pytest.param({"country": "SE"}, ["talk", "song"], id="the listener's country"),
        pytest.param({"country": "NO"}, ["tune", "song", "talk"], id="nothing was played there"),
        pytest.param({"country": "XX"}, ["tune", "song", "talk"], id="an unknown country"),
        pytest.param({"market": "NO"}, ["tune", "talk"], id="available in the market"),
        pytest.param({"types": ("podcast",)}, ["talk"], id="of the type"),
    ],
)
def test_popular(given, items):
    assert lists(popular, context(**given)) == [("", items)]


def test_similar_items_follow_the_filters_of_the_request():
    given = context("song")
    asked = replace(given, request=replace(given.request, content_types=("podcast",)))
    assert lists(because_you_listened, asked) == [("song", ["talk"])]


def test_what_may_be_shown_is_found_behind_many_others():
    count = 2 * BLOCK + 20  # only the first and the last may be shown in Norway
    items = {
        f"i{row}": {"markets": frozenset() if row in (0, count - 1) else frozenset({"SE"})} for row in range(count)
    }
    catalogue = make_catalogue(items)
    context = Context(Request("u", NOW, market="NO"), {}, catalogue, VersionSet())
    rows, scores = np.arange(count, dtype=np.int32), -np.arange(count, dtype=np.float32)
    found = listed("all", context, rows, scores, 5)
    assert (found.item_ids.tolist(), found.scores.tolist()) == (["i0", f"i{count - 1}"], [0, 1 - count])
    assert listed("all", context, rows, scores, 1).item_ids.tolist() == ["i0"]
