"""A model server without models: it answers from tables, and keeps every request."""

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.assembly import recommend as recommend_by_models
from surfaces.request import NO_EXPLORATION, Request
from surfaces.versions import Models
from tests.surfaces.catalogues import make_catalogue

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
QUERY = {
    "history_items": {"dtype": "string", "shape": [None, None]},
    "request_ts": {"dtype": "int64", "shape": [None]},
    "surface": {"dtype": "string", "shape": [None]},
    "genre_shares": {"dtype": "float32", "shape": [None, 2]},
}
FILTERS = {
    "k": {"dtype": "int32", "shape": [None]},
    "released_after": {"dtype": "int64", "shape": [None]},
    "content_types": {"dtype": "string", "shape": [None, None]},
    "market": {"dtype": "string", "shape": [None]},
}
PAIRS = {
    "candidate_ids": {"dtype": "string", "shape": [None, None]},
    "retrieval_scores": {"dtype": "float32", "shape": [None, None]},
}
SEQUENCE = ("history_items", "request_ts", "surface", "k", "released_after", "content_types", "market")


class FakeServer:
    """Stands in for an asyncio client and the server behind it. An item's reward is the number that its id begins with.

    Args:
        old, new: item id -> retrieval score; `new` answers the rows that ask with `released_after`.
        following: item id -> the sequence model's score; None for a server without that model.
        retrieval, ranking: the inputs of their signatures.
        uncertain: whether ranking has the output `uncertainty`: 1 for ids that end in `?`, else 0.
    """

    def __init__(self, old, new, following=None, retrieval=QUERY | FILTERS, ranking=QUERY | PAIRS, uncertain=True):
        self.old, self.new, self.following = old, new, following
        self.signatures = {"retrieval": retrieval, "ranking": ranking}
        if following is not None:
            self.signatures["ranking"] = ranking | {"sequence_scores": PAIRS["retrieval_scores"]}
            self.signatures["sequence"] = {name: (QUERY | FILTERS)[name] for name in SEQUENCE}
        self.uncertain = uncertain
        self.versions = dict.fromkeys(self.signatures, 1)
        self.others = {}  # (model, label or number) -> a version beside the stable one
        self.asked_versions = []  # (model, version) of every call
        self.requests = []  # (model, inputs) in the order of arrival; calls at the same time arrive in any order

    def asked(self, model):
        """The inputs of the last call of a model."""
        return next(inputs for name, inputs in reversed(self.requests) if name == model)

    async def status(self, model, timeout, label=None, version=None):
        found = self.versions.get(model) if label == "stable" else self.others.get((model, label or version))
        if found is None:
            raise InputError(f"no model {model}", "")
        return {found: {"state": "AVAILABLE", "error": ""}}

    def has(self, model, version):
        """Whether a version is loaded."""
        loaded = {other for (name, _), other in self.others.items() if name == model}
        return version in loaded | {self.versions.get(model)}

    async def metadata(self, model, version, timeout):
        assert self.has(model, version)
        return {"version": version, "signatures": {"serving_default": {"inputs": self.signatures[model]}}}

    async def predict(self, model, inputs, signature, version, timeout):
        self.asked_versions.append((model, version))
        if not self.has(model, version):
            raise InputError(f"Servable not found for request: Specific({model}, {version})", "")
        assert set(inputs) == set(self.signatures[model])
        self.requests.append((model, inputs))
        if model == "retrieval":
            return self.lists([self.new if after else self.old for after in inputs.get("released_after", [0])])
        if model == "sequence":
            return self.lists([self.following])
        pairs = [given for name, given in inputs.items() if name == "candidate_ids" or name.endswith("_scores")]
        assert len({given.shape for given in pairs}) == 1  # the real model refuses others
        ids = inputs["candidate_ids"][0]
        reward = np.array([[float(item.strip("?")) for item in ids]], np.float32)
        out = {"reward": reward, "play": reward / 10}
        return out | ({"uncertainty": np.array([[float("?" in i) for i in ids]], np.float32)} if self.uncertain else {})

    @staticmethod
    def lists(rows, width=4):
        """The answer to a batch: `width` places a row, of which the last ones may be empty."""
        ids = np.full((len(rows), width), b"", object)
        scores = np.full((len(rows), width), np.finfo(np.float32).min)
        for row, item_scores in enumerate(rows):
            ids[row, : len(item_scores)] = [item.encode() for item in item_scores]
            scores[row, : len(item_scores)] = list(item_scores.values())
        return {"item_ids": ids, "scores": scores}


@pytest.fixture
def features():
    """The features of a listener who heard `first` and then `last`."""
    return {
        "request_ts": int(NOW.timestamp()),
        "surface": "home",
        "history_items": ["last", "first"],
        "genre_shares": [0.5, 0.5],
    }


@pytest.fixture
def recommend(features):
    """Answer a request by a fake server: `recommend(server, k, exploration, **other_features)`."""

    def answer(server, k=10, exploration=NO_EXPLORATION, **other):
        async def ask():
            models = Models(server)
            await models.refresh()
            request = Request("u1", NOW, k=k, exploration=exploration)
            return await recommend_by_models(
                models, make_catalogue({"3": {"title": "Three"}}), request, features | other
            )

        return list(asyncio.run(ask()))

    return answer
