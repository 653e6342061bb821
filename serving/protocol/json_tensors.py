"""JSON as the tensors of a PredictRequest.

Rules and error texts are those of TF Serving's util/json_tensor.cc, with one exception: an integer that does not fit
an input of 8 or 16 bits is an error here, while TF Serving silently cuts it.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode

from serving.protocol import json_text, tensors
from serving.protocol.dtypes import BY_ENUM
from serving.protocol.status import StatusError, invalid

SIGNATURE, INSTANCES, INPUTS = "signature_name", "instances", "inputs"


class _Rule(NamedTuple):
    """The JSON values that an input's dtype takes: of these types, and integers from `low` to `high`."""

    types: set[type]
    low: int = 0
    high: int = 0


# By TensorFlow's names of the dtypes; TF Serving reads no other dtype from JSON.
_RULES = {
    "bool": _Rule({bool}),
    "string": _Rule({str, dict}),
    # Some larger integers have no float of the same value.
    "float": _Rule({int, float}, 1 - 2**24, 2**24 - 1),
    "double": _Rule({int, float}, 1 - 2**53, 2**53 - 1),
    **{
        name: _Rule({int}, int(np.iinfo(name).min), int(np.iinfo(name).max))
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")
    },
}


class _Misfit(StatusError):
    """The error of a value that is not a tensor of its input.

    Args:
        index: the position in the stacked values of the value at fault.
    """

    def __init__(self, index: int, text: str, code: StatusCode = StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(code, text)
        self.index = index


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names; empty for the default one.

    Raises:
        StatusError: the name is not a string.
    """
    name = document.get(SIGNATURE, "")
    if not isinstance(name, str):
        raise json_text.malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def fill(document: Mapping[str, Any], inputs: Mapping[str, tuple[str, int]], message: Any) -> bool:
    """Fill the tensors of a PredictRequest.

    Args:
        document: the request's JSON: rows, e.g. `{"instances": [{"x": 1}, {"x": 2}]}`, or columns, e.g.
            `{"inputs": {"x": [1, 2]}}`. With a single input its name may be left out.
        inputs: input name -> its tensor's name and `DataType`, as the signature declares them.
        message: the PredictRequest, its `signature_name` set.

    Returns:
        Whether the request is in rows; the answer has the same form.

    Raises:
        StatusError: the document breaks a rule; code and text are TF Serving's.
    """
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {message.model_spec.signature_name or 'DEFAULT'}")
    dtypes = {name: dtype for name, (_, dtype) in inputs.items()}
    rows = INSTANCES in document
    if rows and INPUTS in document:
        text = f"Not formatted correctly expecting only one of '{INPUTS}' or '{INSTANCES}' keys to exist "
        raise json_text.malformed(document, text)
    if not rows and INPUTS not in document:
        raise invalid(f"Missing '{INPUTS}' or '{INSTANCES}' key")
    arrays = _from_rows(document, dtypes) if rows else _from_columns(document[INPUTS], dtypes)
    for name, array in arrays.items():
        message.inputs[name].CopyFrom(tensors.encode(array, as_content=True))
    return rows


def _from_rows(document: Mapping[str, Any], dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The inputs of a request in rows: input name -> array, [rows, ...]."""
    rows = document[INSTANCES]
    if not isinstance(rows, list):
        raise json_text.malformed(document, f"Excepting '{INSTANCES}' to be an list/array")
    if not rows:
        raise json_text.malformed(document, f"No values in '{INSTANCES}' array")
    named = json_text.is_object(rows[0])
    if len(dtypes) > 1 and not named:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if not named:
        return {name: _stack_rows(rows, dtype, "") for name, dtype in dtypes.items()}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        if row.keys() != dtypes.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {json_text.quote(row)} "
                f"keys must be equal to: {','.join(sorted(dtypes))}"
            )
    return {name: _stack_rows([row[name] for row in rows], dtype, f" key: {name}") for name, dtype in dtypes.items()}


def _stack_rows(values: list[Any], dtype: int, key: str) -> np.ndarray:
    """The values of one input in all rows as one array; an error names the row."""
    try:
        return _stack(values, dtype)
    except _Misfit as misfit:
        text = f"Failed to process element: {misfit.index}{key} of 'instances' list. "
        raise invalid(f"{text}Error: {misfit.code.name}: {misfit.text}") from None


