"""The list of `segue recommend` over a fake server: candidates from several sources, ranked by reward."""

import asyncio

import numpy as np
import pytest

from segue.candidates import RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES
from segue.errors import InputError, UnavailableError
from surfaces.assembly import recommend as recommend_by_models
from surfaces.request import Exploration, Request
from surfaces.sources.source import DAY_SECONDS
from surfaces.versions import Models
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW, PAIRS, QUERY, FakeServer


def test_candidates_of_both_retrieval_sources_are_ranked_once_each(recommend):
    server = FakeServer(old={"1": 9.0, "3": 8.0}, new={"3": 8.0, "2": 7.0})

    answer = recommend(server)

    assert [(item.item_id, item.sources, item.source_scores) for item in answer] == [
        ("3", ["retrieval", "new_releases"], {"retrieval": 8.0}),
        ("2", ["new_releases"], {"retrieval": 7.0}),
        ("1", ["retrieval"], {"retrieval": 9.0}),
    ]
    assert [(item.scores["reward"], item.explored) for item in answer] == [(3.0, False), (2.0, False), (1.0, False)]
    assert [item.title for item in answer] == ["Three", "2", "1"]  # the id, where no title is known
    assert answer[0].scores["play"] == pytest.approx(0.3)
    assert server.asked("ranking")["candidate_ids"].tolist() == [["1", "3", "2"]]
    assert server.asked("ranking")["retrieval_scores"].tolist() == [[9.0, 8.0, 7.0]]


def test_the_sequence_model_is_a_source_too(recommend):
    server = FakeServer(old={"1": 9.0, "3": 8.0}, new={"2": 7.0}, following={"3": 0.5, "4": 0.25})

    answer = recommend(server)

    assert [(item.item_id, item.sources, item.source_scores) for item in answer] == [
        ("4", ["sequence"], {"retrieval": None, "sequence": 0.25}),
        ("3", ["retrieval", "sequence"], {"retrieval": 8.0, "sequence": 0.5}),
        ("2", ["new_releases"], {"retrieval": 7.0, "sequence": None}),
        ("1", ["retrieval"], {"retrieval": 9.0, "sequence": None}),
    ]
    assert sorted(model for model, _ in server.requests) == ["ranking", "retrieval", "sequence"]
    assert server.asked("sequence")["history_items"].tolist() == [["last", "first"]]
    ranked = server.asked("ranking")
    assert ranked["candidate_ids"].tolist() == [["1", "3", "2", "4"]]
    # A gap has the model's least score: 8 and not 7, since new releases are not in the lists of training.
    assert ranked["retrieval_scores"].tolist() == [[9.0, 8.0, 7.0, 8.0]]
    assert ranked["sequence_scores"].tolist() == [[0.25, 0.5, 0.25, 0.25]]


def test_a_request_has_the_scores_that_training_gives_the_same_lists(recommend):
    from models.ranking.two_stage import merge

    items = np.array([str(n) for n in range(6)], object)
    retrieval = np.array([[3.0, 2.0, 1.0, -np.inf, -np.inf, -np.inf]])
    sequence = np.array([[0.4, -np.inf, 0.6, 0.5, -np.inf, -np.inf]])
    trained = merge(retrieval, sequence, items)
    old, following = (
        {item: float(score) for item, score in zip(items, scores[0], strict=True) if np.isfinite(score)}
        for scores in (retrieval, sequence)
    )
    server = FakeServer(old=old, new={"5": -7.0}, following=following)

    recommend(server)

    ranked, lists = server.asked("ranking"), trained.inputs()
    for name in ("retrieval_scores", "sequence_scores"):
        served = dict(zip(ranked["candidate_ids"][0], ranked[name][0], strict=True))
        expected = {i: s for i, s in zip(lists["candidate_ids"][0], lists[name][0], strict=True) if i}
        assert {item: served[item] for item in expected} == pytest.approx(expected)


def test_one_call_asks_for_all_items_and_for_those_of_the_last_14_days(recommend):
    server = FakeServer(old={"1": 9.0}, new={})

    recommend(server, 1, content_types=["music", "podcast"], market="SE")

    asked = server.asked("retrieval")
    assert asked["k"].tolist() == [RETRIEVAL_CANDIDATES, 50]
    assert asked["released_after"].tolist() == [0, int(NOW.timestamp()) - 14 * DAY_SECONDS]
    assert asked["content_types"].tolist() == [["music", "podcast"]] * 2
    assert asked["market"].tolist() == ["SE", "SE"]
    assert asked["history_items"].tolist() == [["last", "first"]] * 2
    assert asked["k"].dtype == np.int32


