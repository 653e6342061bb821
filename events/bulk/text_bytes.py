"""Look at the bytes of text, which is many times faster than to look at each value."""

import numpy as np
import pyarrow as pa

SPACE = ord(" ")  # and smaller bytes are white space or control characters


def occurrences(content: bytes, byte: bytes) -> int:
    """Return how often a byte occurs."""
    return int(np.count_nonzero(np.frombuffer(content, np.uint8) == byte[0]))


def may_have(texts: pa.Array, characters: bytes) -> bool:
    """Return whether one of some ASCII characters may be in a text. False is certain; a null may hide some."""
    content = bytes_of(texts)
    return any((content == character).any() for character in characters)


def surely_tidy(texts: pa.Array) -> bool:
    """Return whether no text is empty, or begins or ends with white space. False says nothing: an `é` may be one."""
    offsets = offsets_of(texts)
    begins, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    if texts.null_count:
        valid = texts.is_valid().to_numpy(zero_copy_only=False)
        begins, ends = begins[valid], ends[valid]
    content = bytes_of(texts)
    return bool((begins < ends).all() and (content[begins] > SPACE).all() and (content[ends - 1] > SPACE).all())


def bytes_of(texts: pa.Array) -> np.ndarray:
    """Return the bytes of all texts; those of letters beyond ASCII are negative."""
    content, offsets = texts.buffers()[2], offsets_of(texts)
    return np.frombuffer(content or b"", np.int8)[offsets[0] : offsets[-1]]


def offsets_of(texts: pa.Array) -> np.ndarray:
    """Return where each text begins, and where the last one ends."""
    if not len(texts):
        return np.zeros(1, np.int32)
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    return np.frombuffer(texts.buffers()[1], width)[texts.offset : texts.offset + len(texts) + 1]
