"""Features as the input arrays of a served model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Input name -> `dtype` and `shape`, as `Client.metadata` lists the inputs of a signature.
Signature = Mapping[str, Mapping[str, Any]]


def model_inputs(features: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """One listener's features as a batch of one row, in the dtypes and widths of a signature.

    Args:
        features: values by name; a feature that is missing or None becomes '' or 0.
        signature: the inputs to make; other features are left out.

    Returns:
        Arrays `[1]`, `[1, width]`, or `[1, n]` for lists of open width.
    """
    inputs = {}
    for name, spec in signature.items():
        dtype = object if spec["dtype"] == "string" else np.dtype(spec["dtype"])
        empty = "" if dtype is object else 0
        value = features.get(name)
        if len(spec["shape"]) == 2:
            width = spec["shape"][1] or 1
            value = [empty] * width if value is None or len(value) == 0 else value
        elif value is None:
            value = empty
        inputs[name] = np.array([value], dtype=dtype)
    return inputs