def test_a_filter_reaches_both_models_that_find_candidates(recommend):
    server = FakeServer(old={"1": 9.0}, new={}, following={})

    recommend(server, 1, content_types=["music"], market="SE")

    for model in ("retrieval", "sequence"):
        assert {tuple(row) for row in server.asked(model)["content_types"].tolist()} == {("music",)}
        assert set(server.asked(model)["market"].tolist()) == {"SE"}
    assert server.asked("sequence")["k"].tolist() == [SEQUENCE_CANDIDATES]


def test_both_models_are_asked_at_the_same_time(recommend):
    server = FakeServer(old={"1": 9.0}, new={}, following={"2": 0.5})
    asked, predict = set(), server.predict

    async def waiting(model, *rest, **named):
        asked.add(model)
        while model != "ranking" and len(asked) < 2:  # for ever, if the second call begins only after the first
            await asyncio.sleep(0)
        return await predict(model, *rest, **named)

    server.predict = waiting
    assert [item.item_id for item in recommend(server)] == ["2", "1"]


@pytest.mark.parametrize("failing", ["retrieval", "sequence", "ranking"])
@pytest.mark.parametrize("error", [UnavailableError("no answer", ""), InputError("rejected", "")])
def test_an_error_of_any_model_keeps_its_type(recommend, failing, error):
    server = FakeServer(old={"1": 9.0}, new={}, following={"2": 0.5})
    predict = server.predict

    async def fail(model, *rest, **named):
        if model == failing:
            raise error
        return await predict(model, *rest, **named)

    server.predict = fail
    with pytest.raises(type(error), match=error.headline):
        recommend(server)


def test_an_older_export_gets_the_inputs_that_it_has(recommend):
    server = FakeServer(
        old={"1": 9.0, "2": 8.0},
        new={"3": 1.0},
        retrieval=QUERY,
        ranking=QUERY | {"candidate_ids": PAIRS["candidate_ids"]},
        uncertain=False,
    )

    answer = recommend(server, 2, Exploration(budget=0.5))

    assert [(item.item_id, item.sources) for item in answer] == [("2", ["retrieval"]), ("1", ["retrieval"])]


@pytest.mark.parametrize(("name", "value"), [("content_types", ["music"]), ("market", "SE")])
def test_a_filter_that_an_older_export_lacks_is_refused(recommend, name, value):
    server = FakeServer({"1": 9.0}, {}, retrieval=QUERY)

    with pytest.raises(InputError, match=f"cannot filter by '{name}'") as caught:
        recommend(server, 1, **{name: value})

    assert "segue run training" in caught.value.fix


def test_a_rollback_to_models_with_other_inputs_is_followed(features):
    server = FakeServer({"1": 0.9}, {}, following={"2": 0.4})

    async def item_ids(models):
        found = await recommend_by_models(models, make_catalogue({}), Request("u1", NOW, k=2), features)
        return [item.item_id for item in found]

    async def roll_back_and_on():
        models = Models(server)
        await models.refresh()
        server.signatures = FakeServer({}, {}).signatures
        server.versions = dict.fromkeys(server.signatures, 2)
        without_sequence = await item_ids(models)
        server.signatures = FakeServer({}, {}, following={}).signatures
        server.versions = dict.fromkeys(server.signatures, 3)
        return without_sequence, await item_ids(models)

    assert asyncio.run(roll_back_and_on()) == (["1"], ["2", "1"])


def test_without_candidates_ranking_is_not_asked(recommend):
    server = FakeServer({}, {})

    assert recommend(server) == []
    assert [model for model, _ in server.requests] == ["retrieval"]


def test_an_explored_item_is_marked(recommend):
    server = FakeServer(old={"9": 4.0, "8": 3.0, "7": 2.0, "6.9?": 1.0}, new={})

    answer = recommend(server, 3, Exploration(budget=0.4))  # floor(0.4 * 3) = 1 place

    assert [(item.item_id, item.explored) for item in answer] == [("9", False), ("8", False), ("6.9?", True)]


def test_the_same_request_has_the_same_answer(recommend):
    old, new = {"9": 4.0, "8": 3.0, "7": 2.0, "6": 1.0}, {"5": 1.0, "4?": 0.5}

    assert recommend(FakeServer(old, new), 4, Exploration(0.5)) == recommend(FakeServer(old, new), 4, Exploration(0.5))


def test_an_item_as_json_is_flat(recommend):
    (item,) = recommend(FakeServer(old={"3": 8.0}, new={}, following={}))

    assert item.to_dict() == {
        "item_id": "3",
        "title": "Three",
        "reward": 3.0,
        "play": pytest.approx(0.3),
        "uncertainty": 0.0,
        "retrieval_score": 8.0,
        "sequence_score": None,
        "source": ["retrieval"],
        "explored": False,
    }
