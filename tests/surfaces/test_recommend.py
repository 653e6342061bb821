"""Candidates from several sources, ranked by reward, a bounded share of them explored."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.recommend import OFF, Exploration, Recommender, cold_state, query_inputs, slate
from surfaces.sources import DAY_SECONDS, SOURCES

NOW = 1_800_000_000
QUERY = {
    "history_items": {"dtype": "string", "shape": [None, None]},
    "request_ts": {"dtype": "int64", "shape": [None]},
    "surface": {"dtype": "string", "shape": [None]},
    "genre_shares": {"dtype": "float32", "shape": [None, 2]},
}
ASKED = {
    "k": {"dtype": "int32", "shape": [None]},
    "released_after": {"dtype": "int64", "shape": [None]},
    "content_types": {"dtype": "string", "shape": [None, None]},
    "market": {"dtype": "string", "shape": [None]},
}
SEQUENCE = ("history_items", "request_ts", "surface", "k", "released_after", "content_types", "market")
PAIRS = {
    "candidate_ids": {"dtype": "string", "shape": [None, None]},
    "retrieval_scores": {"dtype": "float32", "shape": [None, None]},
}


class FakeServer:
    """All models: retrieval answers each row by whether it asks for new items; an item's reward is in its id.

    Args:
        old, new: item id -> retrieval score; `old` is asked without `released_after`.
        following: item id -> the sequence model's score; None for a server without that model.
        retrieval, ranking: the inputs of their signatures.
        uncertain: ranking tells its uncertainty: 1 for the ids that end in `?`, else 0.
    """

    def __init__(self, old, new, following=None, retrieval=QUERY | ASKED, ranking=QUERY | PAIRS, uncertain=True):
        self.found = {False: old, True: new}
        self.following = following
        self.signatures = {"retrieval": retrieval, "ranking": ranking}
        if following is not None:
            self.signatures["ranking"] = ranking | {"sequence_scores": PAIRS["retrieval_scores"]}
            self.signatures["sequence"] = {name: (QUERY | ASKED)[name] for name in SEQUENCE}
        self.uncertain = uncertain
        self.requests = []

    def metadata(self, model, label):
        assert label == "stable"
        return {"signatures": {"serving_default": {"inputs": self.signatures[model]}}}

    def predict(self, model, inputs, label):
        assert label == "stable"
        assert set(inputs) == set(self.signatures[model])
        self.requests.append((model, inputs))
        if model == "retrieval":
            return self.answer([self.found[bool(after)] for after in inputs.get("released_after", [0])])
        if model == "sequence":
            return self.answer([self.following])
        ids = inputs["candidate_ids"][0]
        reward = np.array([[float(item.strip("?")) for item in ids]], np.float32)
        out = {"reward": reward, "play": reward / 10}
        return out | ({"uncertainty": np.array([[float("?" in i) for i in ids]], np.float32)} if self.uncertain else {})

    def answer(self, rows):
        ids = np.full((len(rows), 4), b"", object)
        scores = np.full((len(rows), 4), np.finfo(np.float32).min)
        for row, found in enumerate(rows):
            ids[row, : len(found)] = [item.encode() for item in found]
            scores[row, : len(found)] = list(found.values())
        return {"item_ids": ids, "scores": scores}


@pytest.fixture
def known():
    return {"request_ts": NOW, "surface": "home", "history_items": ["first", "last"], "genre_shares": [0.5, 0.5]}


def ids(answer):
    return [item["item_id"] for item in answer]


def test_candidates_of_both_sources_are_ranked_once_each(known):
    server = FakeServer(old={"1": 9.0, "3": 8.0}, new={"3": 8.0, "2": 7.0})

    answer = Recommender(server).recommend(known, 10)

    assert [(item["item_id"], item["source"], item["retrieval_score"]) for item in answer] == [
        ("3", ["retrieval", "new_releases"], 8.0),
        ("2", ["new_releases"], 7.0),
        ("1", ["retrieval"], 9.0),
    ]
    assert [(item["reward"], item["explored"]) for item in answer] == [(3.0, False), (2.0, False), (1.0, False)]
    assert answer[0]["play"] == pytest.approx(0.3)
    _, ranked = server.requests[1]
    assert ranked["candidate_ids"].tolist() == [["1", "3", "2"]]
    assert ranked["retrieval_scores"].tolist() == [[9.0, 8.0, 7.0]]


def test_what_the_sequence_model_finds_is_a_candidate_too(known):
    server = FakeServer(old={"1": 9.0, "3": 8.0}, new={"2": 7.0}, following={"3": 0.5, "4": 0.25})

    answer = Recommender(server).recommend(known, 10)

    assert [(i["item_id"], i["source"], i["retrieval_score"], i["sequence_score"]) for i in answer] == [
        ("4", ["sequence"], None, 0.25),
        ("3", ["retrieval", "sequence"], 8.0, 0.5),
        ("2", ["new_releases"], 7.0, None),
        ("1", ["retrieval"], 9.0, None),
    ]
    assert [model for model, _ in server.requests] == ["retrieval", "sequence", "ranking"]
    _, asked = server.requests[1]
    assert (asked["k"].tolist(), asked["history_items"].tolist()) == ([100], [["last", "first"]])
    _, ranked = server.requests[2]
    assert ranked["candidate_ids"].tolist() == [["1", "3", "2", "4"]]
    # What a model did not find has its least; new releases, which are no part of the lists in training, set no floor.
    assert ranked["retrieval_scores"].tolist() == [[9.0, 8.0, 7.0, 8.0]]
    assert ranked["sequence_scores"].tolist() == [[0.25, 0.5, 0.25, 0.25]]


def test_a_request_is_ranked_by_the_scores_that_training_gives_the_same_lists(known):
    """The choice head is fitted on lists of `models.ranking.two_stage.merge`; new releases are beside them."""
    from models.ranking.two_stage import merge

    items = np.array([str(n) for n in range(6)], object)
    first = np.array([[3.0, 2.0, 1.0, -np.inf, -np.inf, -np.inf]])
    second = np.array([[0.4, -np.inf, 0.6, 0.5, -np.inf, -np.inf]])
    trained = merge(first, second, items)
    finite = [{i: float(v) for i, v in zip(items, row, strict=True) if np.isfinite(v)} for row in (first[0], second[0])]
    server = FakeServer(old=finite[0], new={"5": -7.0}, following=finite[1])

    Recommender(server).recommend(known, 10)

    _, ranked = server.requests[-1]
    for row, name in ((trained.scores[0], "retrieval_scores"), (trained.following[0], "sequence_scores")):
        served = dict(zip(ranked["candidate_ids"][0], ranked[name][0], strict=True))
        expected = {item: score for item, score in zip(trained.ids[0], row, strict=True) if item}
        assert {item: served[item] for item in expected} == pytest.approx(expected)


def test_as_many_candidates_are_asked_for_as_in_training():
    from models.ranking.two_stage import CANDIDATES, FOLLOWING

    asked = {source.name: source.k for source in SOURCES}
    assert (asked["retrieval"], asked["sequence"]) == (CANDIDATES, FOLLOWING)


def test_a_filter_reaches_both_models_that_find_candidates(known):
    server = FakeServer(old={"1": 9.0}, new={}, following={})

    Recommender(server).recommend(known | {"content_types": ["music"], "market": "SE"}, 1)

    for _, asked in server.requests[:2]:
        assert {tuple(row) for row in asked["content_types"].tolist()} == {("music",)}
        assert set(asked["market"].tolist()) == {"SE"}


def test_one_call_asks_for_everything_and_for_the_last_fortnight(known):
    server = FakeServer(old={"1": 9.0}, new={})

    Recommender(server).recommend(known | {"content_types": ["music", "podcast"], "market": "SE"}, 1)

    (_, asked), _ = server.requests
    assert asked["k"].tolist() == [200, 50]
    assert asked["released_after"].tolist() == [0, NOW - 14 * DAY_SECONDS]
    assert asked["content_types"].tolist() == [["music", "podcast"]] * 2
    assert asked["market"].tolist() == ["SE", "SE"]
    assert asked["history_items"].tolist() == [["last", "first"]] * 2
    assert asked["k"].dtype == np.int32


def test_an_older_export_is_asked_what_it_knows(known):
    server = FakeServer({"1": 9.0, "2": 8.0}, {"3": 1.0}, retrieval=QUERY, ranking=QUERY | {
        "candidate_ids": PAIRS["candidate_ids"],
    }, uncertain=False)  # fmt: skip

    answer = Recommender(server).recommend(known, 2, Exploration(budget=0.5))

    assert ids(answer) == ["2", "1"]
    assert [item["source"] for item in answer] == [["retrieval"], ["retrieval"]]


@pytest.mark.parametrize(("name", "value"), [("content_types", ["music"]), ("market", "SE")])
def test_a_filter_that_an_older_export_lacks_is_refused(known, name, value):
    server = FakeServer({"1": 9.0}, {}, retrieval=QUERY)

    with pytest.raises(InputError, match=f"cannot filter by '{name}'") as caught:
        Recommender(server).recommend(known | {name: value}, 1)

    assert "segue run training" in caught.value.fix


def test_a_rollback_to_models_with_other_inputs_is_followed(known):
    server = FakeServer({"1": 0.9}, {}, following={"2": 0.4})
    recommender = Recommender(server)
    server.signatures = FakeServer({}, {}).signatures
    predict = server.predict

    def strict(model, inputs, label):
        if set(inputs) != set(server.signatures.get(model, ())):
            raise InputError("input size does not match signature", "")
        return predict(model, inputs, label)

    server.predict = strict
    assert [found["item_id"] for found in recommender.recommend(known, k=2)] == ["1"]
    server.signatures = FakeServer({}, {}, following={}).signatures
    assert [found["item_id"] for found in recommender.recommend(known, k=2)] == ["2", "1"]


def test_without_candidates_ranking_is_not_asked(known):
    server = FakeServer({}, {})

    assert Recommender(server).recommend(known, 5) == []
    assert [model for model, _ in server.requests] == ["retrieval"]


def test_an_explored_item_says_so(known):
    server = FakeServer(old={"9": 4.0, "8": 3.0, "7": 2.0, "6.9?": 1.0}, new={})

    answer = Recommender(server).recommend(known, 3, Exploration(budget=0.4))  # floor(1.2) = 1 place

    assert [(item["item_id"], item["explored"]) for item in answer] == [("9", False), ("8", False), ("6.9?", True)]


# Candidates 0 to 7 have rewards 10, 9, 8, 7, 6, 5, 4 and 3; what is uncertain gains 4. A list has four places.
@pytest.mark.parametrize(
    ("uncertain", "budget", "expected", "explored"),
    [
        pytest.param({5}, 0.0, [0, 1, 2, 3], set(), id="no budget"),
        pytest.param({4, 5}, 0.25, [0, 1, 4, 2], {4}, id="one place, for the better of two"),
        pytest.param({4, 5}, 0.5, [0, 1, 4, 5], {4, 5}, id="two places"),
        pytest.param({5}, 0.5, [0, 1, 5, 2], {5}, id="5 + 4 takes one place, the better of 8 and 7 keeps the other"),
        pytest.param({7}, 0.25, [0, 1, 2, 3], set(), id="3 + 4 is not more than 7"),
        pytest.param({3, 5}, 0.25, [0, 1, 2, 3], set(), id="5 + 4 is less than 7 + 4"),
        pytest.param({4}, 0.24, [0, 1, 2, 3], set(), id="0.24 of 4 places is none"),
        pytest.param(set(), 0.5, [0, 1, 2, 3], set(), id="nothing is uncertain"),
    ],
)
def test_slate(uncertain, budget, expected, explored):
    reward = np.arange(10.0, 2.0, -1.0)
    uncertainty = np.array([float(n in uncertain) for n in range(8)])

    assert slate(reward, uncertainty, 4, Exploration(budget, bonus=4.0)) == (expected, explored)


def test_of_equal_rewards_the_first_found_comes_first():
    assert slate(np.zeros(3), np.zeros(3), 2, OFF) == ([0, 1], set())


def test_a_list_that_holds_every_candidate_explores_nothing():
    assert slate(np.array([0.1, 0.9]), np.ones(2), 5, Exploration(0.5)) == ([1, 0], set())


@pytest.mark.parametrize("budget", [0.1, 0.29, 0.5])
def test_the_budget_holds_over_many_requests(budget):
    rng = np.random.default_rng(0)
    explored = places = 0
    for _ in range(300):
        n, k = int(rng.integers(1, 60)), int(rng.integers(1, 25))
        reward, uncertainty = rng.random(n), rng.random(n)
        chosen, new = slate(reward, uncertainty, k, Exploration(budget, bonus=5.0))

        best = np.argsort(-reward)[:k].tolist()
        upper = math.ceil(len(best) / 2)
        assert len(set(chosen)) == len(chosen) == min(n, k)
        assert chosen[:upper] == best[:upper]  # exploration is kept out of the upper half
        assert new == set(chosen) - set(best)
        assert len(new) <= budget * len(chosen) + 1e-9
        explored, places = explored + len(new), places + len(chosen)
    assert 0 < explored / places <= budget


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


def test_picks_are_liked_now(known):
    state = cold_state(["a", "b"], NOW)

    assert state == {"history_items": ["a", "b"], "history_actions": ["like", "like"], "history_times": [NOW, NOW]}


def test_a_listener_of_whom_nothing_is_known_has_neutral_features():
    inputs = query_inputs({**cold_state([], NOW), "request_ts": NOW, "surface": "home"}, QUERY | ASKED)

    assert inputs["history_items"].tolist() == [[""]]
    assert inputs["genre_shares"].tolist() == [[0.0, 0.0]]
    assert inputs["content_types"].tolist() == [[""]]
    assert inputs["released_after"].tolist() == [0]


def test_the_same_request_has_the_same_answer(known):
    server = SimpleNamespace(new={"5": 1.0, "4?": 0.5}, old={"9": 4.0, "8": 3.0, "7": 2.0, "6": 1.0})
    answers = [Recommender(FakeServer(server.old, server.new)).recommend(known, 4, Exploration(0.5)) for _ in range(2)]

    assert answers[0] == answers[1]
