"""TF Serving's responses as JSON documents.

Rules and error texts are those of TF Serving's util/json_tensor.cc and model_servers/http_rest_api_handler.cc.
White space and the digits of numbers are our own: clients parse both.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from serving.protocol import json_text, protos, tensors
from serving.protocol.status import invalid

SignatureDefMap = protos.message(
    "tensorflow.serving.SignatureDefMap", "tensorflow_serving/apis/get_model_metadata.proto"
)
BYTES_SUFFIX = "_bytes"  # a string output of such a name is written in base64
# The text of an error may hold a name from the request, which may be as large as the request.
MAX_ERROR_TEXT = 8_192
_NUMBERS = {"bool", "float32", "float64", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"}


def predictions(outputs: Mapping[str, Any], rows: bool) -> bytes:
    """The JSON of a PredictResponse's outputs.

    Args:
        outputs: output name -> TensorProto.
        rows: write one value for each row of the batch, `{"predictions": [...]}`; else one tensor for each output,
            `{"outputs": ...}`. With a single output its name is left out.

    Raises:
        StatusError: there is no output; JSON has no value for a dtype; or `rows` is set and the outputs have no
            common batch size.
    """
    arrays = {name: tensors.decode(outputs[name]) for name in sorted(outputs)}
    if not arrays:
        raise invalid("Cannot convert empty tensor map to JSON")
    if rows:
        _check_batch(arrays)
    values = {name: _json_values(name, array) for name, array in arrays.items()}
    document: Any = values
    if len(values) == 1:
        (document,) = values.values()
    elif rows:
        document = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json_text.dumps({"predictions" if rows else "outputs": document})


def classifications(result: Any) -> bytes:
    """The JSON of a ClassificationResult: for each example a list of label and score pairs.

    Raises:
        StatusError: the result has no examples.
    """
    if not result.classifications:
        raise invalid("Cannot convert empty ClassificationResults to JSON")
    pairs = [
        [(entry.label, np.float32(entry.score)) for entry in example.classes] for example in result.classifications
    ]
    return json_text.dumps({"results": pairs})


def regressions(result: Any) -> bytes:
    """The JSON of a RegressionResult: one number for each example.

    Raises:
        StatusError: the result has no examples.
    """
    if not result.regressions:
        raise invalid("Cannot convert empty RegressionResults to JSON")
    return json_text.dumps({"results": np.array([entry.value for entry in result.regressions], np.float32)})


def status(response: Message) -> bytes:
    """The JSON of a GetModelStatusResponse."""
    return _indented(_message(response))


def metadata(response: Any) -> bytes:
    """The JSON of a GetModelMetadataResponse."""
    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return _indented({"model_spec": _message(response.model_spec), "metadata": {"signature_def": _message(signatures)}})


def error(text: str) -> bytes:
    """The JSON of a failed request; a text above `MAX_ERROR_TEXT` characters is cut."""
    if len(text) > MAX_ERROR_TEXT:
        text = f"{text[:MAX_ERROR_TEXT]}..."
    return json_text.dumps({"error": text})


def _check_batch(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise unless all outputs have the same number of rows."""
    size = None
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size is not None and len(array) != size:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)


def _json_values(name: str, array: np.ndarray) -> Any:
    """An output as `json_text.dumps` takes it: an array or number of numpy, or text in nested lists."""
    if array.dtype.name in _NUMBERS:
        return array[()]  # a scalar if the array has no dimensions
    if array.dtype != object:
        dtype = tensors.dtype_name(tensors.encode(array[..., :0] if array.ndim else array).dtype)
        raise invalid(f"Failed to write JSON value for tensor type: {dtype}")
    values = np.empty(array.size, object)
    if name.endswith(BYTES_SUFFIX):
        values[:] = [{"b64": base64.b64encode(value).decode()} for value in array.flat]
    else:
        values[:] = [value.decode(errors="surrogateescape") for value in array.flat]
    return values.reshape(array.shape).tolist()


def _message(message: Message) -> dict[str, Any]:
    """A message as TF Serving shows it: fields by their names in the .proto, defaults included."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _indented(document: Any) -> bytes:
    """A document as indented JSON: people read status and metadata with curl."""
    return f"{json.dumps(document, indent=1)}\n".encode()
