"""Words for a missing value and blanks are null, in a column and in any slice of it."""

import pyarrow as pa
import pytest

from events.values.reading import IN_ALL_MISSING, MISSING, without_blanks, without_words

TEXTS = ["u0", "nan", None, "", " u1", "u1 ", "NULL", "none", "\xa0", "é", " ", "x y", "<NA>"]
SLICES = [(0, 13), (1, 1), (3, 5), (6, 2), (9, 4), (0, 1), (4, 0)]


def test_each_word_has_a_letter_by_which_it_is_searched():
    assert all(set(word) & set(IN_ALL_MISSING.decode()) for word in MISSING)


@pytest.mark.parametrize(("begin", "length"), SLICES)
@pytest.mark.parametrize("chunked", [False, True])
def test_slices_are_read_as_their_values(begin, length, chunked):
    texts, given = TEXTS[begin : begin + length], pa.array(TEXTS, pa.string()).slice(begin, length)
    column = pa.chunked_array([given]) if chunked else given
    assert without_words(column).to_pylist() == [None if text in MISSING else text for text in texts]
    assert without_blanks(column).to_pylist() == [(text or "").strip() or None for text in texts]
