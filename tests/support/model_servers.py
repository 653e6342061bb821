"""Fixtures: tiny SavedModels that are built once a session, and model servers on loopback."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from segue.settings import Home
from tests.support.soon import SECONDS

IDENTITY_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "bool", "string"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


def save_tf2(path: Path, scale: float) -> None:
    """Write a TF2 model with y = scale * x, a signature `repeat` on text, and an identity signature for each dtype."""
    import tensorflow as tf

    class Scale(tf.Module):
        """A model with y = scale * x."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(scale)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
        def __call__(self, x):
            return {"y": self.scale * x, "twice": 2.0 * self.scale * x}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, "text"),
                tf.TensorSpec([None], tf.int64, "count"),
            ]
        )
        def repeat(self, text, count):
            return {"line": tf.strings.join([text, tf.strings.as_string(count)], "x")}

    module = Scale()
    identities = {
        f"identity_{name}": tf.function(
            lambda x: {"x": tf.identity(x)}, input_signature=[tf.TensorSpec(None, tf.as_dtype(name), "x")]
        )
        for name in IDENTITY_DTYPES
    }
    module.identities = identities  # a SavedModel keeps only functions that are attributes of the module
    tf.saved_model.save(
        module,
        str(path),
        signatures={"serving_default": module.__call__, "repeat": module.repeat, **identities},
    )


def _save_tf1(path: Path) -> None:
    """Write a model with y = 0.5 x + 3 by TF1's builder, so without an object graph."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        y = v1.get_variable("w", initializer=0.5, use_resource=False) * x + 3.0
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map={"serving_default": signature}
        )
        builder.save()


@pytest.fixture(scope="session")
def saved_models(build_once) -> dict[str, Path]:
    """SavedModels: `one` (y = x), `two` (y = 2x), `tf1` (y = 0.5x + 3), and `corrupt`, which does not load."""

    def build(root: Path) -> None:
        save_tf2(root / "one", 1.0)
        save_tf2(root / "two", 2.0)
        _save_tf1(root / "tf1")
        (root / "corrupt").mkdir()
        (root / "corrupt" / "saved_model.pb").write_bytes(b"\x0a\xff not a SavedModel")

    root = build_once("saved_models", build)
    return {name: root / name for name in ("one", "two", "tf1", "corrupt")}


@pytest.fixture
def rollout_home(build_once, tmp_path) -> Home:
    """A home with tiny models to roll out: version 1 of retrieval and ranking is stable, version 2 is the canary."""
    from benchmarks.rollout.site import made

    def build(folder: Path) -> None:
        made(folder, datetime(2026, 11, 29, tzinfo=UTC))

    return Home(shutil.copytree(build_once("rollout_home", build), tmp_path / "rollout_home"))


@pytest.fixture(scope="session")
def shared_store(build_once, saved_models) -> Path:
    """A model store that tests must not change.

    `scale` has version 1 (y = x, label `before`) and version 2 (y = 2x, label `stable`); `half` has version 2 (`tf1`).
    """
    from serving.store import model_store

    def build(root: Path) -> None:
        model_store.push(root, {"scale": saved_models["one"]})
        model_store.push(root, {"scale": saved_models["two"], "half": saved_models["tf1"]})
        model_store.promote(root, 1, "before")

    return build_once("shared_store", build)


@pytest.fixture(scope="session")
def shared_server(shared_store):
    """A running server on `shared_store`."""
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    with ModelServer(ServerConfig(shared_store / "models.config")) as server:
        yield server


@pytest.fixture(scope="session")
def client(shared_server):
    """A client of `shared_server`."""
    from serving.client.sync_client import Client

    with Client(shared_server.address) as client:
        yield client


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """A function that waits until a condition holds, and fails after `SECONDS`."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"the condition did not hold within {SECONDS} s"
            time.sleep(0.05)

    return wait


@pytest.fixture
def x() -> np.ndarray:
    """A request for `scale`: `[1, 2]`."""
    return np.array([[1.0, 2.0]], np.float32)
