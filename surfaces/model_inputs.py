"""Features as the input arrays of a served model, and the ids of its answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Input name -> `dtype` and `shape`, as `Client.metadata` lists the inputs of a signature.
Signature = Mapping[str, Mapping[str, Any]]


def model_inputs(
    features: Mapping[str, Any] | Sequence[Mapping[str, Any]], signature: Signature
) -> dict[str, np.ndarray]:
    """Features as a batch, in the dtypes and widths of a signature.

    Args:
        features: values by name, of one row or of several; a feature that is missing or None becomes '' or 0.
        signature: the inputs to make; other features are left out.

    Returns:
        Arrays `[rows]`, `[rows, width]`, or `[rows, n]` for lists of open width: shorter lists end in '' or 0. What
        exceeds a width is left out: a vector of shares may have entries that are younger than the model.
    """
    rows = [features] if isinstance(features, Mapping) else features
    inputs = {}
    for name, spec in signature.items():
        dtype = object if spec["dtype"] == "string" else np.dtype(spec["dtype"])
        empty = "" if dtype is object else 0
        values = [row.get(name) for row in rows]
        if len(spec["shape"]) == 2:
            lists = [() if value is None else value for value in values]
            width = spec["shape"][1] or max(1, *(len(one) for one in lists))
            array = np.full((len(rows), width), empty, dtype)
            for row, one in enumerate(lists):
                array[row, : len(one)] = one[:width]
            inputs[name] = array
        else:
            inputs[name] = np.array([empty if value is None else value for value in values], dtype)
    return inputs


def item_ids(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The item ids of a model's answer, str of the shape of `outputs["item_ids"]`; '' fills it. Ids are UTF-8."""
    ids = outputs["item_ids"]
    decoded = np.array([item.decode() for item in ids.ravel().tolist()], str)  # a tenth of the time of `np.char.decode`
    return decoded.reshape(ids.shape)
