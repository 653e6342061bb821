"""Saving: a SavedModel holds its signatures and weights, and no functions that nobody calls."""

from pathlib import Path
from types import SimpleNamespace

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from models.saved.saved_model import call, save

keras = tf.keras


class Doubling(tf.Module):
    """A served module whose model is a Keras model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)])
        axes = SimpleNamespace(to_dict=lambda: {"tokens": {}})
        self.model.encoder = SimpleNamespace(axes=axes, catalogue=SimpleNamespace(markets=["SE"]))

    def double(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"doubled": 2.0 * self.model(x)[:, 0]}


def functions(path: Path) -> list[str]:
    """The names of the functions in a SavedModel."""
    saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return [function.signature.name for function in saved.meta_graphs[0].graph_def.library.function]


def test_keras_stores_no_functions_of_its_layers(tmp_path):
    module, spec = Doubling(), tf.TensorSpec([None, 1], tf.float32, "x")
    signature = tf.function(module.double).get_concrete_function(x=spec)
    save(module, {"serving_default": signature}, {}, tmp_path / "lean")
    tf.saved_model.save(module, str(tmp_path / "full"), signatures={"serving_default": signature})
    lean, full = (functions(tmp_path / name) for name in ("lean", "full"))
    assert any("layer_call" in name for name in full)  # what Keras stores by default
    assert not any("layer_call" in name for name in lean)
    loaded = tf.saved_model.load(str(tmp_path / "lean"))
    assert call(loaded.signatures["serving_default"], {"x": [[3.0]]})["doubled"].tolist() == [6.0]
