"""The text of a file reaches Arrow as it is, in the sizes that Arrow asks for."""

import pytest

from events.importers.text_files import LAST, Stream, end_of_text, tidy

BLOCKS = [b"", b"a,b\n", b"1,2\n3,4\n", b"\n\n", b"5,6\r\n"]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 8, 100, -1])
def test_blocks_are_read_in_any_size(size):
    stream, parts = Stream(iter(BLOCKS)), []
    while part := bytes(stream.read(size)):
        parts.append(part)
    assert b"".join(parts) == b"".join(BLOCKS)
    assert all(len(part) == size for part in parts[:-1])


def test_a_text_ends_with_one_line_end():
    assert b"".join(tidy(iter(BLOCKS), ",")) == b"a,b\n1,2\n3,4\n\n\n5,6\r\n"
    assert b"".join(tidy(iter([*BLOCKS, b"\r\n" * LAST]), ",")) == b"a,b\n1,2\n3,4\n\n\n5,6\r\n"
    assert b"".join(tidy(iter([b"a::b\n", b"1::2"]), "::")) == b"a\x1fb\n1\x1f2\n"


@pytest.mark.parametrize("ends", [0, 1, LAST - 1, LAST, LAST + 1, 3 * LAST])
def test_the_line_ends_at_the_end_of_a_block_are_told_from_its_text(ends):
    assert end_of_text(b"a\nb" + b"\n" * ends) == 3
    assert end_of_text(b"\n" * ends) == 0
