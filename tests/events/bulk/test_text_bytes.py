"""A look at the bytes of text says what a look at each value says, or that it does not know."""

import pyarrow as pa
import pytest

from events.bulk.text_bytes import may_have, occurrences, surely_tidy

TEXTS = pa.array(["ab", None, "c,d", "", " x", "y\t", "é", "z z", "\xa0"])
TIDY = [True, True, True, False, False, False, False, True, False]  # of an `é` the bytes alone say nothing


@pytest.mark.parametrize("data_type", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("begin", range(len(TEXTS)))
def test_slices_are_looked_at_alone(data_type, begin):
    text = TEXTS.cast(data_type).slice(begin, 1)
    assert surely_tidy(text) is TIDY[begin]
    assert may_have(text, b",b") is any(letter in (text[0].as_py() or "") for letter in ",b")


def test_no_text_is_tidy_and_has_nothing():
    for texts in (pa.array([], pa.string()), TEXTS.slice(3, 0), pa.nulls(2, pa.string())):
        assert surely_tidy(texts)
        assert not may_have(texts, b"a")


def test_a_column_is_tidy_if_all_its_texts_are():
    assert surely_tidy(TEXTS.slice(0, 3))
    assert not surely_tidy(TEXTS)


def test_bytes_are_counted():
    assert occurrences(b"a\nb\n", b"\n") == 2
    assert occurrences(b"", b"\n") == 0
