"""The catalogue inside a model: the content of each item by row."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.inputs.catalogue import LATER, WORD_ROWS, WORDS, words
from models.inputs.encoder import Encoder, fit_axes
from models.saved.index_columns import EVERYWHERE


@pytest.fixture(scope="module")
def items(make_catalogue):
    """Three items: one with every column, one with nulls, and one whose creator and type training never saw."""
    columns = (
        "creator_id", "content_type", "language", "duration_s", "release_ts", "genre_weights", "text", "markets",
    )  # fmt: skip
    return make_catalogue(
        {"item_id": "b", "release_ts": 7, "duration_s": np.e - 1, "genre_weights": [0.25, 0.75], "markets": ["SE"]},
        {"item_id": "a"} | dict.fromkeys(columns),
        {"item_id": "c", "creator_id": "stranger", "content_type": "opera", "markets": ["NO", "SE", "NO"]},
    )


@pytest.fixture(scope="module")
def encoder(make_table, items) -> Encoder:
    """An encoder whose vocabularies are those of item `b`."""
    return Encoder(fit_axes([make_table({"item_id": "b"})]), items)


@pytest.fixture(scope="module")
def catalogue(encoder):
    """The catalogue of `items`, in which b, a, c have the rows 1, 2, 3."""
    return encoder.catalogue


def test_rows_follow_the_table_and_unknown_ids_have_row_0(catalogue):
    assert catalogue.rows(tf.constant([["b", "a"], ["c", ""], ["stranger", "b"]])).numpy().tolist() == [
        [1, 2], [3, 0], [0, 1],
    ]  # fmt: skip


@pytest.mark.parametrize("chunked", [False, True])
def test_arrow_columns_have_the_same_rows(catalogue, chunked):
    ids = ["c", "stranger", "", "b", "a", "b"]
    column = pa.chunked_array([ids[:2], ids[2:]]) if chunked else pa.array(ids)
    rows = catalogue.encode(column)
    assert rows.tolist() == catalogue.rows(tf.constant(ids)).numpy().tolist()
    assert rows.dtype == np.int32
    assert catalogue.encode(pa.array([None, "a"], pa.string())).tolist() == [0, 2]


def test_the_variables_hold_an_empty_row_then_the_items_then_free_rows(catalogue, items):
    made = catalogue.columns(items)
    for name, values in made.items():
        variable = getattr(catalogue, name).numpy()
        assert len(variable) == 1 + 3 + LATER
        np.testing.assert_array_equal(variable[1:4], values)
        assert not variable[0].any()
        assert not variable[4:].any()


def test_content_is_genre_weights_and_log_duration(catalogue, items):
    # log1p(e - 1) / 8 = 1/8.
    content = catalogue.columns(items)["content"]
    assert content[:2] == pytest.approx(np.array([[0.25, 0.75, 1 / 8], [0, 0, 0]]))


def test_an_unknown_release_is_0(catalogue, items):
    assert catalogue.columns(items)["release_ts"][:2].tolist() == [7, 0]


def test_ids_are_encoded_by_the_vocabularies(catalogue, encoder, items):
    # Id, creator, type, language. Tokens follow padding (row 0) and the out-of-vocabulary row (1).
    assert catalogue.columns(items)["item_ids"].tolist() == [[2, 2, 2, 2], [1, 0, 0, 0], [1, 1, 1, 2]]


def test_type_codes_are_rows_of_the_type_vocabulary(catalogue, items):
    assert catalogue.type_codes(items).tolist() == [2, 0, 1]


def test_types_beyond_the_number_of_bits_are_encoded_as_unknown(make_table, make_catalogue):
    types = [f"t{n:02}" for n in range(70)]
    train = make_table(*({"content_type": name} for name in types))
    table = make_catalogue(*({"item_id": name, "content_type": name} for name in types))
    type_codes = Encoder(fit_axes([train]), table).catalogue.type_codes(table)
    # t00 has row 2 and t60 has row 62, the last row with a bit in an int64.
    assert type_codes.tolist() == [*range(2, 63), *[1] * 9]


def test_each_market_has_a_bit(catalogue, items):
    # Markets are sorted: NO is bit 0, SE is bit 1. An item without a list is available everywhere.
    assert catalogue.markets == ["NO", "SE"]
    assert catalogue.market_bits(items).tolist() == [2, EVERYWHERE, 3]


def test_an_item_with_an_empty_list_of_markets_is_available_nowhere(catalogue, make_catalogue):
    assert catalogue.market_bits(make_catalogue({"markets": []})).tolist() == [0]


def test_a_market_outside_the_catalogue_has_no_bit(catalogue, make_catalogue):
    assert catalogue.market_bits(make_catalogue({"markets": ["DK"]}, {"markets": ["DK", "SE"]})).tolist() == [0, 2]


def test_a_table_may_lack_texts_and_markets(catalogue, items):
    bare = items.drop_columns(["text", "markets"])
    assert not catalogue.columns(bare)["words"].any()
    assert (catalogue.market_bits(bare) == EVERYWHERE).all()


def word_rows(*texts: str | None) -> list[list[int]]:
    """Rows of the words of each text, without padding."""
    rows = words(pa.chunked_array([pa.array(texts, pa.string())]))
    assert rows.shape == (len(texts), WORDS)
    return [[row for row in text if row] for text in rows.tolist()]


@pytest.mark.parametrize(
    "text",
    ["blue train", "Blue  TRAIN", "blue-train", " blue, train! ", "(blue)\ntrain"],
    ids=["plain", "case", "hyphen", "punctuation", "line"],
)
def test_words_are_runs_of_letters_and_digits_in_lower_case(text):
    assert word_rows(text) == word_rows("blue train")
    assert len(word_rows(text)[0]) == 2


@pytest.mark.parametrize("text", ["Ångström Überjazz", "東京 事変", "Музыка Ночи"])
def test_letters_of_any_script_are_letters(text):
    first, second = word_rows(text)[0]
    assert first != second
    assert word_rows(text.lower()) == [[first, second]]


@pytest.mark.parametrize("text", [None, "", " ", "?! …"])
def test_a_text_without_words_is_padding(text):
    assert word_rows(text, "blue") == [[], *word_rows("blue")]


def test_words_past_the_twelfth_are_not_read():
    many = [f"w{n}" for n in range(WORDS + 5)]
    assert word_rows(" ".join(many)) == word_rows(" ".join(many[:WORDS]))
    assert len(word_rows(" ".join(many))[0]) == WORDS


def test_rows_of_words_are_never_padding_and_within_the_table():
    rows = {row for text in word_rows(*(f"w{n}" for n in range(3000))) for row in text}
    assert min(rows) >= 1
    assert max(rows) < WORD_ROWS
    assert len(rows) > 2000  # 3000 random hashes reach about half of 4095 rows


def test_a_word_has_the_same_row_in_every_process():
    # FarmHash Fingerprint64 never changes.
    assert word_rows("blue train") == [[1 + 615, 1 + 2739]]  # buckets of 4095, plus 1 for the padding row
