"""The retrieval SavedModel: its signatures and the items that it returns."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
import tensorflow as tf

from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.feature_names import HISTORY, ITEM_STATS
from models.inputs.raw_query import NO_FILTERS, raw_item, raw_query
from models.inputs.shards import Arrays
from models.retrieval.model import RetrievalModel
from models.saved.card import FORMAT, read_card
from models.saved.retrieval_export import export_retrieval
from models.saved.saved_model import call
from models.training_config import RetrievalConfig

DAY = 86_400

QUERY = {
    "history_items": (tf.string, [None, None]),
    "history_actions": (tf.string, [None, None]),
    "history_times": (tf.int64, [None, None]),
    "request_ts": (tf.int64, [None]),
    **dict.fromkeys(["country", "age_band", "plan", "surface"], (tf.string, [None])),
    **dict.fromkeys(["user_plays_7d", "user_plays_28d", "session_plays", "session_skips"], (tf.float32, [None])),
    **dict.fromkeys(["user_skip_rate_7d", "user_skip_rate_28d"], (tf.float32, [None])),
    "genre_shares": (tf.float32, [None, 2]),
    "content_type_shares": (tf.float32, [None, 1]),
}
ITEM = {"item_id": (tf.string, [None]), **dict.fromkeys(ITEM_STATS, (tf.float32, [None]))}
ASKED = {
    "k": (tf.int32, [None]),
    "content_types": (tf.string, [None, None]),
    "released_after": (tf.int64, [None]),
    "market": (tf.string, [None]),
    "exclude_ids": (tf.string, [None, None]),
    "heard": (tf.string, [None]),
}


def contract(specs: dict) -> dict:
    """The names, types and shapes of a signature's inputs or outputs."""
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()}


@pytest.fixture(scope="module")
def raw(world):
    """Eight queries of the test span."""
    return raw_query(world.test.slice(0, 8), world.encoder.axes)


def asking(raw: Arrays, **wishes) -> Arrays:
    """The queries with `NO_FILTERS`, except for the given filters, which all queries share."""
    rows = len(raw["request_ts"])
    filters = {
        n: np.repeat(np.asarray([wishes[n]], v.dtype) if n in wishes else v, rows, 0) for n, v in NO_FILTERS.items()
    }
    return raw | filters


def answered(signatures, raw: Arrays, **wishes) -> list[list[str]]:
    """The returned ids of each query, without the empty places."""
    answer = call(signatures["serving_default"], asking(raw, **wishes))
    assert ((answer["item_ids"] == b"") == (answer["scores"] == np.finfo(np.float32).min)).all()
    return [[i.decode() for i in row if i] for row in answer["item_ids"]]


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("serving_default", QUERY | ASKED, {"item_ids": (tf.string, None), "scores": (tf.float32, [None, None])}),
        ("embed_query", QUERY, {"embedding": (tf.float32, [None, 17])}),
        ("embed_item", ITEM, {"embedding": (tf.float32, [None, 17])}),
    ],
)
def test_signatures_have_their_inputs_and_outputs(retrieval_signatures, name, inputs, outputs):
    assert set(retrieval_signatures) == {"serving_default", "embed_query", "embed_item"}
    assert contract(retrieval_signatures[name].structured_input_signature[1]) == inputs
    given = contract(retrieval_signatures[name].structured_outputs)
    assert {n: kind for n, (kind, _) in given.items()} == {n: kind for n, (kind, _) in outputs.items()}
    assert all(shape == outputs[n][1] for n, (_, shape) in given.items() if outputs[n][1])


def test_an_answer_has_every_item_once_best_first(retrieval_signatures, raw, world):
    answer = call(retrieval_signatures["serving_default"], asking(raw))
    assert answer["item_ids"].shape == answer["scores"].shape == (8, 200)  # the default of a request without k
    for ids, scores in zip(answer["item_ids"], answer["scores"], strict=True):
        assert sorted(i.decode() for i in ids[:20]) == sorted(world.items["item_id"].to_pylist())
        assert (np.diff(scores[:20]) <= 0).all()
        assert set(ids[20:]) == {b""}


