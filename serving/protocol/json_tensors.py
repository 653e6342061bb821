"""JSON as the tensors of a PredictRequest.

Rules and texts are those of TF Serving's util/json_tensor.cc, but for an integer that does not fit its input's 8
or 16 bits: an error here, cut without a word there.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode

from serving.protocol import json_text, tensors
from serving.protocol.dtypes import BY_ENUM, STRING
from serving.protocol.status import StatusError, invalid

SIGNATURE, INSTANCES, INPUTS = "signature_name", "instances", "inputs"


class _Rule(NamedTuple):
    """Which JSON an input's dtype takes: values of these types, and integers from `low` to `high`."""

    types: frozenset[type]
    low: int = 0
    high: int = 0


def _rule(name: str) -> _Rule:
    dtype = np.dtype(name)
    if dtype.kind == "f":
        high = 2 ** (np.finfo(dtype).nmant + 1) - 1  # above it some integers have no float
        return _Rule(frozenset((int, float)), -high, high)
    return _Rule(frozenset((int,)), int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


# By TensorFlow's names; TF Serving reads no other dtype from JSON.
_RULES = {
    "bool": _Rule(frozenset((bool,))),
    "string": _Rule(frozenset((str, dict))),
    "float": _rule("float32"),
    "double": _rule("float64"),
    **{name: _rule(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")},
}


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request asks for; empty for the default one.

    Raises:
        StatusError: it is not a string.
    """
    name = document.get(SIGNATURE, "")
    if not isinstance(name, str):
        raise json_text.malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def fill(document: Mapping[str, Any], inputs: Mapping[str, tuple[str, int]], message: Any) -> bool:
    """Fill the tensors of a PredictRequest.

    Args:
        document: the request's JSON: rows under `instances`, or columns under `inputs`.
        inputs: input name -> its tensor's name and `DataType`, as the signature declares them.
        message: the PredictRequest, its `signature_name` set.

    Returns:
        Whether the request is in rows; its answer is to be alike.

    Raises:
        StatusError: as TF Serving answers it.
    """
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {message.model_spec.signature_name or 'DEFAULT'}")
    dtypes = {name: dtype for name, (_, dtype) in inputs.items()}
    rows = INSTANCES in document
    if rows and INPUTS in document:
        text = f"Not formatted correctly expecting only one of '{INPUTS}' or '{INSTANCES}' keys to exist "
        raise json_text.malformed(document, text)
    if rows:
        arrays = _from_rows(document, dtypes)
    elif INPUTS in document:
        arrays = _from_columns(document[INPUTS], dtypes)
    else:
        raise invalid(f"Missing '{INPUTS}' or '{INSTANCES}' key")
    for name, array in arrays.items():
        message.inputs[name].CopyFrom(tensors.encode(array, as_content=True))
    return rows


def _from_rows(document: Mapping[str, Any], dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """input name -> array, [rows, ...]."""
    rows = document[INSTANCES]
    if not isinstance(rows, list):
        raise json_text.malformed(document, f"Excepting '{INSTANCES}' to be an list/array")
    if not rows:
        raise json_text.malformed(document, f"No values in '{INSTANCES}' array")
    if len(dtypes) > 1 and not isinstance(rows[0], dict):
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns = _columns(rows, dtypes)
    if columns is None:
        bad = _first_bad(rows, lambda part: _columns([rows[0], *part], dtypes) is not None)
        raise _row_error(rows, bad, dtypes)
    return columns


def _columns(rows: Sequence[Any], dtypes: Mapping[str, int]) -> dict[str, np.ndarray] | None:
    """The rows one under the other; None unless all of them are as the dtypes and the first row ask for."""
    if not json_text.is_object(rows[0]):
        parts = {next(iter(dtypes)): rows}
    elif all(isinstance(row, dict) and row.keys() == dtypes.keys() for row in rows):
        parts = {name: [row[name] for row in rows] for name in dtypes}
    else:
        return None
    columns = {}
    for name, part in parts.items():
        array = _stack(part, _shape(part[0]), dtypes[name])
        if array is None:
            return None
        columns[name] = array
    return columns


def _row_error(rows: Sequence[Any], index: int, dtypes: Mapping[str, int]) -> StatusError:
    """Why a row cannot be put under the first one."""
    row, first, named = rows[index], rows[0], json_text.is_object(rows[0])
    if json_text.is_object(row) != named:
        what = "Expecting object but got list" if named else "Expecting value/list but got object"
        return invalid(f"{what} at item {index} of input list")
    values = row if named else {next(iter(dtypes)): row}
    for name, value in values.items():
        try:
            _check_item(name, value, first.get(name, value) if named else first, dtypes)
        except StatusError as error:
            where = f"{index} key: {name}" if named else f"{index}"
            text = f"Failed to process element: {where} of 'instances' list. Error: {error.code.name}: {error.text}"
            return invalid(text)
    return invalid(
        f"Failed to process element: {index} of 'instances' list. JSON object: {json_text.quote(row)} "
        f"keys must be equal to: {','.join(sorted(dtypes))}"
    )


def _check_item(name: str, value: Any, first: Any, dtypes: Mapping[str, int]) -> None:
    """Whether a row's value is a tensor, of the shape that the first row's value has."""
    if name not in dtypes:
        raise invalid(f"JSON object: does not have named input: {name}")
    shape, expected = _shape(value), _shape(first)
    _check(value, shape, dtypes[name])
    if np.prod(shape) != np.prod(expected):
        raise invalid(f"Expecting tensor size: {int(np.prod(expected))} but got: {int(np.prod(shape))}")
    if shape != expected:
        texts = [f"[{','.join(map(str, sizes))}]" for sizes in (expected, shape)]
        raise invalid(f"Expecting shape {texts[0]} but got: {texts[1]}")


def _from_columns(value: Any, dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """input name -> array, of the shape that its JSON has."""
    if not json_text.is_object(value):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(dtypes)): value}
    arrays = {}
    for name, dtype in dtypes.items():
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        shape = _shape(value[name])
        array = _stack([value[name]], shape, dtype)
        if array is None:
            _check(value[name], shape, dtype)
        else:
            arrays[name] = array[0]
    return arrays


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, by the first item of each."""
    sizes: list[int] = []
    while isinstance(value, list):
        sizes.append(len(value))
        if len(sizes) == tensors.MAX_DIMS:
            raise invalid(f"tensor parsing error: lists in {tensors.MAX_DIMS} lists or more are not supported")
        if not value:
            break
        value = value[0]
    return tuple(sizes)


def _stack(values: Sequence[Any], shape: Sequence[int], dtype: int) -> np.ndarray | None:
    """Values as one array, [values, *shape]; None unless each is of exactly this shape and fits the dtype."""
    flat = list(values)
    for size in shape:
        if set(map(type, flat)) != {list} or set(map(len, flat)) != {size}:
            return None
        flat = list(chain.from_iterable(flat))
    array = _leaves(flat, dtype)
    return None if array is None else array.reshape(len(values), *shape)


def _leaves(flat: list[Any], dtype: int) -> np.ndarray | None:
    """Values that are no lists as an array; None unless all of them fit the dtype."""
    rule = _RULES.get(tensors.dtype_name(dtype))
    types = set(map(type, flat))
    if rule is None or not types <= rule.types:
        return None
    if dtype == STRING:
        try:
            strings = [value.encode() if isinstance(value, str) else json_text.from_base64(value) for value in flat]
        except StatusError:
            return None
        array = np.empty(len(flat), object)
        array[:] = strings
        return array
    if int in types:
        integers = flat if len(types) == 1 else [value for value in flat if type(value) is int]
        if min(integers) < rule.low or max(integers) > rule.high:
            return None
    form = BY_ENUM[dtype]
    if form.dtype != np.float32:
        return np.array(flat, form.dtype)
    numbers = np.array(flat, np.float64)
    if (np.isfinite(numbers) & (np.abs(numbers) > json_text.FLOAT_MAX)).any():
        return None
    return numbers.astype(np.float32)


def _check(value: Any, shape: Sequence[int], dtype: int, level: int = 0) -> None:
    """Raise what is wrong with a value that `_stack` does not take.

    Args:
        value: the part of a tensor's JSON at `level`.
        shape: that of the whole tensor.
        dtype: the tensor's.
        level: how many lists the value is in.
    """
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid(
                f"JSON Value: {json_text.quote(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {rank}"
            )
        _check_leaf(value, dtype)
    elif level >= rank:
        raise invalid(f"Encountered list at unexpected level: {level} expected < {rank}")
    elif len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    elif value:
        inner = shape[level + 1 :]
        bad = _first_bad(value, lambda part: _stack(part, inner, dtype) is not None)
        _check(value[bad], shape, dtype, level + 1)


def _check_leaf(value: Any, dtype: int) -> None:
    """Raise what is wrong with a value that does not fit its dtype."""
    if _leaves([value], dtype) is not None:
        return
    name, quoted = tensors.dtype_name(dtype), json_text.quote(value)
    if dtype == STRING and isinstance(value, dict):
        json_text.from_base64(value)
    if name not in _RULES and not isinstance(value, dict):
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {quoted} to type: {name}")
    if name in ("float", "double") and type(value) in (int, float):
        raise json_text.lossy(value, name)
    raise invalid(f"JSON Value: {quoted} Type: {json_text.type_name(value)} is not of expected type: {name}")


def _first_bad(values: Sequence[Any], good: Callable[[Sequence[Any]], bool]) -> int:
    """The index of the first value that is not good; the last one's if the others are."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if good(values[low:middle]):
            low = middle
        else:
            high = middle
    return low