def _from_columns(columns: Any, dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """The inputs of a request in columns: input name -> array, of the shape of its nested lists."""
    if not json_text.is_object(columns):
        if len(dtypes) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        columns = {next(iter(dtypes)): columns}
    for name in dtypes:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _stack([columns[name]], dtype)[0] for name, dtype in dtypes.items()}


def _stack(values: list[Any], dtype: int) -> np.ndarray:
    """Values as one array, [values, *shape of the first value].

    Raises:
        _Misfit: a value has another shape than the others, or does not fit the dtype.
    """
    dtype_name = tensors.dtype_name(dtype)
    if dtype_name not in _RULES:
        text = f"Conversion of JSON Value: {json_text.quote(values[0])} to type: {dtype_name}"
        raise _Misfit(0, text, StatusCode.UNIMPLEMENTED)
    # numpy makes dimensions of nested lists while all lists of a level have the same size; deeper lists stay lists.
    nested = np.array(values, object)
    items = nested.ravel().tolist()
    try:
        if list in (types := set(map(type, items))):
            raise _uneven(items, nested.ndim - 1)
        _check_types(items, types, dtype_name)
        if dtype_name == "string":
            return np.array(_strings(items), object).reshape(nested.shape)
        with np.errstate(over="ignore"):
            array = nested.astype(BY_ENUM[dtype].dtype)
        for index in np.flatnonzero(np.isinf(array)).tolist():
            if math.isfinite(items[index]):
                raise _lossy(index, items[index], dtype_name)
        return array
    except _Misfit as misfit:
        misfit.index = misfit.index * len(values) // len(items)
        raise


def _check_types(items: list[Any], types: set[type], dtype_name: str) -> None:
    """Raise unless all items are of the types and in the integer range that a dtype takes."""
    rule = _RULES[dtype_name]
    if not types <= rule.types:
        index = next(index for index, item in enumerate(items) if type(item) not in rule.types)
        raise _not_of_type(index, items[index], dtype_name)
    if int in types:
        integers = items if len(types) == 1 else [item for item in items if type(item) is int]
        if min(integers) < rule.low or max(integers) > rule.high:
            is_outside = (type(item) is int and not rule.low <= item <= rule.high for item in items)
            index = list(is_outside).index(True)
            misfit = _lossy if float in rule.types else _not_of_type
            raise misfit(index, items[index], dtype_name)


def _strings(items: list[Any]) -> list[bytes]:
    """The bytes of texts, and of objects that stand for bytes."""
    strings: list[bytes] = []
    try:
        for item in items:
            strings.append(item.encode() if isinstance(item, str) else json_text.from_base64(item))
    except StatusError as error:
        raise _Misfit(len(strings), error.text) from None
    return strings


def _uneven(items: list[Any], level: int) -> _Misfit:
    """The error of the first of some lists and values at a level that is not like those before it."""
    sizes = [len(item) if isinstance(item, list) else None for item in items]
    index = next((index for index, size in enumerate(sizes) if size != sizes[0]), 0)
    if not index:  # all are lists of one size, but numpy has no more dimensions for them
        text = f"tensor parsing error: lists in {tensors.MAX_DIMS} lists or more are not supported"
    elif sizes[0] is None:
        text = f"Encountered list at unexpected level: {level} expected < {level}"
    elif sizes[index] is None:
        quoted = json_text.quote(items[index])
        text = f"JSON Value: {quoted} found at incorrect level: {level + 1} in the JSON DOM. Expected a list"
    else:
        text = f"Encountered list at unexpected size: {sizes[index]} at level: {level} expected size: {sizes[0]}"
    return _Misfit(index, text)


def _not_of_type(index: int, value: Any, name: str) -> _Misfit:
    """The error of a value that is not of the JSON type or range of a dtype."""
    text = f"Type: {json_text.type_name(value)} is not of expected type: {name}"
    return _Misfit(index, f"JSON Value: {json_text.quote(value)} {text}")


def _lossy(index: int, value: float, name: str) -> _Misfit:
    """The error of a number that `float` or `double` does not hold."""
    return _Misfit(index, json_text.lossy_text(value, name))
