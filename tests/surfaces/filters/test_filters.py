"""Each filter: which candidates stay."""

import numpy as np
import pytest

from surfaces.candidates import SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.filters.every import FILTERS
from surfaces.request import Request
from surfaces.versions import VersionSet
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW

CATALOGUE = make_catalogue({
    "a": {"markets": frozenset({"SE"})},
    "b": {"content_type": "podcast", "explicit": True},
    "c": {"markets": frozenset({"NO", "SE"})},
})  # fmt: skip
BY_CREATOR = make_catalogue({
    "a": {"creator_id": "x"}, "b": {"creator_id": "x"}, "c": {"creator_id": "y"}, "d": {}, "e": {},
})  # fmt: skip
BY_NAME = {one.name: one for one in FILTERS}


def kept(name, request=None, history="", **sources) -> list[str]:
    """The items that a filter keeps of those that some sources found; by default retrieval found all."""
    entries = [entry.partition(":") for entry in history.split()]
    features = {
        "history_items": [item for item, _, _ in entries],
        "history_actions": [action or "play" for _, _, action in entries],
    }
    found = sources or {"retrieval": "a b c added"}
    answers = [
        SourceAnswer(source, np.array(items.split()), np.ones(len(items.split()), np.float32))
        for source, items in found.items()
    ]
    candidates = merge(answers, CATALOGUE)
    context = Context(Request("u", NOW, **(request or {})), features, CATALOGUE, VersionSet())
    return candidates.keep(BY_NAME[name].keep(context, candidates)).item_ids


@pytest.mark.parametrize(
    ("name", "request_of", "history", "expected"),
    [
        ("market", {}, "", "a b c added"),
        ("market", {"market": "NO"}, "", "b c added"),  # an item without markets is available everywhere
        ("type", {}, "", "a b c added"),
        ("type", {"content_types": ("podcast",)}, "", "b added"),  # models know added items, and have the filter too
        ("explicit", {}, "", "a b c added"),
        ("explicit", {"explicit": False}, "", "a c"),  # nothing says that an added item is not explicit
        ("dislikes", {"dislikes": ("c",)}, "", "a b added"),
        ("dislikes", {}, "a:skip b a", "b c added"),
        ("dislikes", {}, "a a:skip", "a b c added"),  # played again after the skip
        ("heard", {}, "a b", "a b c added"),  # retrieval has a rule of its own
    ],
)
def test_a_filter(name, request_of, history, expected):
    assert kept(name, request_of, history) == expected.split()


def test_sources_of_discovery_bring_nothing_that_was_heard():
    found = {"retrieval": "a", "popular": "a b c", "cross_content": "b", "jump_back_in": "c"}
    assert kept("heard", {}, "a b c", **found) == ["a", "c"]


def test_the_lists_of_the_sources_follow_the_filters():
    candidates = merge(
        [
            SourceAnswer("one", np.array(["a", "b", ""]), np.array([3.0, 2.0, -1.0], np.float32), "model"),
            SourceAnswer("two", np.array(["c", "a"]), np.array([5.0, 4.0], np.float32), "", "anchor"),
        ],
        CATALOGUE,
    )
    left = candidates.keep(np.array([True, False, True]))
    assert left.item_ids == ["a", "c"]
    assert left.rows.tolist() == [0, 2]
    assert left.scores["model"].tolist() == [3.0, -np.inf]
    assert left.sources == [["one", "two"], ["two"]]
    assert [(one.source, one.anchor, one.places.tolist()) for one in left.lists] == [
        ("one", "", [0]),
        ("two", "anchor", [1, 0]),
    ]


@pytest.mark.parametrize(
    ("now", "lasting", "expected"),
    [
        ((), (), "a b c d e"),
        (("a",), (), "b c d e"),
        ((), ("a",), "c d e"),  # and the other item of its creator
        ((), ("d",), "a b c e"),  # an unknown creator is no creator
        ((), ("gone",), "a b c d e"),  # an item that the catalogue no longer has
    ],
)
def test_a_lasting_dislike_leaves_the_creator_out_too(now, lasting, expected):
    request = Request("u", NOW, dislikes=now, lasting_dislikes=lasting)
    candidates = merge([SourceAnswer("retrieval", np.array(list("abcde")), np.ones(5, np.float32))], BY_CREATOR)
    context = Context(request, {}, BY_CREATOR, VersionSet())
    assert candidates.keep(BY_NAME["dislikes"].keep(context, candidates)).item_ids == expected.split()


def test_a_bound_on_lists_keeps_the_scores_of_whole_lists():
    answers = [
        SourceAnswer("retrieval", np.array(["a", "b", "c"]), np.array([3, 2, 1], np.float32), "retrieval"),
        SourceAnswer("popular", np.array(["c", "a"]), np.ones(2, np.float32)),
    ]
    candidates = merge(answers, CATALOGUE, longest=1)
    assert candidates.item_ids == ["a", "c"]
    assert candidates.scores["retrieval"].tolist() == [3, 1]  # c was found, though it is not among the first
    assert candidates.listed["retrieval"].tolist() == [3, 2, 1]
    assert [(one.source, one.places.tolist()) for one in candidates.lists] == [("retrieval", [0]), ("popular", [1])]


def test_the_first_score_of_an_item_counts():
    answers = [
        SourceAnswer(source, np.array(["a", "b"]), np.array([score, score], np.float32), "retrieval")
        for source, score in (("retrieval", 3), ("new_releases", 2))
    ]
    assert merge(answers, CATALOGUE).scores["retrieval"].tolist() == [3, 3]
