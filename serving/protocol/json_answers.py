"""TF Serving's responses as JSON.

Rules, texts and layout are those of TF Serving's util/json_tensor.cc and model_servers/http_rest_api_handler.cc.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from serving.protocol import json_text, protos, tensors
from serving.protocol.status import invalid

SignatureDefMap = protos.message(
    "tensorflow.serving.SignatureDefMap", "tensorflow_serving/apis/get_model_metadata.proto"
)
# A string output whose name ends so is written in base64.
BYTES = "_bytes"
# The text of an error may hold a name that a request gave, which may be as large as the request.
MAX_ERROR_TEXT = 8_192
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}
_INTEGERS = {np.dtype(name) for name in ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")}


def predictions(outputs: Mapping[str, Any], rows: bool) -> bytes:
    """The JSON of a PredictResponse's outputs.

    Args:
        outputs: output name -> TensorProto.
        rows: one value for each row of the batch; else one tensor for each output.

    Raises:
        StatusError: a dtype that JSON has no value for; or rows, and the outputs have no common batch size.
    """
    arrays = {name: tensors.decode(outputs[name]) for name in sorted(outputs)}
    if not arrays:
        raise invalid("Cannot convert empty tensor map to JSON")
    if rows:
        return _encoded(json_text.fields([("predictions", _row_list(arrays))]))
    if len(arrays) == 1:
        return _encoded(json_text.fields([("outputs", _column(*next(iter(arrays.items())), level=1))]))
    columns = [(name, _column(name, array, level=2)) for name, array in arrays.items()]
    return _encoded(json_text.fields([("outputs", json_text.fields(columns, 1))]))


def classifications(result: Any) -> bytes:
    """The JSON of a ClassificationResult: a list of label and score pairs for each example.

    Raises:
        StatusError: there is none.
    """
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    items = []
    for example in result.classifications:
        labels = [json_text.string(entry.label) for entry in example.classes]
        scores = json_text.decimals(np.array([entry.score for entry in example.classes], np.float32))
        items.append(json_text.line([json_text.line(pair) for pair in zip(labels, scores, strict=True)]))
    return _encoded(json_text.fields([("results", json_text.broken_line(items, 1))]))


def regressions(result: Any) -> bytes:
    """The JSON of a RegressionResult: a number for each example.

    Raises:
        StatusError: there is none.
    """
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    values = np.array([entry.value for entry in result.regressions], np.float32)
    return _encoded(json_text.fields([("results", json_text.line(json_text.decimals(values)))]))


def status(response: Message) -> bytes:
    """The JSON of a GetModelStatusResponse."""
    return _encoded(_proto(response))


def metadata(response: Any) -> bytes:
    """The JSON of a GetModelMetadataResponse."""
    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec, definitions = _proto(response.model_spec), _proto(signatures)
    return _encoded(f'{{\n"model_spec":{spec},\n"metadata": {{"signature_def": {definitions}}}\n}}\n')


def error(text: str) -> bytes:
    """The JSON of a failed request, its text cut at `MAX_ERROR_TEXT` characters."""
    if len(text) > MAX_ERROR_TEXT:
        text = f"{text[:MAX_ERROR_TEXT]}..."
    return _encoded(json_text.fields([("error", json_text.string(text))]))


def _row_list(arrays: Mapping[str, np.ndarray]) -> str:
    """The rows of all outputs as one list: of values, or of objects where there are several outputs."""
    size = None
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size is not None and len(array) != size:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    if len(arrays) == 1:
        return json_text.broken_line(_rows(*next(iter(arrays.items())), level=2), 1)
    columns = [_rows(name, array, level=3) for name, array in arrays.items()]
    rows = [json_text.fields(list(zip(arrays, row, strict=True)), 2) for row in zip(*columns, strict=True)]
    return json_text.array(rows, 1)


def _rows(name: str, array: np.ndarray, level: int) -> list[str]:
    """The text of each row of an output, its lists on one line; `level` is how many brackets a row is in."""
    texts = _values(name, array, level + array.ndim - 1)
    for depth in reversed(range(1, array.ndim)):
        texts = [json_text.line(part) for part in _parts(texts, array.shape, depth)]
    return texts


def _column(name: str, array: np.ndarray, level: int) -> str:
    """The text of an output, its lists over several lines; `level` is how many brackets it is in."""
    texts = _values(name, array, level + array.ndim)
    for depth in reversed(range(array.ndim)):
        texts = [json_text.array(part, level + depth) for part in _parts(texts, array.shape, depth)]
    return texts[0]


def _parts(texts: Sequence[str], shape: tuple[int, ...], depth: int) -> list[Sequence[str]]:
    """What each list at a depth of a tensor holds."""
    size = shape[depth]
    return [texts[index * size : (index + 1) * size] for index in range(math.prod(shape[:depth]))]


def _values(name: str, array: np.ndarray, level: int) -> list[str]:
    """The text of every value of an output, flat; `level` is how many brackets a value is in."""
    flat = array.ravel()
    if array.dtype in _FLOATS:
        return json_text.decimals(flat)
    if array.dtype in _INTEGERS:
        return [str(value) for value in flat.tolist()]
    if array.dtype == bool:
        return ["true" if value else "false" for value in flat.tolist()]
    if array.dtype != object:
        dtype = tensors.dtype_name(tensors.encode(array[..., :0] if array.ndim else array).dtype)
        raise invalid(f"Failed to write JSON value for tensor type: {dtype}")
    if name.endswith(BYTES):
        return [json_text.fields([("b64", f'"{base64.b64encode(value).decode()}"')], level) for value in flat]
    # Bytes that are no UTF-8 go out as they are, as from TF Serving.
    return [json_text.string(value.decode(errors="surrogateescape")) for value in flat]


def _proto(message: Message) -> str:
    """A message as protobuf's C++ printer lays it out, with the default of every field that has one."""
    plain = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(plain, indent=1) + "\n"


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
