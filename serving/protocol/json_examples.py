"""JSON as the `tf.Example`s of a ClassificationRequest or RegressionRequest.

Rules and texts are those of TF Serving's util/json_tensor.cc.
"""

import math
from collections.abc import Mapping
from typing import Any

from serving.protocol import json_text
from serving.protocol.status import invalid

CONTEXT, EXAMPLES = "context", "examples"
# JSON type -> the list of a tf.Example's feature that holds its values
_KINDS = {bool: "int64", int: "int64", float: "float", str: "bytes", dict: "bytes"}


def fill(document: Mapping[str, Any], message: Any) -> None:
    """Fill the `Input` of a ClassificationRequest or RegressionRequest: examples, and a context if there is one.

    Raises:
        StatusError: as TF Serving answers it.
    """
    batch = message.example_list
    if CONTEXT in document:
        batch = message.example_list_with_context
        batch.context.SetInParent()
        _fill_example(document[CONTEXT], batch.context)
    if EXAMPLES not in document:
        raise json_text.malformed(document, f"When method is classify, key '{EXAMPLES}' is expected and was not found")
    if not isinstance(document[EXAMPLES], list):
        raise json_text.malformed(document, f"Expecting '{EXAMPLES}' value to be an list/array")
    if not document[EXAMPLES]:
        raise json_text.malformed(document, f"'{EXAMPLES}' value is an empty array")
    for value in document[EXAMPLES]:
        _fill_example(value, batch.examples.add())


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_text.type_name(value)}")
    for name, content in value.items():
        _fill_feature(name, content if isinstance(content, list) else [content], example.features.feature[name])


def _fill_feature(name: str, values: list[Any], feature: Any) -> None:
    """Put values into a feature's list; the first one's kind holds for all."""
    kind = ""
    for value in values:
        found = _KINDS.get(type(value), "")
        if not found or (isinstance(value, dict) and json_text.is_object(value)):
            raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_text.type_name(value)}")
        if kind and found != kind:
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {kind}")
        if found == "int64" and value >= 2**63:
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        if found == "float" and json_text.FLOAT_MAX < abs(value) < math.inf:
            raise json_text.lossy(value, "float")
        kind = found
    if kind == "bytes":
        values = [value.encode() if isinstance(value, str) else json_text.from_base64(value) for value in values]
    if kind:
        getattr(feature, f"{kind}_list").value.extend(values)
