"""String ids to embedding rows."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.inputs.vocabulary import PADDING, Lookup, drop_ids

TOKENS = ["a", "b", "c"]
SEED = tf.constant([0, 0])


@pytest.fixture(scope="module")
def lookup() -> Lookup:
    """Rows: 0 padding, 1 to 4 unknown, then a 5, b 6, c 7."""
    return Lookup(TOKENS, buckets=4)


def rows(lookup: Lookup, *ids: str) -> list[int]:
    return lookup(tf.constant(ids)).numpy().tolist()


def test_known_tokens_follow_the_unknown_rows(lookup):
    assert rows(lookup, "a", "b", "c") == [5, 6, 7]


def test_the_empty_string_is_padding(lookup):
    assert rows(lookup, "") == [PADDING]


def test_unknown_ids_fall_into_the_unknown_rows(lookup):
    found = rows(lookup, *(f"new{n}" for n in range(200)))
    assert set(found) == {1, 2, 3, 4}


def test_an_unknown_id_has_the_same_row_in_every_process(lookup):
    # FarmHash Fingerprint64 is fixed for ever; Python's hash() is not.
    assert rows(lookup, "new0", "new1", "new2") == [3, 1, 1]


def test_the_shape_stays(lookup):
    assert lookup(tf.constant([["a", ""], ["x", "c"]])).shape == (2, 2)


def test_the_size_is_one_beyond_the_last_row(lookup):
    assert lookup.size == 8


def test_without_tokens_everything_is_unknown():
    empty = Lookup([], buckets=1)
    assert rows(empty, "", "a", "b") == [0, 1, 1]
    assert len(empty.unknown_rows()) == empty.size


@pytest.mark.parametrize("chunked", [False, True])
def test_encoding_an_arrow_column_is_calling(lookup, chunked):
    ids = ["a", "", "x", "c", "a", "y"]
    column = pa.chunked_array([ids[:2], ids[2:]]) if chunked else pa.array(ids)
    encoded = lookup.encode(column)
    assert encoded.tolist() == rows(lookup, *ids)
    assert encoded.dtype == np.int32


def test_null_counts_as_the_empty_string(lookup):
    assert lookup.encode(pa.array(["a", None], pa.string())).tolist() == [5, PADDING]


def test_an_empty_column_has_no_rows(lookup):
    assert lookup.encode(pa.array([], pa.string())).tolist() == []


def test_unknown_rows_are_where_a_token_would_be_if_it_were_new(lookup):
    found = lookup.unknown_rows()
    strangers = Lookup(["else"], buckets=4)
    assert found[:5].tolist() == [0, 1, 2, 3, 4]  # padding and the unknown rows stay themselves
    assert found[5:].tolist() == rows(strangers, *TOKENS)
    assert len(found) == lookup.size


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_dropping_none_or_all(lookup, rate):
    given = tf.constant([[0, 5, 6], [7, 1, 0]])
    unknown = lookup.unknown_rows()
    found = drop_ids(given, tf.constant(unknown), rate, SEED).numpy()
    assert found.tolist() == (unknown[given.numpy()] if rate else given.numpy()).tolist()
    assert (found == 0).tolist() == (given.numpy() == 0).tolist()  # padding stays padding


def test_the_seed_says_which_share_is_dropped(lookup):
    given, unknown = tf.fill([10_000], 6), tf.constant(lookup.unknown_rows())
    found, again, other = (drop_ids(given, unknown, 0.1, tf.constant(s)).numpy() for s in ([0, 1], [0, 1], [0, 2]))
    assert (found != 6).mean() == pytest.approx(0.1, abs=0.02)
    assert (found == again).all()
    assert (found != other).any()
