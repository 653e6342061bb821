"""The mapping from string ids to embedding rows."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.inputs.vocabulary import PADDING, Lookup, drop_ids

TOKENS = ["a", "b", "c"]
SEED = tf.constant([0, 0])


@pytest.fixture(scope="module")
def lookup() -> Lookup:
    """A vocabulary with the rows 0 for padding, 1 to 4 for unknown ids, and 5, 6, 7 for a, b, c."""
    return Lookup(TOKENS, buckets=4)


def rows(lookup: Lookup, *ids: str) -> list[int]:
    return lookup(tf.constant(ids)).numpy().tolist()


def test_tokens_follow_the_out_of_vocabulary_rows(lookup):
    assert rows(lookup, "a", "b", "c") == [5, 6, 7]


def test_the_empty_string_is_padding(lookup):
    assert rows(lookup, "") == [PADDING]


def test_unknown_ids_share_the_out_of_vocabulary_rows(lookup):
    unknown = rows(lookup, *(f"new{n}" for n in range(200)))
    assert set(unknown) == {1, 2, 3, 4}


def test_an_unknown_id_has_the_same_row_in_every_process(lookup):
    # FarmHash Fingerprint64 never changes; Python's hash() differs between processes.
    assert rows(lookup, "new0", "new1", "new2") == [3, 1, 1]


def test_rows_have_the_shape_of_the_ids(lookup):
    assert lookup(tf.constant([["a", ""], ["x", "c"]])).shape == (2, 2)


def test_the_size_is_the_number_of_rows(lookup):
    assert lookup.size == 8


def test_without_tokens_every_id_is_unknown():
    empty = Lookup([], buckets=1)
    assert rows(empty, "", "a", "b") == [0, 1, 1]
    assert len(empty.unknown_rows()) == empty.size


@pytest.mark.parametrize("chunked", [False, True])
def test_an_arrow_column_gets_the_same_rows(lookup, chunked):
    ids = ["a", "", "x", "c", "a", "y"]
    column = pa.chunked_array([ids[:2], ids[2:]]) if chunked else pa.array(ids)
    encoded = lookup.encode(column)
    assert encoded.tolist() == rows(lookup, *ids)
    assert encoded.dtype == np.int32


def test_null_counts_as_the_empty_string(lookup):
    assert lookup.encode(pa.array(["a", None], pa.string())).tolist() == [5, PADDING]


def test_an_empty_column_has_no_rows(lookup):
    assert lookup.encode(pa.array([], pa.string())).tolist() == []


def test_unknown_rows_are_the_rows_of_the_tokens_in_another_vocabulary(lookup):
    unknown = lookup.unknown_rows()
    other = Lookup(["else"], buckets=4)
    assert unknown[:5].tolist() == [0, 1, 2, 3, 4]  # padding and the out-of-vocabulary rows map to themselves
    assert unknown[5:].tolist() == rows(other, *TOKENS)
    assert len(unknown) == lookup.size


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_ids_are_dropped_at_the_rates_0_and_1(lookup, rate):
    token_rows = tf.constant([[0, 5, 6], [7, 1, 0]])
    unknown = lookup.unknown_rows()
    dropped = drop_ids(token_rows, tf.constant(unknown), rate, SEED).numpy()
    assert dropped.tolist() == (unknown[token_rows.numpy()] if rate else token_rows.numpy()).tolist()
    assert (dropped == 0).tolist() == (token_rows.numpy() == 0).tolist()  # padding stays padding


def test_the_seed_decides_which_ids_are_dropped(lookup):
    token_rows, unknown = tf.fill([10_000], 6), tf.constant(lookup.unknown_rows())
    dropped, again, other = (
        drop_ids(token_rows, unknown, 0.1, tf.constant(s)).numpy() for s in ([0, 1], [0, 1], [0, 2])
    )
    assert (dropped != 6).mean() == pytest.approx(0.1, abs=0.02)
    assert (dropped == again).all()
    assert (dropped != other).any()
