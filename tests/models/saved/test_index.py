"""The exact search inside a SavedModel, compared with a plain loop over all candidates.

Embeddings and queries are small whole numbers, so scores are exact in float32 and often equal.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from models.saved.index import GROUP, Index
from models.saved.index_columns import EVERYWHERE
from segue.errors import InputError

FILTERS = ("request_ts", "exclude", "content_types", "released_after", "market")
NOTHING = (0, -np.inf)


def catalogue(n: int, dim: int, seed: int) -> dict:
    """Columns of n random items; a quarter of the release times are unknown."""
    rng = np.random.default_rng(seed)
    return {
        "ids": [f"i{item}" for item in range(n)],
        "embeddings": rng.integers(-3, 4, [n, dim]).astype(np.float32),
        "release_ts": rng.integers(1, 1000, n) * (rng.random(n) > 0.25),
        "content_type": rng.integers(0, 6, n).astype(np.int32),
        "markets": np.where(rng.random(n) < 0.3, EVERYWHERE, rng.integers(0, 2**62, n)),
    }


def requests(batch: int, dim: int, most: int, rows: int, seed: int) -> dict:
    """Random requests; each filter is used in some rows and not in others."""
    rng = np.random.default_rng(seed)
    return {
        "query": rng.integers(-3, 4, [batch, dim]).astype(np.float32),
        "k": rng.integers(0, most + 1, batch).astype(np.int32),
        "request_ts": rng.integers(200, 1200, batch),
        "exclude": rng.integers(-1, rows, [batch, 7]).astype(np.int32),
        "content_types": rng.integers(0, 6, [batch, 3]).astype(np.int32) * rng.integers(0, 2, [batch, 1], np.int32),
        "released_after": rng.integers(1, 800, batch) * rng.integers(0, 2, batch),
        "market": rng.integers(0, 63, batch).astype(np.int32) * rng.integers(0, 2, batch, np.int32),
    }


def without_filters(batch: int) -> dict:
    """The filters of requests that use none, made long after every release."""
    return {
        "request_ts": np.full(batch, 10_000, np.int64),
        "exclude": np.zeros([batch, 1], np.int32),
        "content_types": np.zeros([batch, 1], np.int32),
        "released_after": np.zeros(batch, np.int64),
        "market": np.zeros(batch, np.int32),
    }


def allowed(items: dict, item: int, request: dict, b: int) -> bool:
    """Whether request b allows an item, by the definition of each filter."""
    release, types = items["release_ts"][item], set(request["content_types"][b].tolist())
    if release > request["request_ts"][b] or item + 1 in request["exclude"][b]:
        return False
    if types != {0} and items["content_type"][item] not in types - {0}:
        return False
    after, market = request["released_after"][b], request["market"][b]
    if after and (not release or release < after):
        return False
    return not market or bool(int(items["markets"][item]) >> (int(market) - 1) & 1)


def brute_force(items: dict, request: dict) -> tuple[list, list]:
    """The expected result of `search` as nested lists; item n has row n + 1."""
    most = max([0, *request["k"].tolist()])
    rows, scores = [], []
    for b, query in enumerate(request["query"]):
        matches = [
            (-float(query @ items["embeddings"][item]), item + 1)
            for item in range(len(items["ids"]))
            if allowed(items, item, request, b)
        ]
        top = [(row, -score) for score, row in sorted(matches)[: max(int(request["k"][b]), 0)]]
        top += [NOTHING] * (most - len(top))
        rows.append([row for row, _ in top])
        scores.append([score for _, score in top])
    return rows, scores


def search(index: Index, request: dict) -> tuple[list, list]:
    """The result of `Index.search` as nested lists."""
    tensors = {name: tf.constant(value) for name, value in request.items()}
    rows, scores = index.search(tensors.pop("query"), tensors.pop("k"), **tensors)
    assert rows.dtype == tf.int32
    assert scores.dtype == tf.float32
    return rows.numpy().tolist(), scores.numpy().tolist()


def three(**changed) -> dict:
    """Three items with the embeddings 3, 2, 1, which are their scores for the query 1."""
    return {
        "ids": ["a", "b", "c"],
        "embeddings": np.array([[3], [2], [1]], np.float32),
        "release_ts": np.array([0, 100, 200]),
        "content_type": np.array([0, 1, 2]),
        "markets": np.array([EVERYWHERE, 0b01, 0b10]),
        **changed,
    }


def asking(k: int = 3, **changed) -> dict:
    """One request with the query 1 that uses no filter except `changed`."""
    query = {"query": np.ones([1, 1], np.float32), "k": np.array([k], np.int32)}
    filters = {
        name: np.array([value], old.dtype)
        for name, old in without_filters(1).items()
        for value in [changed.pop(name, old[0])]
    }
    assert not changed
    return {**query, **filters}


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        pytest.param(asking(), [1, 2, 3], id="best first"),
        pytest.param(asking(2), [1, 2], id="k"),
        pytest.param(asking(0), [], id="k of 0"),
        pytest.param(asking(5), [1, 2, 3, 0, 0], id="k above the number of items"),
        pytest.param(asking(request_ts=199), [1, 2, 0], id="before the release of c"),
        pytest.param(asking(request_ts=200), [1, 2, 3], id="at the release of c"),
        pytest.param(asking(request_ts=0), [1, 0, 0], id="an unknown release is always allowed"),
        pytest.param(asking(request_ts=-5), [1, 0, 0], id="a request before 1970"),
        pytest.param(asking(request_ts=2**63 - 1), [1, 2, 3], id="free rows are hidden from every request"),
        pytest.param(asking(exclude=[1, 3]), [2, 0, 0], id="exclude"),
        pytest.param(asking(exclude=[0, -1, 4, 10**6]), [1, 2, 3], id="rows without an item exclude nothing"),
        pytest.param(asking(content_types=[2, 0]), [3, 0, 0], id="one type, and 0 beside it is ignored"),
        pytest.param(asking(content_types=[1, 2]), [2, 3, 0], id="two types"),
        pytest.param(asking(content_types=[9]), [0, 0, 0], id="a type that no item has"),
        pytest.param(asking(content_types=[-1]), [0, 0, 0], id="a type below 0"),
        pytest.param(asking(released_after=100), [2, 3, 0], id="released at the bound, unknown releases excluded"),
        pytest.param(asking(released_after=101), [3, 0, 0], id="a later bound"),
        pytest.param(asking(released_after=-9), [2, 3, 0], id="a bound before 1970"),
        pytest.param(asking(market=1), [1, 2, 0], id="the first market"),
        pytest.param(asking(market=2), [1, 3, 0], id="the second market"),
        pytest.param(asking(market=62), [1, 0, 0], id="the last market"),
        pytest.param(asking(market=63), [1, 0, 0], id="an unknown market"),
        pytest.param(asking(market=-1), [1, 0, 0], id="a market below 0"),
    ],
)
def test_each_filter_on_three_items(asked, rows):
    result, scores = search(Index.build(**three(), capacity=2), asked)
    assert result == [rows]
    assert scores == [[{1: 3.0, 2: 2.0, 3: 1.0, 0: -np.inf}[row] for row in rows]]


def test_an_item_available_nowhere_is_found_if_the_request_sets_no_market():
    index = Index.build(**three(markets=np.array([0, 1, 1])), capacity=0)
    assert search(index, asking())[0] == [[1, 2, 3]]
    assert search(index, asking(market=1))[0] == [[2, 3, 0]]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_not_finite_gets_no_item_and_changes_no_other_answer(number):
    index = Index.build(**three(), capacity=0)
    asked = {"query": np.array([[1], [number]], np.float32), "k": np.array([2, 2], np.int32), **without_filters(2)}
    assert search(index, asked) == ([[1, 2], [0, 0]], [[3.0, 2.0], [-np.inf, -np.inf]])


@pytest.mark.parametrize(
    ("items", "dim", "most", "capacity"),
    [
        pytest.param(0, 3, 4, 0, id="no items"),
        pytest.param(1, 1, 1, 0, id="one item"),
        pytest.param(GROUP - 1, 2, 5, 0, id="one whole group"),
        pytest.param(GROUP, 2, 5, 0, id="one more than a group"),
        pytest.param(10, 4, 50, 3, id="k above rows"),
        pytest.param(500, 1, 40, 9, id="ties everywhere"),
        pytest.param(700, 8, 1, 0, id="the best one"),
        pytest.param(700, 8, 100, 50, id="k above the number of groups"),
        pytest.param(3000, 5, 20, 100, id="many groups"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_search_is_exact(items, dim, most, capacity, seed):
    columns, asked = catalogue(items, dim, seed), requests(6, dim, most, items + 9, seed)
    index = Index.build(**columns, capacity=capacity)
    assert search(index, asked) == brute_force(columns, asked)


@pytest.mark.parametrize(
    "used", [pytest.param(c, id=" ".join(c) or "none") for n in range(6) for c in combinations(FILTERS, n)]
)
def test_every_combination_of_filters_is_exact(used):
    columns, asked = catalogue(400, 3, 3), requests(5, 3, 30, 400, 4)
    asked |= {name: value for name, value in without_filters(5).items() if name not in used}
    assert search(Index.build(**columns, capacity=5), asked) == brute_force(columns, asked)


def test_filters_cost_no_recall_if_the_best_groups_hold_only_excluded_items():
    # Only the last 3 of 1,000 items are allowed, and they have the lowest scores.
    columns = catalogue(1000, 1, 5)
    columns["embeddings"] = -np.arange(1000, dtype=np.float32)[:, None]
    columns["content_type"] = np.where(np.arange(1000) < 997, 1, 2)
    index = Index.build(**columns, capacity=0)
    assert search(index, asking(3, content_types=[2]))[0] == [[998, 999, 1000]]


def test_of_equal_scores_the_lower_row_comes_first():
    # Row 150 scores 2 and all others 1. The other members of its group must not rank before lower rows.
    columns = catalogue(200, 1, 6)
    columns["embeddings"] = np.ones([200, 1], np.float32)
    columns["embeddings"][149] = 2
    assert search(Index.build(**columns, capacity=0), asking(4))[0] == [[150, 1, 2, 3]]


def test_permuting_the_items_permutes_the_answer():
    rng = np.random.default_rng(7)
    columns = catalogue(300, 4, 7)
    columns["embeddings"] = rng.permutation(1200).reshape(300, 4).astype(np.float32)
    asked = requests(4, 4, 20, 300, 8) | {"exclude": np.zeros([4, 1], np.int32)}
    asked["query"] = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]], np.float32)  # no ties
    order = rng.permutation(300)
    moved = {name: [values[n] for n in order] if name == "ids" else values[order] for name, values in columns.items()}
    rows, scores = search(Index.build(**columns, capacity=0), asked)
    rows_moved, scores_moved = search(Index.build(**moved, capacity=0), asked)
    assert scores_moved == scores
    original = [0, *(order + 1).tolist()]
    assert [[original[row] for row in answer] for answer in rows_moved] == rows
    assert np.max(rows) > 0


def test_an_empty_batch_has_no_answers():
    rows, scores = search(Index.build(**three(), capacity=0), requests(0, 1, 3, 3, 0))
    assert rows == scores == []


def test_added_items_are_found_like_exported_items():
    columns, later = catalogue(100, 3, 9), catalogue(20, 3, 10)
    later["ids"] = [f"later{n}" for n in range(20)]
    index = Index.build(**columns, capacity=25)
    assert index.free == 25
    assert index.add(**later).tolist() == list(range(101, 121))
    assert index.free == 5
    both = {name: [*columns[name], *later[name]] for name in columns}
    together = {name: values if name == "ids" else np.array(values) for name, values in both.items()}
    asked = requests(6, 3, 30, 120, 11)
    assert search(index, asked) == brute_force(together, asked)


def test_adding_a_known_id_replaces_it_in_its_row():
    index = Index.build(**three(), capacity=1)
    columns = {"embeddings": np.array([[9]]), "release_ts": [0], "content_type": [5], "markets": [EVERYWHERE]}
    assert index.add(["b"], **columns).tolist() == [2]
    assert index.free == 1
    assert index.add(["d"], **columns).tolist() == [4]
    assert index.add(["d"], **{**columns, "embeddings": np.array([[-1]])}).tolist() == [4]
    assert index.free == 0
    assert search(index, asking(5)) == ([[2, 1, 3, 4, 0]], [[9, 3, 1, -1, -np.inf]])
    assert search(index, asking(5, content_types=[5]))[0] == [[2, 4, 0, 0, 0]]


def test_rows_of_a_search_lead_to_the_ids():
    index = Index.build(**three(ids=["ä", "b", "c"]), capacity=0)
    names = tf.gather(index.ids, search(index, asking(4))[0]).numpy()
    assert [name.decode() for name in names[0]] == ["ä", "b", "c", ""]


def contents(index: Index) -> list[list]:
    """The values of all variables of an index."""
    return [variable.numpy().tolist() for variable in index.variables]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({}, "room for 2 items .* 2 of these rows are free. Received 3 new ids", id="full"),
        pytest.param({"ids": ["a", "", "c"]}, "`ids` must not be empty; item 1, ''", id="empty id"),
        pytest.param({"ids": ["a", "c", "c"]}, "`ids` must be distinct; item 1, 'c'", id="repeated id"),
        pytest.param({"ids": ["a", "b"]}, r"`embeddings` must be .* = \[2, 1\]", id="one id too few"),
        pytest.param({"embeddings": np.ones([3, 2])}, r"`embeddings` must be .* \[3, 2\]", id="other dim"),
        pytest.param({"embeddings": np.array([[1], [1], [np.nan]])}, "`embeddings` must be finite; item 2", id="nan"),
        pytest.param({"embeddings": np.array([[1], [1e39], [1]])}, "`embeddings` must be finite", id="above float32"),
        pytest.param({"release_ts": np.array([1, 2])}, "`release_ts` must be 3 integers", id="one release too few"),
        pytest.param({"release_ts": np.array([1.0, 2, 3])}, "`release_ts` .* float64", id="release not whole"),
        pytest.param({"content_type": np.array([0, 63, 1])}, "`content_type` must lie from 0 to 62", id="type 63"),
        pytest.param({"content_type": np.array([0, -1, 1])}, "`content_type`", id="type -1"),
        pytest.param({"markets": np.array([1, 2**62, 1])}, "`markets` must be -1 or", id="market 63"),
        pytest.param({"markets": np.array([1, -2, 1])}, "`markets`", id="markets -2"),
    ],
)
def test_a_refused_addition_changes_nothing(changed, message):
    index = Index.build(**three(), capacity=2)
    before = contents(index)
    with pytest.raises(InputError, match=message):
        index.add(**three(ids=["d", "e", "f"]) | changed)
    assert contents(index) == before


def test_building_checks_the_same_rules():
    with pytest.raises(InputError, match="`ids` must be distinct"):
        Index.build(**three(ids=["a", "a", "b"]), capacity=2)
    with pytest.raises(InputError, match="`capacity` must be at least 0; it is -1"):
        Index.build(**three(), capacity=-1)


def test_no_variable_is_trained():
    assert Index.build(**three(), capacity=1).trainable_variables == ()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A SavedModel that returns rows and scores from an index of 100 items with 10 free rows."""
    module = tf.Module()
    module.index = Index.build(**catalogue(100, 3, 12), capacity=10)
    shapes = {"query": [None, 3], "exclude": [None, None], "content_types": [None, None]}
    asked = requests(1, 3, 1, 1, 0)
    specs = {n: tf.TensorSpec(shapes.get(n, [None]), tf.as_dtype(v.dtype), n) for n, v in asked.items()}

    @tf.function
    def answer(query, k, **filters):
        rows, scores = module.index.search(query, k, **filters)
        return {"rows": rows, "scores": scores}

    path = tmp_path_factory.mktemp("index") / "1"
    tf.saved_model.save(module, str(path), signatures=answer.get_concrete_function(**specs))
    return path


