"""Load a SavedModel and run it through TensorFlow's C session.

`tf.compat.v1.saved_model.load` loads the models of TF1 and TF2, whereas `tf.saved_model.load` refuses some TF1 models.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2

from serving.protocol.status import CODES, StatusError

# Each selection of outputs needs a callable of its own. Clients select outputs freely, so the number has a limit.
MAX_CALLABLES = 64


@dataclass(frozen=True)
class Parallelism:
    """TensorFlow's threads within an operation and between operations; 0 lets TensorFlow choose the number."""

    intra_op: int = 0
    inter_op: int = 0


@dataclass(frozen=True)
class Signature:
    """A `SignatureDef` with the tensor names and types that every request needs, computed once at the load.

    Attributes:
        proto: the `SignatureDef`.
        inputs: input name -> name and `DataType` of its tensor, sorted by input name.
        outputs: output name -> name and `DataType` of its tensor, sorted by output name.
        feeds: the tensor names of all inputs.
        fetches: the tensor names of all outputs.
    """

    proto: Any
    inputs: Mapping[str, tuple[str, int]]
    outputs: Mapping[str, tuple[str, int]]
    feeds: tuple[str, ...]
    fetches: tuple[str, ...]

    @classmethod
    def of(cls, proto: Any) -> "Signature":
        """The signature that a `SignatureDef` describes."""
        inputs, outputs = (
            {alias: (infos[alias].name, infos[alias].dtype) for alias in sorted(infos)}
            for infos in (proto.inputs, proto.outputs)
        )
        feeds, fetches = (tuple([name for name, _ in infos.values()]) for infos in (inputs, outputs))
        return cls(proto, inputs, outputs, feeds, fetches)


class LoadedModel:
    """The signatures of one version, and the session that runs them. Safe to call from many threads.

    Args:
        path: the folder with saved_model.pb.
        parallelism: the sizes of the session's thread pools.
        tags: which graph of the SavedModel to load: the one that has exactly these tags.

    Raises:
        StatusError: the SavedModel cannot be loaded; the text has the reason.
    """

    def __init__(
        self, path: Path, parallelism: Parallelism = Parallelism(), tags: Sequence[str] = (tf.saved_model.SERVING,)
    ) -> None:
        options = config_pb2.ConfigProto(
            intra_op_parallelism_threads=parallelism.intra_op,
            inter_op_parallelism_threads=parallelism.inter_op,
        )
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=options)
        self._callables: dict[tuple[tuple[str, ...], tuple[str, ...]], Callable[..., list[Any]]] = {}
        self._lock = threading.Lock()
        try:
            with self._session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(path))
        except Exception as error:  # a foreign file may make TensorFlow raise anything; it becomes the version's status
            self._session.close()
            raise _as_status(error) from error
        self.signatures: dict[str, Signature] = {
            name: Signature.of(signature) for name, signature in meta_graph.signature_def.items()
        }

    def run(self, feeds: Sequence[str], values: Sequence[np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """Run the graph.

        Args:
            feeds: the names of the tensors to feed, e.g. `serving_default_x:0`.
            values: an array for each of them, in the same order and of the tensor's dtype.
            fetches: the names of the tensors to return.

        Returns:
            An array for each fetched tensor.

        Raises:
            StatusError: TensorFlow's own code and message.
        """
        try:
            return self._callable(tuple(feeds), tuple(fetches))(*values)
        except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
            raise _as_status(error) from error

    def close(self) -> None:
        """Free the memory of the model. No call may be running."""
        self._callables.clear()
        self._session.close()

    def _callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[Any]]:
        key = (feeds, fetches)
        with self._lock:
            call = self._callables.get(key)
            if call is None:
                if len(self._callables) >= MAX_CALLABLES:
                    self._callables.pop(next(iter(self._callables)))
                options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
                # A private method, but it costs half of Session.run and accepts shapes that Session.run rejects.
                call = self._callables[key] = self._session._make_callable_from_options(options)
        return call


def _as_status(error: Exception) -> StatusError:
    """Turn an exception into a status: TensorFlow's own code, INVALID_ARGUMENT for a wrong value, else UNKNOWN."""
    if isinstance(error, tf.errors.OpError):
        return StatusError(CODES.get(error.error_code, StatusCode.UNKNOWN), error.message)
    code = StatusCode.INVALID_ARGUMENT if isinstance(error, ValueError | TypeError) else StatusCode.UNKNOWN
    return StatusError(code, f"{error}" or type(error).__name__)
