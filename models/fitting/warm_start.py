"""Warm start: initialise a new model from the weights of the champion."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from models.fitting.loop import Model
from models.inputs.vocabulary import PADDING, Lookup
from models.saved.card import CARD
from segue.errors import InputError
from segue.files import read_json

ROOT = "model"  # the attribute of an exported module that holds its model
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"

Outcome = dict[str, list[str]]


def warm_start(model: Model, saved_model: Path) -> Outcome:
    """Initialise a model's trainable weights from a SavedModel of the same kind.

    Weights are matched by the path of attributes that leads to them, as in checkpoints, instead of by name. An
    embedding over a vocabulary is copied token by token; a new token starts from the out-of-vocabulary row that the
    champion used for it. A weight that the SavedModel lacks, or holds in another shape, keeps its initial value.

    `tf.train.Checkpoint.restore` does the same for whole weights, but an embedding whose vocabulary changed has another
    shape or order.

    Args:
        model: a model whose weights exist (`models.fitting.loop.create_weights`). `encoder.lookups` holds its
            vocabularies by name; `vocabulary_embeddings()` lists the variables with a row for each row of a lookup.
        saved_model: the champion's folder, as `models.saved.saved_model.save` wrote it.

    Returns:
        Paths of the weights by outcome: `copied`, `partly_copied` (some rows belong to new tokens or keep their initial
        values) and `left` (all values are initial).

    Raises:
        InputError: the folder is not a SavedModel that Segue exported.
    """
    reader, graph, tokens = open_saved_model(Path(saved_model))
    vocabularies = {id(v): name for name, variables in model.vocabulary_embeddings().items() for v in variables}
    outcomes: Outcome = {"copied": [], "partly_copied": [], "left": []}
    for name, variable, key in pair_weights(model, graph):
        saved = reader.get_tensor(key) if key else None
        vocabulary = vocabularies.get(id(variable))
        if saved is None:
            outcome = "left"
        elif vocabulary is not None:
            outcome = copy_rows(variable, saved, model.encoder.lookups[vocabulary], tokens.get(vocabulary, []))
        else:
            outcome = copy_whole(variable, saved)
        outcomes[outcome].append(name)
    return outcomes


def open_saved_model(path: Path) -> tuple:
    """A reader of a SavedModel's weights, the graph of the objects that hold them, and its vocabularies.

    Raises:
        InputError: the folder is not a SavedModel that Segue exported.
    """
    try:
        tokens = read_json(path / CARD)["axes"]["tokens"]
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    except (OSError, ValueError, tf.errors.OpError):
        raise InputError(
            f"A warm start needs a SavedModel with weights and {CARD}; {path} lacks them.",
            "Give the folder of a pushed version, or train without a champion.",
        ) from None
    return reader, TrackableObjectGraph.FromString(reader.get_tensor(GRAPH)), tokens


def pair_weights(model: Model, graph: TrackableObjectGraph) -> Iterator[tuple[str, tf.Variable, str | None]]:
    """Walk a model and a saved model in parallel, along attributes of the same names.

    Yields:
        Each trainable weight once: its path, the variable, and the key of the saved weight (None if there is none).
    """
    children = tf.train.TrackableView(model).children
    seen: set[int] = set()
    pending: deque[tuple[tuple[str, ...], Any, int | None]] = deque([((), model, saved_child(graph, 0, ROOT))])
    while pending:
        path, trackable, node = pending.popleft()
        if id(trackable) in seen:
            continue
        seen.add(id(trackable))
        if isinstance(trackable, tf.Variable) and trackable.trainable:
            yield "/".join(path), trackable, saved_key(graph, node)
        for name, child in children(trackable).items():
            pending.append(((*path, name), child, saved_child(graph, node, name)))


def saved_child(graph: TrackableObjectGraph, node: int | None, name: str) -> int | None:
    """The node of an attribute of a saved object; None if there is none."""
    if node is None:
        return None
    return next((child.node_id for child in graph.nodes[node].children if child.local_name == name), None)


def saved_key(graph: TrackableObjectGraph, node: int | None) -> str | None:
    """The key of a saved variable's value; None if there is none."""
    if node is None:
        return None
    return next((a.checkpoint_key for a in graph.nodes[node].attributes if a.name == VALUE), None)


def copy_whole(variable: tf.Variable, saved: np.ndarray) -> str:
    """Copy a weight if the shapes agree; return the outcome."""
    if saved.shape != tuple(variable.shape):
        return "left"
    variable.assign(saved)
    return "copied"


def copy_rows(variable: tf.Variable, saved: np.ndarray, lookup: Lookup, tokens: list[str]) -> str:
    """Copy an embedding token by token; return the outcome.

    Args:
        variable: an embedding with a row for each row of `lookup`.
        saved: the champion's embedding, with a row for each row of its lookup: padding, out-of-vocabulary buckets,
            tokens.
        lookup: the model's vocabulary.
        tokens: the champion's tokens.
    """
    buckets = len(saved) - Lookup(tokens, 0).size
    if saved.shape[1:] != tuple(variable.shape[1:]) or buckets < 1:
        return "left"
    sources = Lookup(tokens, buckets)(tf.constant(lookup.tokens, tf.string)).numpy()
    values = variable.numpy()
    values[PADDING] = saved[PADDING]
    if buckets == lookup.buckets:  # with another number of buckets an id hashes to another row
        values[: 1 + buckets] = saved[: 1 + buckets]
    values[1 + lookup.buckets :][: len(sources)] = saved[sources]
    variable.assign(values)
    whole = buckets == lookup.buckets and bool((sources > buckets).all())
    return "copied" if whole else "partly_copied"
