"""The map from ids to rows by sorted fingerprints, compared with a dict."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from models.inputs import fingerprints
from models.inputs.fingerprints import Fingerprints
from segue.errors import InputError


def rows(fingerprint_map: Fingerprints, ids) -> list:
    """The rows of `ids` as nested lists of the same shape."""
    result = fingerprint_map.rows(tf.constant(ids, tf.string))
    assert result.dtype == tf.int32
    return result.numpy().tolist()


def test_rows_follow_the_order_of_the_ids():
    assert rows(Fingerprints.build(["b", "a", "ä"], 0), ["a", "b", "ä", "c", ""]) == [2, 1, 3, 0, 0]


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
@pytest.mark.parametrize("capacity", [0, 7])
def test_rows_are_equal_to_those_of_a_dict(n, capacity):
    ids = [f"item{number}" for number in range(n)]
    row_of = {item: row for row, item in enumerate(ids, start=1)}
    queried = [
        f"item{number}" for number in np.random.default_rng(n).integers(0, 2 * n + 2, 500)
    ]  # half of them are unknown
    assert rows(Fingerprints.build(ids, capacity), queried) == [row_of.get(item, 0) for item in queried]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        pytest.param("b", 2, id="one"),
        pytest.param([], [], id="none"),
        pytest.param([["b", "", "b"], ["x", "a", "a"]], [[2, 0, 2], [0, 1, 1]], id="repeated, in two dimensions"),
        pytest.param([[["a"], ["c"]]], [[[1], [3]]], id="three dimensions"),
    ],
)
def test_ids_may_have_any_shape(ids, expected):
    assert rows(Fingerprints.build(["a", "b", "c"], 2), ids) == expected


def test_added_ids_are_found_and_the_others_stay():
    fingerprint_map = Fingerprints.build(["a", "b"], 3)
    fingerprint_map.add(["z", "c"], [9, 3])
    assert fingerprint_map.free == 1
    assert rows(fingerprint_map, ["a", "b", "c", "z", "y", ""]) == [1, 2, 3, 9, 0, 0]


def test_ids_can_be_added_to_an_empty_catalogue():
    fingerprint_map = Fingerprints.build([], 1)
    assert rows(fingerprint_map, ["a", ""]) == [0, 0]
    fingerprint_map.add(["a"], [5])
    assert rows(fingerprint_map, ["a", ""]) == [5, 0]


def test_adding_an_id_again_with_its_row_changes_nothing():
    fingerprint_map = Fingerprints.build(["a", "b"], 1)
    fingerprint_map.add(["b", "c"], [2, 3])
    fingerprint_map.add(["c", "a"], [3, 1])
    assert fingerprint_map.free == 0
    assert rows(fingerprint_map, ["a", "b", "c"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "given", "message"),
    [
        pytest.param(["c", "d", "e"], [3, 4, 5], "room for 4 ids. Adding these would make 5", id="full"),
        pytest.param(["c", "b"], [3, 9], "'b', given for row 9, belongs to row 2", id="an id with another row"),
        pytest.param(["c", "c"], [3, 4], "distinct", id="repeated"),
        pytest.param(["c", ""], [3, 4], "not empty", id="empty"),
        pytest.param(["c", "d"], [3, 0], "above 0", id="row 0"),
        pytest.param(["c", "d"], [3, 3], "distinct and above 0", id="one row twice"),
        pytest.param(["c", "d"], [3], "Each of 2 ids needs one row", id="a row too few"),
    ],
)
def test_a_refused_addition_changes_nothing(ids, given, message):
    fingerprint_map = Fingerprints.build(["a", "b"], 2)
    with pytest.raises(InputError, match=message):
        fingerprint_map.add(ids, given)
    assert fingerprint_map.free == 2
    assert rows(fingerprint_map, ["a", "b", "c", "d", "e"]) == [1, 2, 0, 0, 0]


def test_a_capacity_below_0_is_refused():
    with pytest.raises(InputError, match="`capacity` must be at least 0; it is -1"):
        Fingerprints.build(["a"], -1)


def test_ids_of_one_fingerprint_are_refused(monkeypatch):
    # Two real ids that share 62 bits cannot be found, so the test takes the length of an id as its fingerprint.
    lengths = lambda ids: tf.cast(tf.strings.length(ids), tf.int64)  # noqa: E731
    monkeypatch.setattr(fingerprints, "fingerprints", lengths)
    with pytest.raises(InputError, match="'bb', given for row 2, belongs to row 1"):
        Fingerprints.build(["aa", "bb"], 0)
    fingerprint_map = Fingerprints.build(["a", "aa"], 1)
    with pytest.raises(InputError, match="'bb', given for row 3, belongs to row 2"):
        fingerprint_map.add(["bb"], [3])


def test_fingerprints_are_the_same_in_every_process():
    # Saved models store fingerprints, so they must not change. FarmHash maps '' to its constant k2,
    # 0x9ae16a3b2f90404f, of which these are the low 62 bits.
    assert fingerprints.fingerprints(tf.constant("")).numpy() == 0x1AE16A3B2F90404F


def test_no_variable_is_trained():
    assert Fingerprints.build(["a"], 1).trainable_variables == ()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A SavedModel that returns the rows of ids, built with a, b, c and room for two more."""
    module = tf.Module()
    module.fingerprints = Fingerprints.build(["a", "b", "c"], 2)
    signature = tf.function(lambda ids: {"rows": module.fingerprints.rows(ids)})
    path = tmp_path_factory.mktemp("fingerprints") / "1"
    spec = tf.TensorSpec([None, None], tf.string, "ids")
    tf.saved_model.save(module, str(path), signatures=signature.get_concrete_function(spec))
    return path


def by_session(path: Path, ids: list) -> list:
    """Call the signature in a session, as a model server does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        return session.run(loaded.outputs["rows"].name, {loaded.inputs["ids"].name: ids}).tolist()


def test_ids_can_be_added_to_a_loaded_model_and_saved_again_and_again(saved, tmp_path):
    queried = [["c", "d", ""], ["e", "a", "a"]]
    assert by_session(saved, queried) == [[3, 0, 0], [0, 1, 1]]
    path = saved
    for item, row, expected in [("d", 4, [[3, 4, 0], [0, 1, 1]]), ("e", 5, [[3, 4, 0], [5, 1, 1]])]:
        model = tf.saved_model.load(str(path))
        Fingerprints(model.fingerprints).add([item], [row])
        assert model.signatures["serving_default"](ids=tf.constant(queried))["rows"].numpy().tolist() == expected
        path = tmp_path / item
        tf.saved_model.save(model, str(path), signatures=model.signatures)
        assert by_session(path, queried) == expected


def test_only_stock_operations_are_saved(saved):
    model = saved_model_pb2.SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    used = {node.op for node in nodes}
    assert "LowerBound" in used
    # `tf.raw_ops` lists the operations of TensorFlow itself, and not those that a library adds.
    assert {op for op in used if not hasattr(tf.raw_ops, op) or "Table" in op} == set()
