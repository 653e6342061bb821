"""Writing a module as a SavedModel with its card, and calling its signatures.

A SavedModel holds everything that serving needs; its signatures are the contract with the clients.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from tf_keras.src.saving.legacy.saved_model.utils import keras_option_scope

from models.graph_function import graph_function
from models.inputs.encoder import Encoder
from models.inputs.shards import Arrays
from models.inputs.towers import ItemEncoder
from models.saved.card import CARD, FORMAT
from segue.files import write_json

BLOCK = 8192  # rows that are embedded at once


class EncodedModel(Protocol):
    """A model that keeps the encoder of its inputs."""

    encoder: Encoder


class ItemModel(EncodedModel, Protocol):
    """A model that embeds items."""

    items: ItemEncoder


class Served(Protocol):
    """A module that serves a model."""

    @property
    def model(self) -> EncodedModel:
        """The model."""


def static_vectors(model: ItemModel) -> np.ndarray:
    """Embed all rows of the catalogue by `ItemEncoder.static`, float32 `[rows, dim]`; row 0 and free rows are zeros."""
    rows = np.arange(model.encoder.catalogue.release_ts.shape[0], dtype=np.int32)
    rows[1 + len(model.encoder.catalogue.ids) :] = 0
    embed = graph_function(lambda block: model.items.distinct([block])[0], reduce_retracing=True)
    return np.concatenate([embed(rows[start : start + BLOCK]).numpy() for start in range(0, len(rows), BLOCK)])


def save(module: Served, signatures: dict, card: dict, path: Path) -> None:
    """Write a module as a SavedModel with its card.

    Args:
        module: a `tf.Module` whose `model` keeps its encoder; warm starts find the weights under that name.
        signatures: concrete functions by name.
        card: lineage and settings; the format, the axes and the markets are added.
        path: a folder that does not exist yet.
    """
    tf.get_logger().setLevel("ERROR")  # hides Keras's warning that it cannot rebuild its layers, which nothing needs
    with keras_option_scope(save_traces=False):  # else Keras traces and stores the functions of each layer as well
        tf.saved_model.save(module, str(path), signatures=signatures)
    encoder = module.model.encoder
    write_json(
        Path(path) / CARD,
        {**card, "format": FORMAT, "axes": encoder.axes.to_dict(), "markets": encoder.catalogue.markets},
    )


def call(signature, arrays: Arrays) -> Arrays:
    """Call a loaded signature with arrays by name and return its outputs as arrays; strings are object arrays."""
    outputs = signature(**{name: tf.constant(value) for name, value in arrays.items()})
    return {name: value.numpy() for name, value in outputs.items()}
