"""Ids to rows by sorted fingerprints, held against a dict."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from models.inputs import fingerprints
from models.inputs.fingerprints import Fingerprints
from segue.errors import InputError


def rows(known: Fingerprints, ids) -> list:
    """The rows of `ids`, nested as they are."""
    found = known.rows(tf.constant(ids, tf.string))
    assert found.dtype == tf.int32
    return found.numpy().tolist()


def test_ids_have_the_rows_of_their_order():
    assert rows(Fingerprints.build(["b", "a", "ä"], 0), ["a", "b", "ä", "c", ""]) == [2, 1, 3, 0, 0]


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
@pytest.mark.parametrize("capacity", [0, 7])
def test_rows_are_those_of_a_dict(n, capacity):
    ids = [f"item{number}" for number in range(n)]
    row_of = {item: row for row, item in enumerate(ids, start=1)}
    asked = [f"item{number}" for number in np.random.default_rng(n).integers(0, 2 * n + 2, 500)]  # half are strangers
    assert rows(Fingerprints.build(ids, capacity), asked) == [row_of.get(item, 0) for item in asked]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        pytest.param("b", 2, id="one"),
        pytest.param([], [], id="none"),
        pytest.param([["b", "", "b"], ["x", "a", "a"]], [[2, 0, 2], [0, 1, 1]], id="repeated, in two dimensions"),
        pytest.param([[["a"], ["c"]]], [[[1], [3]]], id="three dimensions"),
    ],
)
def test_any_shape(ids, expected):
    assert rows(Fingerprints.build(["a", "b", "c"], 2), ids) == expected


def test_added_ids_are_found_and_the_others_stay():
    known = Fingerprints.build(["a", "b"], 3)
    known.add(["z", "c"], [9, 3])
    assert known.free == 1
    assert rows(known, ["a", "b", "c", "z", "y", ""]) == [1, 2, 3, 9, 0, 0]


def test_ids_can_be_added_to_an_empty_catalogue():
    known = Fingerprints.build([], 1)
    assert rows(known, ["a", ""]) == [0, 0]
    known.add(["a"], [5])
    assert rows(known, ["a", ""]) == [5, 0]


def test_adding_what_is_known_with_its_row_changes_nothing():
    known = Fingerprints.build(["a", "b"], 1)
    known.add(["b", "c"], [2, 3])
    known.add(["c", "a"], [3, 1])
    assert known.free == 0
    assert rows(known, ["a", "b", "c"]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "given", "message"),
    [
        pytest.param(["c", "d", "e"], [3, 4, 5], "room for 4 ids; with these they are 5", id="full"),
        pytest.param(["c", "b"], [3, 9], "'b', for row 9, has that of row 2", id="known by another row"),
        pytest.param(["c", "c"], [3, 4], "distinct", id="repeated"),
        pytest.param(["c", ""], [3, 4], "not empty", id="empty"),
        pytest.param(["c", "d"], [3, 0], "above 0", id="row 0"),
        pytest.param(["c", "d"], [3, 3], "distinct and above 0", id="one row twice"),
        pytest.param(["c", "d"], [3], "one for each of 2 ids", id="a row too few"),
    ],
)
def test_what_cannot_be_added_is_refused_and_changes_nothing(ids, given, message):
    known = Fingerprints.build(["a", "b"], 2)
    with pytest.raises(InputError, match=message):
        known.add(ids, given)
    assert known.free == 2
    assert rows(known, ["a", "b", "c", "d", "e"]) == [1, 2, 0, 0, 0]


def test_a_capacity_below_0_is_refused():
    with pytest.raises(InputError, match="`capacity` must be at least 0; it is -1"):
        Fingerprints.build(["a"], -1)


def test_ids_of_one_fingerprint_are_refused(monkeypatch):
    # Two real ids that share 62 bits are not to be found; ids of one length share their length.
    lengths = lambda ids: tf.cast(tf.strings.length(ids), tf.int64)  # noqa: E731
    monkeypatch.setattr(fingerprints, "fingerprints", lengths)
    with pytest.raises(InputError, match="'bb', for row 2, has that of row 1"):
        Fingerprints.build(["aa", "bb"], 0)
    known = Fingerprints.build(["a", "aa"], 1)
    with pytest.raises(InputError, match="'bb', for row 3, has that of row 2"):
        known.add(["bb"], [3])


def test_fingerprints_are_the_same_in_every_process():
    # Saved models hold them. FarmHash gives the empty string its constant k2, 0x9ae16a3b2f90404f: here the low 62 bits.
    assert fingerprints.fingerprints(tf.constant("")).numpy() == 0x1AE16A3B2F90404F


def test_nothing_is_trained():
    assert Fingerprints.build(["a"], 1).trainable_variables == ()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A SavedModel that answers the rows of ids: a, b, c, and two more to come."""
    module = tf.Module()
    module.known = Fingerprints.build(["a", "b", "c"], 2)
    signature = tf.function(lambda ids: {"rows": module.known.rows(ids)})
    path = tmp_path_factory.mktemp("fingerprints") / "1"
    spec = tf.TensorSpec([None, None], tf.string, "ids")
    tf.saved_model.save(module, str(path), signatures=signature.get_concrete_function(spec))
    return path


def by_session(path: Path, ids: list) -> list:
    """What the signature answers in a session, as a model server runs it."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def["serving_default"]
        return session.run(loaded.outputs["rows"].name, {loaded.inputs["ids"].name: ids}).tolist()


def test_ids_can_be_added_to_a_loaded_model_and_saved_again_and_again(saved, tmp_path):
    asked = [["c", "d", ""], ["e", "a", "a"]]
    assert by_session(saved, asked) == [[3, 0, 0], [0, 1, 1]]
    path = saved
    for item, row, expected in [("d", 4, [[3, 4, 0], [0, 1, 1]]), ("e", 5, [[3, 4, 0], [5, 1, 1]])]:
        model = tf.saved_model.load(str(path))
        Fingerprints(model.known).add([item], [row])
        assert model.signatures["serving_default"](ids=tf.constant(asked))["rows"].numpy().tolist() == expected
        path = tmp_path / item
        tf.saved_model.save(model, str(path), signatures=model.signatures)
        assert by_session(path, asked) == expected


def test_only_stock_operations_are_saved(saved):
    model = saved_model_pb2.SavedModel.FromString((saved / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    used = {node.op for node in nodes}
    assert "LowerBound" in used
    # `tf.raw_ops` lists what TensorFlow itself registers, and nothing of what a library loads beside it.
    assert {op for op in used if not hasattr(tf.raw_ops, op) or "Table" in op} == set()