def test_the_answer_suits_the_listener(retrieval_signatures, raw):
    for history, ids in zip(raw["history_items"], answered(retrieval_signatures, raw, k=10), strict=True):
        taste = int(history[0][1:]) % 2
        assert sum(int(i[1:]) % 2 == taste for i in ids) >= 9


def test_a_listener_without_profile_and_history_gets_items(retrieval_signatures, raw):
    cold = {n: np.full_like(v, "" if v.dtype == object else 0) for n, v in raw.items() if n != "request_ts"}
    for ids in answered(retrieval_signatures, raw | cold, k=5):
        assert len(set(ids)) == 5


def test_an_old_history_still_finds_its_items(retrieval_signatures, raw):
    without = answered(retrieval_signatures, raw | {"history_times": raw["history_times"] * 0}, k=10)
    for history, ids in zip(raw["history_items"], without, strict=True):
        assert sum((int(i[1:]) - int(history[0][1:])) % 2 == 0 for i in ids) >= 8


TYPES = ["music", "podcast", "opera", None]  # training never saw an opera
MARKETS = [None, ["SE"], ["NO", "SE"], []]
MANY = 300


@dataclass(frozen=True)
class Varied:
    """A catalogue with every kind of column value and an untrained model; filters do not depend on weights."""

    items: list[dict]
    signatures: dict
    raw: Arrays
    scores: np.ndarray


@pytest.fixture(scope="module")
def varied(world, make_table, make_catalogue, noon, tmp_path_factory) -> Varied:
    """Three hundred items, some of them released within the hour after noon, and sixteen queries."""
    now = int(noon.timestamp())
    releases = [None, 0, now - 9 * DAY, now - DAY, now, now + 1800]
    rng = np.random.default_rng(0)
    rows = [
        {
            "item_id": f"v{n}",
            "creator_id": f"c{n % 40}",
            "text": f"title {n}",
            "content_type": TYPES[rng.integers(4)],
            "markets": MARKETS[rng.integers(4)],
            "release_ts": releases[rng.integers(6)],
        }
        for n in range(MANY)
    ]
    items = make_catalogue(*rows)
    train = make_table(*({"item_id": f"v{n}", "content_type": TYPES[n % 2]} for n in range(MANY)))
    queries = make_table(*(
        {
            "history_items": [f"v{i}" for i in rng.integers(0, MANY, 6)],
            "history_actions": ["play"] * 6,
            "history_times": [now - 60] * 6,
            "ts": noon + timedelta(minutes=4 * int(n)),
        }
        for n in range(16)
    ))  # fmt: skip
    encoder = Encoder(fit_axes([train]), items)
    tf.keras.utils.set_random_seed(0)
    pool = encoder.item_table(items)
    model = RetrievalModel(encoder, RetrievalConfig(dim=8), pool)
    model({name: tf.constant(v) for name, v in (encoder.query_table(queries) | encoder.item_table(queries)).items()})
    model.bias.set_weights([rng.normal(size=model.bias.get_weights()[0].shape).astype(np.float32)])
    path = tmp_path_factory.mktemp("varied") / "model"
    export_retrieval(model, items, True, {}, path)
    signatures = tf.saved_model.load(str(path)).signatures
    raw = raw_query(queries, encoder.axes)
    query = call(signatures["embed_query"], raw)["embedding"]
    index = call(signatures["embed_item"], raw_item(items))["embedding"]
    return Varied(rows, signatures, raw, query @ index.T)


