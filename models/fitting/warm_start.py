"""A newly built model that starts from what the champion has learned."""

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

ROOT = "model"  # the attribute under which an exported module keeps its model
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"

Outcome = dict[str, list[str]]


def warm_start(model: Model, saved_model: Path) -> Outcome:
    """Initialise a model's trainable weights from a SavedModel of the same kind.

    Weights are matched by the attributes that lead to them from the model, as checkpoints are, not by
    their names. An embedding over a vocabulary is copied token by token; a new token starts from the
    out-of-vocabulary row that has served it so far. A weight that the SavedModel lacks, or that has
    another shape there, stays as initialised.

    Args:
        model: its weights are made (`models.fitting.loop.create_weights`). `encoder.lookups` holds its
            vocabularies by name; `vocabulary_embeddings()` says which variables have one row for
            each row of which lookup.
        saved_model: the champion's folder, as `models.saved.saved_model.save` wrote it.

    Returns:
        The weights by what became of them: `copied`, `partly_copied` (some rows are new tokens' or
        stay as initialised), `left`.

    Raises:
        InputError: the folder is no SavedModel of ours.
    """
    reader, graph, tokens = open_saved_model(Path(saved_model))
    vocabularies = {id(v): name for name, found in model.vocabulary_embeddings().items() for v in found}
    done: Outcome = {"copied": [], "partly_copied": [], "left": []}
    for name, variable, key in pair_weights(model, graph):
        saved = reader.get_tensor(key) if key else None
        vocabulary = vocabularies.get(id(variable))
        if saved is None:
            outcome = "left"
        elif vocabulary is not None:
            outcome = copy_rows(variable, saved, model.encoder.lookups[vocabulary], tokens.get(vocabulary, []))
        else:
            outcome = copy_whole(variable, saved)
        done[outcome].append(name)
    return done


def open_saved_model(path: Path) -> tuple:
    """The reader of a SavedModel's weights, the graph of the objects that hold them, and its vocabularies.

    Raises:
        InputError: the folder is no SavedModel of ours.
    """
    try:
        tokens = read_json(path / CARD)["axes"]["tokens"]
        reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    except (OSError, ValueError, tf.errors.OpError):
        raise InputError(
            f"A model starts warm from a SavedModel with weights and {CARD}; {path} lacks them.",
            "Give the folder of a pushed version, or train without a champion.",
        ) from None
    return reader, TrackableObjectGraph.FromString(reader.get_tensor(GRAPH)), tokens


def pair_weights(model: Model, graph: TrackableObjectGraph) -> Iterator[tuple[str, tf.Variable, str | None]]:
    """Walk a model and a saved one side by side, along the attributes of the same names.

    Yields:
        Each trainable weight once: its path, itself, and the saved one's key, None if there is none.
    """
    children = tf.train.TrackableView(model).children
    seen: set[int] = set()
    pending: deque[tuple[tuple[str, ...], Any, int | None]] = deque([((), model, saved_child(graph, 0, ROOT))])
    while pending:
        path, found, node = pending.popleft()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, tf.Variable) and found.trainable:
            yield "/".join(path), found, saved_key(graph, node)
        for name, child in children(found).items():
            pending.append(((*path, name), child, saved_child(graph, node, name)))


def saved_child(graph: TrackableObjectGraph, node: int | None, name: str) -> int | None:
    """The saved object under an attribute of another; None if there is none."""
    if node is None:
        return None
    return next((child.node_id for child in graph.nodes[node].children if child.local_name == name), None)


def saved_key(graph: TrackableObjectGraph, node: int | None) -> str | None:
    """Under which key a saved variable's value is found; None if there is none."""
    if node is None:
        return None
    return next((a.checkpoint_key for a in graph.nodes[node].attributes if a.name == VALUE), None)


def copy_whole(variable: tf.Variable, saved: np.ndarray) -> str:
    """Copy a weight of the same shape; what became of it."""
    if saved.shape != tuple(variable.shape):
        return "left"
    variable.assign(saved)
    return "copied"


def copy_rows(variable: tf.Variable, saved: np.ndarray, lookup: Lookup, tokens: list[str]) -> str:
    """Copy an embedding by token; what became of it.

    Args:
        variable: one row for each row of `lookup`.
        saved: one row for each row of the champion's lookup; its rows beyond padding and tokens are
            the out-of-vocabulary ones.
        lookup: the model's vocabulary.
        tokens: the champion's.
    """
    buckets = len(saved) - Lookup(tokens, 0).size
    if saved.shape[1:] != tuple(variable.shape[1:]) or buckets < 1:
        return "left"
    sources = Lookup(tokens, buckets)(tf.constant(lookup.tokens, tf.string)).numpy()
    values = variable.numpy()
    values[PADDING] = saved[PADDING]
    if buckets == lookup.buckets:  # otherwise ids fall into other rows than they did
        values[: 1 + buckets] = saved[: 1 + buckets]
    values[1 + lookup.buckets :][: len(sources)] = saved[sources]
    variable.assign(values)
    whole = buckets == lookup.buckets and bool((sources > buckets).all())
    return "copied" if whole else "partly_copied"
