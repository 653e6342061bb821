"""Ready requests for a model in the store: one command line for curl and one for grpcurl.

The inputs are those of the stored signature, with values from the model's card. This module does not import TensorFlow.
"""

import json
import shlex
from collections.abc import Mapping
from datetime import datetime
from itertools import cycle, islice
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from segue.errors import InputError
from segue.files import read_json
from segue.near_names import check_known
from segue.settings import MODEL_CARD
from serving.client import calls
from serving.protocol import protos

GRPC, REST = "127.0.0.1:8500", "127.0.0.1:8501"
ANSWERS = 10  # items that the request asks for
WIDTH = 3  # entries of a list of open length, e.g. of the history
PREDICT = "tensorflow/serving/predict"
VOCABULARIES = {"candidate_ids": "item_id", "history_items": "item_id", "history_actions": "action"}

_SavedModel = protos.message("tensorflow.SavedModel", "tensorflow/core/protobuf/saved_model.proto")


def example_commands(folder: Path, model: str, label: str, signature: str) -> dict[str, str]:
    """The commands that send a request to a server on this machine with its usual ports.

    Args:
        folder: the folder of the version.
        model: the model's name.
        label: the label of the version.
        signature: the name of a signature that Predict runs.

    Returns:
        `curl` and `grpcurl` -> a line for a shell.

    Raises:
        InputError: the SavedModel cannot be read, or has no such signature.
    """
    card = folder / MODEL_CARD
    inputs = example_inputs(stored_inputs(folder, signature), read_json(card) if card.is_file() else {})
    columns = {name: array.tolist() for name, array in inputs.items()}
    rest = json.dumps({"signature_name": signature, "inputs": columns})
    request = calls.readable_predict(model, inputs, signature, label)
    grpc = json.dumps(json_format.MessageToDict(request, preserving_proto_field_name=True), sort_keys=True)
    path = f"/v1/models/{model}/labels/{quote(label, safe='')}:predict"
    return {
        "curl": f"curl http://{REST}{path} -d {shlex.quote(rest)}",
        "grpcurl": f"grpcurl -plaintext -d {shlex.quote(grpc)} {GRPC} tensorflow.serving.PredictionService/Predict",
    }


def stored_inputs(folder: Path, signature: str) -> dict[str, Any]:
    """The inputs of a signature that Predict runs, as `Client.metadata` lists them, from saved_model.pb.

    Raises:
        InputError: the SavedModel cannot be read, or has no such signature.
    """
    try:
        saved = _SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"The SavedModel in {folder} cannot be read: {error}.", "Push the model again.") from error
    signatures = {
        name: definition
        for graph in saved.meta_graphs
        if list(graph.meta_info_def.tags) == ["serve"]
        for name, definition in graph.signature_def.items()
        if definition.method_name == PREDICT
    }
    check_known("signature", signature, signatures)
    return calls.tensor_specs(signatures[signature].inputs)


def example_inputs(specs: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """One row for each input: known ids, actions and places, the end of the log as the time, and neutral values else.

    Args:
        specs: input name -> `dtype` and `shape`, see `stored_inputs`.
        card: the model's card; empty for a model of others, which gets neutral values only.
    """
    tokens = card.get("axes", {}).get("tokens", {})
    end = card.get("split", {}).get("end")
    seconds = int(datetime.fromisoformat(end).timestamp()) if end else 0
    numbers = {"k": ANSWERS, "length": ANSWERS, "request_ts": seconds, "history_times": seconds}
    inputs = {}
    for name, spec in sorted(specs.items()):
        first, *others = spec["shape"] or [None]
        shape = [first or 1, *(WIDTH if size is None else size for size in others)]
        if spec["dtype"] == "string":
            values = tokens.get(VOCABULARIES.get(name, name)) or [""]
            inputs[name] = np.array(list(islice(cycle(values), prod(shape))), object).reshape(shape)
        else:
            inputs[name] = np.full(shape, numbers.get(name, 0), np.dtype(spec["dtype"]))
    return inputs
