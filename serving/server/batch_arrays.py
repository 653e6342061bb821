"""The arrays of a batch: the rows of each request, and one input of several requests as one array."""

import math
from collections.abc import Sequence

import numpy as np

from serving.protocol.status import invalid

# The largest size of one input of a batch. Padding makes all requests as long as the longest, so one long request
# among many short ones could fill the memory.
MAX_BATCH_BYTES = 256 * 1024 * 1024

Arrays = list[np.ndarray]


def rows(values: Arrays, limit: int) -> int:
    """The number of rows of a request: the 0th dimension, which all its inputs share.

    Raises:
        StatusError: the inputs have no rows or different numbers of rows, or more rows than `limit`.
    """
    if not values:
        raise invalid("Batching Run() must have at least one input tensor")
    if not all(value.ndim for value in values):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    size = len(values[0])
    if any(len(value) != size for value in values):
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    if size > limit:
        raise invalid(f"Task size {size} is larger than maximum input batch size {limit}")
    return size


def merged(column: Sequence[np.ndarray], missing: int) -> np.ndarray:
    """Concatenate one input of several requests along the 0th dimension.

    Args:
        column: the arrays of the requests; if their other dimensions differ, each is padded to the largest.
        missing: how many rows to add at the end, as copies of the first row of the last array.

    Raises:
        StatusError: the result would exceed `MAX_BATCH_BYTES`.
    """
    shape = tuple(map(max, zip(*(value.shape[1:] for value in column), strict=True)))
    if len(column) > 1 and math.prod(shape) * sum(map(len, column)) * column[0].itemsize > MAX_BATCH_BYTES:
        raise invalid(f"a batch holds at most {MAX_BATCH_BYTES} bytes")  # each request then runs alone
    parts = [value if value.shape[1:] == shape else _padded(value, shape) for value in column]
    if missing:
        parts.append(np.repeat(parts[-1][:1], missing, axis=0))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _padded(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pad the dimensions after the 0th to `shape` with the first element of the array."""
    grown = np.full((len(value), *shape), value.flat[0], value.dtype)
    grown[tuple(slice(size) for size in value.shape)] = value
    return grown
