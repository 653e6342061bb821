"""Items added to saved models are found and ranked, and the answers for all other items stay the same."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.inputs.encoder import ITEM_COUNTS, ITEM_RATES
from models.inputs.fingerprints import Fingerprints
from models.inputs.item_age import AGE
from models.inputs.raw_query import raw_query
from models.saved.added_items import add_items, describe, encoded, statistics
from models.saved.card import FORMAT, read_card
from models.saved.index_columns import EVERYWHERE
from models.saved.saved_model import call
from models.sequence.histories import HISTORY_INPUTS
from segue.errors import InputError

WARMUP = "assets.extra/tf_serving_warmup_requests"
MODELS = ("retrieval", "ranking", "sequence")


@dataclass(frozen=True)
class Saved:
    """Saved models of one catalogue: their folders and loaded signatures."""

    paths: dict[str, Path]

    def __post_init__(self):
        object.__setattr__(self, "loaded", {m: tf.saved_model.load(str(p)) for m, p in self.paths.items()})

    def __call__(self, model, raw, signature="serving_default", **more):
        return call(self.loaded[model].signatures[signature], {**raw, **more})

    def scores(self, raw, model="retrieval", **more):
        """The scores of the first query, by item id."""
        if model == "sequence":
            raw = {name: raw[name] for name in HISTORY_INPUTS}
        answer = self(model, raw | ASKED | more)
        return {i.decode(): s for i, s in zip(answer["item_ids"][0], answer["scores"][0], strict=True) if i}


ASKED = {
    "k": np.array([200], np.int32),
    "content_types": np.array([[""]], object),
    "released_after": np.array([0]),
    "market": np.array([""], object),
    "exclude_ids": np.array([[""]], object),
    "heard": np.array(["include"], object),
}


@pytest.fixture(scope="module")
def before(saved_retrieval, saved_ranking, saved_sequence, tmp_path_factory):
    """The models of the checkerboard with its 20 items, with warm-up requests beside them."""
    root = tmp_path_factory.mktemp("before")
    for name, path in zip(MODELS, (saved_retrieval, saved_ranking, saved_sequence), strict=True):
        shutil.copytree(path, root / name)
        (root / name / WARMUP).write_bytes(b"requests")
    return Saved({name: root / name for name in MODELS})


@pytest.fixture(scope="module")
def batches(make_catalogue, noon):
    """Two batches: a song released an hour ago with i7 unchanged, then a podcast with i3 postponed to tomorrow."""
    recent, tomorrow = (int((noon + timedelta(hours=h)).timestamp()) for h in (-1, 24))
    first = make_catalogue({"item_id": "new", "text": "Brand new", "release_ts": recent}, {"item_id": "i7"})
    second = make_catalogue({"item_id": "cast", "content_type": "podcast"}, {"item_id": "i3", "release_ts": tomorrow})
    return [
        b.append_column("title", pa.array([f"Title of {i}" for i in b["item_id"].to_pylist()])) for b in (first, second)
    ]


@pytest.fixture(scope="module")
def added(before, batches, noon, tmp_path_factory):
    """The models after the first and after the second batch, and the results of both additions."""
    versions, results = [before], []
    for items in batches:
        root = tmp_path_factory.mktemp("after")
        out = {name: root / name for name in MODELS}
        results.append(add_items(versions[-1].paths, items, noon, out))
        versions.append(Saved(out))
    return SimpleNamespace(first=versions[1], second=versions[2], results=results)


@pytest.fixture(scope="module")
def raw(world, noon):
    """One query of the test span, made at noon."""
    return raw_query(world.test.slice(0, 1), world.encoder.axes) | {"request_ts": np.array([int(noon.timestamp())])}


def test_the_result_lists_new_and_updated_items(added):
    assert added.results == [
        {"added": ["new"], "updated": ["i7"], "free": 999},
        {"added": ["cast"], "updated": ["i3"], "free": 998},
    ]


@pytest.mark.parametrize("model", ["retrieval", "sequence"])
def test_a_new_item_is_found(before, added, raw, noon, model):
    lately = {"released_after": np.array([int(noon.timestamp()) - 7200])}

    assert before.scores(raw, model, **lately) == {}
    assert set(added.first.scores(raw, model, **lately)) == {"new"}
    assert set(added.first.scores(raw, model)) == {*before.scores(raw, model), "new"}


def test_the_score_of_a_new_item_is_the_product_of_the_towers(added, raw):
    statistics = {name: np.zeros(1, np.float32) for name in (*ITEM_COUNTS, *ITEM_RATES)}
    age = {AGE: np.array([1 / 24], np.float32)}

    item = added.first("retrieval", {"item_id": np.array(["new"], object)} | statistics | age, "embed_item")
    query = added.first("retrieval", raw, "embed_query")

    expected = query["embedding"][0] @ item["embedding"][0]
    assert added.first.scores(raw)["new"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("model", ["retrieval", "sequence"])
def test_other_items_and_an_item_that_is_added_unchanged_keep_their_scores(before, added, raw, model):
    old, new = before.scores(raw, model), added.first.scores(raw, model)

    assert {item: new[item] for item in old} == pytest.approx(old, abs=1e-6)


def test_ranking_scores_the_new_item(before, added, raw):
    candidates = {
        "candidate_ids": np.array([["new", "i7", "i2"]], object),
        "retrieval_scores": np.zeros((1, 3), np.float32),
        "sequence_scores": np.zeros((1, 3), np.float32),
    }
    old, new = (saved("ranking", raw | candidates) for saved in (before, added.first))

    assert new["uncertainty"][0] == pytest.approx([1.0, 1 / 3, 1 / 3])  # 8 plays in 28 days: 1 / sqrt(9)
    assert new["play"][0, 0] != old["play"][0, 0]  # before, `new` was an unknown item
    np.testing.assert_allclose(new["play"][0, 1:], old["play"][0, 1:], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_new_item_in_a_history_changes_the_answer(before, added, raw, model):
    history = {"history_items": np.array([["new"]], object), "history_actions": np.array([["like"]], object)}
    request = raw | history | {"history_times": raw["request_ts"][:, None]}
    if model == "ranking":
        nothing = np.zeros((1, 1), np.float32)
        request |= {"candidate_ids": np.array([["i2"]], object)}
        request |= {"retrieval_scores": nothing, "sequence_scores": nothing}
        old, new = (saved(model, request)["play"] for saved in (before, added.first))
    elif model == "sequence":
        request = {name: request[name] for name in HISTORY_INPUTS}
        old, new = (saved(model, request, "embed")["embedding"] for saved in (before, added.first))
    else:
        old, new = (saved(model, request, "embed_query")["embedding"] for saved in (before, added.first))

    assert not np.allclose(old, new, atol=1e-6)


def test_a_known_item_is_replaced_and_earlier_additions_stay(added, raw):
    ids = set(added.second.scores(raw))

    assert "i3" not in ids  # it is released tomorrow
    assert {"new", "cast", "i7"} <= ids
    later = raw | {"request_ts": raw["request_ts"] + 2 * 86_400}
    assert "i3" in added.second.scores(later)


def test_an_item_of_an_unknown_content_type_passes_no_filter_of_types(added, raw):
    music = set(added.second.scores(raw, content_types=np.array([["music"]], object)))

    assert "new" in music
    assert "cast" not in music


@pytest.mark.parametrize("model", MODELS)
def test_signatures_and_warm_up_requests_stay_and_the_card_lists_the_additions(before, added, noon, model):
    old, new = (saved.loaded[model].signatures for saved in (before, added.second))
    for name in old:
        assert new[name].structured_input_signature == old[name].structured_input_signature
        assert new[name].structured_outputs.keys() == old[name].structured_outputs.keys()
    assert set(new) == set(old)
    path = added.second.paths[model]
    assert (path / WARMUP).read_bytes() == b"requests"
    assert read_card(path) == {
        **read_card(before.paths[model]),
        "added": [
            {"at": noon.isoformat(), "items": {"new": "Title of new", "i7": "Title of i7"}},
            {"at": noon.isoformat(), "items": {"cast": "Title of cast", "i3": "Title of i3"}},
        ],
    }


@pytest.fixture
def card(saved_retrieval):
    return read_card(saved_retrieval)


def test_markets_have_the_bits_of_the_served_model(card, make_catalogue):
    items = make_catalogue({"item_id": "a", "markets": ["SE", "XX"]}, {"item_id": "b"}, {"item_id": "c", "markets": []})

    market_bits = encoded(items, {**card, "markets": ["NO", "SE"]}).market_bits(items)

    assert market_bits.tolist() == [0b10, EVERYWHERE, 0]  # the model has no bit for XX


@pytest.mark.parametrize(
    ("row", "changes", "rule"),
    [
        ({"genre_weights": [1.0]}, {}, "takes 2 genre weights an item. Received 1"),
        ({}, {"format": 1}, f"of format {FORMAT}. The served models have format 1"),
        ({"markets": ["SE"]}, {"markets": None}, "lists its markets. This card lists none"),
    ],
)
def test_items_that_do_not_fit_the_model_are_refused(card, make_catalogue, row, changes, rule):
    changed = {name: value for name, value in {**card, **changes}.items() if value is not None}

    with pytest.raises(InputError, match=rule):
        encoded(make_catalogue({"item_id": "a", **row}), changed)


@pytest.mark.parametrize(
    ("ids", "rule"),
    [
        (["b", "c", "d"], "2 free rows .* Received 3 new ids"),
        (["b", "b"], "An id repeats"),
        ([""], "is ''"),
    ],
)
def test_an_addition_is_refused_before_anything_is_written(ids, rule):
    catalogue = SimpleNamespace(fingerprints=Fingerprints.build(["a"], 2), release_ts=tf.zeros([4]))
    model = SimpleNamespace(catalogue=catalogue)

    with pytest.raises(InputError, match=rule):
        describe(model, ids, {})

    assert catalogue.fingerprints.free == 2


def test_an_error_leaves_no_copy(before, batches, noon, tmp_path):
    out = {name: tmp_path / name for name in MODELS}

    with pytest.raises(InputError):
        add_items(before.paths, pa.concat_tables([batches[0], batches[0]]), noon, out)

    assert list(tmp_path.iterdir()) == []


def test_statistics_are_decoded_and_the_age_is_computed(noon):
    # Encoded statistics: log(1 + 2), log(1 + 8), the rates as they are, then the age and its flag.
    encoded_stats = np.array([[np.log(3), np.log(9), 0.2, 0.1, 1.5, 0.4, 1.0], [0] * 7, [0] * 7], np.float32)
    release = np.array([int(noon.timestamp()) - 86_400, 0, int(noon.timestamp()) + 60])

    raw = statistics(encoded_stats, release, noon)

    assert {name: values.tolist() for name, values in raw.items()} == {
        "item_plays_7d": pytest.approx([2, 0, 0]),
        "item_plays_28d": pytest.approx([8, 0, 0]),
        "item_skip_rate_28d": pytest.approx([0.2, 0, 0]),
        "item_like_rate_28d": pytest.approx([0.1, 0, 0]),
        "item_trend": pytest.approx([1.5, 0, 0]),
        AGE: [1.0, -1.0, 0.0],
    }