def by_session(path: Path, asked: dict) -> tuple[list, list]:
    """Call the signature in a session, as a model server does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        feeds = {loaded.inputs[name].name: value for name, value in asked.items()}
        answer = session.run({name: output.name for name, output in loaded.outputs.items()}, feeds)
    return answer["rows"].tolist(), answer["scores"].tolist()


def by_call(model, asked: dict) -> tuple[list, list]:
    """Call the signature of a loaded model."""
    answer = model.signatures["serving_default"](**{name: tf.constant(value) for name, value in asked.items()})
    return answer["rows"].numpy().tolist(), answer["scores"].numpy().tolist()


def test_a_saved_model_finds_the_same_items(saved):
    asked = requests(6, 3, 30, 110, 13)
    expected = brute_force(catalogue(100, 3, 12), asked)
    assert by_session(saved, asked) == expected
    assert by_call(tf.saved_model.load(str(saved)), asked) == expected


def test_items_can_be_added_to_a_loaded_model_and_saved_again_and_again(saved, tmp_path):
    columns, path = catalogue(100, 3, 12), saved
    asked = requests(6, 3, 30, 110, 14)
    for generation in range(2):
        model = tf.saved_model.load(str(path))
        later = catalogue(5, 3, generation) | {"ids": [f"{generation}-{n}" for n in range(5)]}
        index = Index(model.index)
        assert index.add(**later).tolist() == [101 + 5 * generation + n for n in range(5)]
        assert index.free == 5 - 5 * generation
        columns = {
            name: [*values, *later[name]] if name == "ids" else np.concatenate([values, later[name]])
            for name, values in columns.items()
        }
        expected = brute_force(columns, asked)
        assert by_call(model, asked) == expected
        path = tmp_path / str(generation)
        tf.saved_model.save(model, str(path), signatures=model.signatures)
        assert by_session(path, asked) == expected


def test_only_stock_operations_are_saved(saved):
    model = saved_model_pb2.SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    used = {node.op for node in nodes}
    assert {"MatMul", "TopKV2"} <= used
    # `tf.raw_ops` lists the operations of TensorFlow itself, and not those that a library adds.
    assert {op for op in used if not hasattr(tf.raw_ops, op)} == set()