def brute_force(varied: Varied, row: int, k: int, **wishes) -> list[str]:
    """The expected answer to a request, found by checking item after item."""
    now, history = varied.raw["request_ts"][row], set(varied.raw["history_items"][row])
    types = {t for t in wishes.get("content_types", []) if t}
    after, market = wishes.get("released_after", 0), wishes.get("market", "")

    def allowed(item: dict) -> bool:
        release, markets = item["release_ts"] or 0, item["markets"]
        return (
            release <= now
            and (not types or item["content_type"] in types - {"opera"})
            and (after == 0 or (release != 0 and release >= after))
            and (not market or markets is None or market in markets)
            and item["item_id"] not in wishes.get("exclude_ids", [])
            and (wishes.get("heard") == "include" or item["item_id"] not in history)
        )

    best = [n for n in np.argsort(-varied.scores[row], kind="stable") if allowed(varied.items[n])]
    return [varied.items[n]["item_id"] for n in best[:k]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param({}, id="no filter"),
        pytest.param({"content_types": ["podcast"]}, id="one type"),
        pytest.param({"content_types": ["podcast", "", "music"]}, id="two types"),
        pytest.param({"content_types": ["opera"]}, id="a type that training never saw"),
        pytest.param({"content_types": ["opera", "music"]}, id="an unknown and a known type"),
        pytest.param({"market": "SE"}, id="a market"),
        pytest.param({"market": "NO"}, id="a market of few items"),
        pytest.param({"market": "DK"}, id="a market that no item names"),
        pytest.param({"released_after": -2 * DAY}, id="new items only"),
        pytest.param({"exclude_ids": ["v7", "", "stranger", "v8"]}, id="without excluded items"),
        pytest.param({"heard": "include"}, id="with heard items"),
        pytest.param({"heard": "exclude"}, id="without heard items"),
        pytest.param(
            {"content_types": ["music"], "market": "SE", "heard": "include", "exclude_ids": ["v1"]}, id="all filters"
        ),
    ],
)
def test_filters_cost_no_recall(varied, noon, wishes):
    if "released_after" in wishes:
        wishes = wishes | {"released_after": wishes["released_after"] + int(noon.timestamp())}
    for k in (7, 0):
        answers = answered(varied.signatures, varied.raw, k=k, **wishes)
        for row, ids in enumerate(answers):
            assert ids == brute_force(varied, row, k or 200, **wishes)


def test_scores_are_dot_products_of_the_embeddings(varied):
    answer = call(varied.signatures["serving_default"], asking(varied.raw, k=9))
    for ids, scores, expected in zip(answer["item_ids"], answer["scores"], varied.scores, strict=True):
        np.testing.assert_allclose(scores, expected[[int(i[1:]) for i in ids]], rtol=1e-4, atol=1e-5)


def test_each_request_of_a_batch_has_its_own_filters(varied):
    types = np.array([["podcast", ""], ["", ""], ["music", "podcast"], ["opera", ""]] * 4, object)
    own = {
        "k": np.arange(16, dtype=np.int32),  # 0 takes the model's default
        "content_types": types,
        "market": np.array(["", "SE"] * 8, object),
        "heard": np.array(["include"] * 8 + ["exclude"] * 8, object),
    }
    answer = call(varied.signatures["serving_default"], asking(varied.raw) | own)
    assert answer["item_ids"].shape == (16, 200)
    for row, ids in enumerate(answer["item_ids"]):
        wishes = {name: values[row] for name, values in own.items() if name != "k"}
        assert [i.decode() for i in ids if i] == brute_force(varied, row, int(own["k"][row]) or 200, **wishes)


def test_a_request_gets_at_most_a_thousand_items(varied):
    answer = call(varied.signatures["serving_default"], asking(varied.raw, k=5000))
    assert answer["item_ids"].shape == (16, 1000)


def test_items_of_unknown_types_are_found_and_unknown_items_of_a_history_exclude_nothing(varied):
    unknown = {"history_items": np.full((16, HISTORY), "never seen", object)}
    everything = answered(varied.signatures, varied.raw | unknown, k=1000)
    operas = {n["item_id"] for n in varied.items if n["content_type"] == "opera" and not n["release_ts"]}
    assert operas
    assert all(operas <= set(ids) for ids in everything)


def test_the_card_states_lineage_filter_format_and_axes(saved_retrieval, world):
    card = read_card(saved_retrieval)
    assert (card["dataset"], card["filter_seen"], card["format"]) == ("checkerboard", False, FORMAT)
    assert card["axes"] == world.encoder.axes.to_dict()
