"""JSON as the `tf.Example`s of a ClassificationRequest or RegressionRequest.

Rules and error texts are those of TF Serving's util/json_tensor.cc.
"""

import math
from collections.abc import Mapping
from typing import Any

from serving.protocol import json_text
from serving.protocol.status import invalid

CONTEXT, EXAMPLES = "context", "examples"
# JSON type -> the list of a tf.Example's feature that holds values of the type
_LISTS = {bool: "int64", int: "int64", float: "float", str: "bytes", dict: "bytes"}


def fill(document: Mapping[str, Any], message: Any) -> None:
    """Fill the `Input` of a ClassificationRequest or RegressionRequest with examples, and a context if there is one.

    Args:
        document: the request's JSON, e.g. `{"context": {"country": "SE"}, "examples": [{"age": 5}, {"age": [6]}]}`.
        message: the empty `Input`.

    Raises:
        StatusError: the document breaks a rule; code and text are TF Serving's.
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
    for features in document[EXAMPLES]:
        _fill_example(features, batch.examples.add())


def _fill_example(features: Any, example: Any) -> None:
    """Put an object of feature name -> value or list of values into a `tf.Example`."""
    if not isinstance(features, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_text.type_name(features)}")
    for name, values in features.items():
        _fill_feature(name, values if isinstance(values, list) else [values], example.features.feature[name])


def _fill_feature(name: str, values: list[Any], feature: Any) -> None:
    """Put values into the list of a feature that the first value's type names; the others must be of that type."""
    list_name = _LISTS.get(type(values[0]), "") if values else ""
    for value in values:
        value_list = _LISTS.get(type(value), "")
        if not value_list or json_text.is_object(value):
            raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_text.type_name(value)}")
        if value_list != list_name:
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {list_name}")
        if value_list == "int64" and value >= 2**63:
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        if value_list == "float" and json_text.FLOAT32_OVERFLOW <= abs(value) < math.inf:
            raise invalid(json_text.lossy_text(value, "float"))
    if list_name == "bytes":
        values = [value.encode() if isinstance(value, str) else json_text.from_base64(value) for value in values]
    if list_name:
        getattr(feature, f"{list_name}_list").value.extend(values)
