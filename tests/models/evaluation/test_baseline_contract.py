"""A contract for retrieval and ranking: properties that both models must have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.inputs.raw_query import NO_FILTERS, raw_query
from models.inputs.shards import Arrays
from models.saved.ranking_export import ServedRanking
from models.saved.retrieval_export import ServedRetrieval
from models.saved.saved_model import call
from tests.models.conftest import REWARD

CANDIDATES = ["i3", "i0", "i7", "never seen", "i12"]
SCORES = [0.5, 0.25, 0.0, -0.25, -0.5]
DETERMINISTIC = ("loss", "val_loss", "judged")  # figures of a history; the others are times


@dataclass(frozen=True)
class Contestant:
    """A trained model, and its answers to queries: from memory and from its SavedModel."""

    trained: Any
    from_memory: Callable[[Arrays], Arrays]
    from_disk: Callable[[Arrays], Arrays]


def with_candidates(raw: Arrays) -> Arrays:
    """The queries with five candidates each."""
    rows = len(raw["request_ts"])
    return raw | {
        "candidate_ids": np.array([CANDIDATES] * rows, object),
        "retrieval_scores": np.array([SCORES] * rows, np.float32),
        "sequence_scores": np.array([SCORES[::-1]] * rows, np.float32),
    }


def unfiltered(raw: Arrays) -> Arrays:
    """The queries without filters."""
    return raw | {name: np.repeat(value, len(raw["request_ts"]), axis=0) for name, value in NO_FILTERS.items()}


def in_memory(function: Callable[..., dict]) -> Callable[[Arrays], Arrays]:
    """Wrap a module's method to take and return arrays."""

    def run(raw: Arrays) -> Arrays:
        return {n: v.numpy() for n, v in function(**{n: tf.constant(v) for n, v in raw.items()}).items()}

    return run


@pytest.fixture(scope="module")
def retrieval(trained_retrieval, retrieval_signatures, world) -> Contestant:
    """Retrieval: the best items and the query's embedding."""
    module = ServedRetrieval(trained_retrieval.model, world.items, filter_seen=False)
    query, embed = in_memory(module.query), in_memory(module.embed_query)
    return Contestant(
        trained_retrieval,
        lambda raw: query(unfiltered(raw)) | embed(raw),
        lambda raw: (
            call(retrieval_signatures["serving_default"], unfiltered(raw))
            | call(retrieval_signatures["embed_query"], raw)
        ),
    )


@pytest.fixture(scope="module")
def ranking(trained_ranking, ranking_signatures, world) -> Contestant:
    """Ranking: the scores of five candidates."""
    module = ServedRanking(trained_ranking.model, world.items, REWARD)
    rank = in_memory(module.rank)
    return Contestant(
        trained_ranking,
        lambda raw: rank(with_candidates(raw)),
        lambda raw: call(ranking_signatures["serving_default"], with_candidates(raw)),
    )


@pytest.fixture(scope="module")
def raw(world) -> Arrays:
    """Twelve queries from the test span."""
    return raw_query(world.test.slice(0, 12), world.encoder.axes)


def assert_same(left: Arrays, right: Arrays) -> None:
    """Check that answers are equal up to rounding, and that ids are equal."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        if value.dtype == object:
            assert value.tolist() == right[name].tolist(), name
        else:
            np.testing.assert_allclose(value, right[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retrieval", "ranking"])
class TestContract:
    """Both models, trained on the checkerboard."""

    @pytest.fixture
    def model(self, name, request) -> Contestant:
        return request.getfixturevalue(name)

    def test_the_loss_is_finite_and_falls(self, model):
        loss = model.trained.history["loss"]
        assert np.isfinite([*loss, *model.trained.history["val_loss"]]).all()
        assert loss[-1] < loss[0]

    def test_a_resumed_training_equals_an_uninterrupted_one(self, model, tmp_path):
        model.trained.refit(0, epochs=2, checkpoints=tmp_path)
        resumed, history = model.trained.refit(0, checkpoints=tmp_path)
        assert {n: history[n] for n in DETERMINISTIC} == {n: model.trained.history[n] for n in DETERMINISTIC}
        for actual, expected in zip(resumed.get_weights(), model.trained.model.get_weights(), strict=True):
            np.testing.assert_array_equal(actual, expected)

    def test_saving_and_loading_gives_the_same_answers(self, model, raw):
        assert_same(model.from_disk(raw), model.from_memory(raw))

    def test_a_batch_of_one_gives_the_row_of_a_larger_batch(self, model, raw):
        whole = model.from_disk(raw)
        single = model.from_disk({name: value[5:6] for name, value in raw.items()})
        assert_same(single, {name: value[5:6] for name, value in whole.items()})

    def test_permuting_the_batch_permutes_the_answers(self, model, raw):
        order = np.random.default_rng(0).permutation(len(raw["request_ts"]))
        permuted = model.from_disk({name: value[order] for name, value in raw.items()})
        assert_same(permuted, {name: value[order] for name, value in model.from_disk(raw).items()})

    @pytest.mark.parametrize("width", [6, 7, 80], ids=["no padding", "one column", "more than the model keeps"])
    def test_padding_a_history_changes_nothing(self, model, raw, width):
        # Every history has six entries; the raw inputs have 50 columns.
        fills: dict[str, Any] = {"history_items": "", "history_actions": "", "history_times": 0}
        padded = {
            name: np.pad(value[:, :6], [(0, 0), (0, width - 6)], constant_values=fills[name])
            for name, value in raw.items()
            if name in fills
        }
        assert_same(model.from_disk(raw | padded), model.from_disk(raw))

    def test_only_50_entries_of_a_history_count(self, model, raw):
        full = {
            "history_items": np.tile(raw["history_items"][:, :6], 9)[:, :50],
            "history_actions": np.tile(raw["history_actions"][:, :6], 9)[:, :50],
            "history_times": np.tile(raw["history_times"][:, :6], 9)[:, :50],
        }
        longer = {name: np.concatenate([value, value[:, :10]], axis=1) for name, value in full.items()}
        assert_same(model.from_disk(raw | longer), model.from_disk(raw | full))

    def test_an_unknown_listener_gets_an_answer(self, model, raw):
        unknown = {n: np.full_like(v, "" if v.dtype == object else 0) for n, v in raw.items() if n != "request_ts"}
        answer = model.from_disk(raw | unknown)
        has_item = answer["item_ids"] != b"" if "item_ids" in answer else slice(None)
        assert np.any(has_item)
        for name, value in answer.items():
            assert value.dtype == object or np.isfinite(value[has_item] if name == "scores" else value).all(), name

    def test_the_answer_depends_on_the_history(self, model, raw):
        # The swapped history is of the other taste.
        swap = np.vectorize(lambda item: f"i{int(item[1:]) ^ 1}" if item else item, otypes=[object])
        answer, swapped = (
            model.from_disk(raw | {"history_items": h}) for h in (raw["history_items"], swap(raw["history_items"]))
        )
        name = "embedding" if "embedding" in answer else "play"
        assert not np.allclose(answer[name], swapped[name], atol=0.05)
