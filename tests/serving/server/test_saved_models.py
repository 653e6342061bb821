"""SavedModels of TF1 and TF2 with several tag sets, assets, lookup tables and init operations are served.

The expected behaviour is that of TensorFlow's cc/saved_model/loader.cc, which TF Serving uses.
"""

import shutil
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from segue.errors import SegueError
from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.manager import Retries
from serving.server_config import ServerConfig

WORDS = ["ant", "bee", "cat"]


def predict(server, inputs, signature="", name="m"):
    """The outputs of a request to a server, as lists."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(server.address) as channel:
        outputs = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20).outputs
    return {key: tf.make_ndarray(value).tolist() for key, value in outputs.items()}


def serving(base: Path, **settings):
    """A server of model `m`, not started yet."""
    return ModelServer(ServerConfig(models=[ModelConfig("m", base)], retries=Retries(0), **settings))


def vocabulary(folder: Path) -> str:
    """Write a file of words, one a line, which a SavedModel copies as an asset. Tests delete it after the export."""
    path = folder / "words.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """A SavedModel with two graphs over the same variable w = 10: `serve` adds it, `serve, gpu` multiplies by it."""
    v1, base = tf.compat.v1, tmp_path_factory.mktemp("tagged")
    builder = v1.saved_model.Builder(str(base / "1"))
    for tags in (["serve"], ["serve", "gpu"]):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None], "x")
            w = v1.get_variable("w", initializer=10.0, use_resource=False)
            y = x + w if tags == ["serve"] else x * w
            session.run(v1.global_variables_initializer())
            signatures = {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})}
            if tags == ["serve"]:
                builder.add_meta_graph_and_variables(session, tags, signature_def_map=signatures)
            else:
                builder.add_meta_graph(tags, signature_def_map=signatures)
    builder.save()
    return base


@pytest.mark.parametrize(
    ("tags", "answer"), [(("serve",), [13.0]), (("serve", "gpu"), [30.0]), (("gpu", "serve"), [30.0])]
)
def test_the_graph_with_the_given_tags_is_served(tagged, tags, answer):
    with serving(tagged, tags=tags) as server:
        assert predict(server, {"x": [3.0]}) == {"y": answer}


@pytest.mark.parametrize("tags", [("gpu",), ("tpu",), ()])
def test_tags_that_no_graph_has(tagged, tags):
    with (
        pytest.raises(SegueError, match=r"\{name: m version: 1\} due to error: .*could not be found"),
        serving(tagged, tags=tags),
    ):
        pass


@pytest.fixture(scope="module")
def tf1_tables(tmp_path_factory):
    """A TF1 model: its init op fills a table word -> place from an asset, and its main op sets a variable."""
    v1, base, training = tf.compat.v1, tmp_path_factory.mktemp("tf1"), tmp_path_factory.mktemp("training")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], "words")
        file = tf.constant(vocabulary(training), name="file")
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file)
        place = tf.lookup.TextFileInitializer(
            file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        table = tf.lookup.StaticHashTable(place, default_value=-1)
        start = v1.get_variable("start", initializer=0, dtype=tf.int32, use_resource=False)
        signature = v1.saved_model.predict_signature_def(
            {"words": words}, {"places": table.lookup(words), "start": tf.fill([tf.size(words)], start)}
        )
        init = tf.group(v1.tables_initializer(), v1.assign(start, 7))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            signature_def_map={"serving_default": signature},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=init,
        )
        builder.save()
    (training / "words.txt").unlink()
    return base


def test_a_tf1_model_with_an_asset_a_table_and_an_init_op(tf1_tables):
    with serving(tf1_tables) as server:
        assert predict(server, {"words": ["cat", "ant", "dog"]}) == {"places": [2, 0, -1], "start": [7, 7, 7]}


def test_a_model_whose_asset_is_missing_does_not_load(tf1_tables, tmp_path):
    shutil.copytree(tf1_tables, tmp_path / "m")
    (tmp_path / "m" / "1" / "assets" / "words.txt").unlink()

    with pytest.raises(SegueError, match=r"words\.txt"), serving(tmp_path / "m"):
        pass


@pytest.fixture(scope="module")
def tf2_tables(tmp_path_factory):
    """A TF2 model with two tables: word -> place, filled from an asset, and place -> price, filled from constants."""
    base, training = tmp_path_factory.mktemp("tf2"), tmp_path_factory.mktemp("training")

    class Tables(tf.Module):
        def __init__(self):
            super().__init__()
            self.file = tf.saved_model.Asset(vocabulary(training))
            place = tf.lookup.TextFileInitializer(
                self.file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            self.places = tf.lookup.StaticVocabularyTable(place, num_oov_buckets=1)
            price = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 2], tf.int64), tf.constant([0.5, 2.5]))
            self.prices = tf.lookup.StaticHashTable(price, default_value=-1.0)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
        def look_up(self, words):
            places = self.places.lookup(words)
            return {"places": places, "prices": self.prices.lookup(places)}

    module = Tables()
    tf.saved_model.save(module, str(base / "1"), signatures=module.look_up)
    (training / "words.txt").unlink()
    return base


def test_a_tf2_model_with_an_asset_and_tables(tf2_tables):
    with serving(tf2_tables) as server:
        answer = predict(server, {"words": ["cat", "ant", "bee", "dog"]})

    assert answer == {"places": [2, 0, 1, 3], "prices": [2.5, 0.5, -1.0, -1.0]}


def test_a_keras_model_with_a_string_lookup(tmp_path):
    import tf_keras

    words = tf_keras.Input([1], dtype=tf.string, name="word")
    places = tf_keras.layers.StringLookup(vocabulary=vocabulary(tmp_path), name="place")(words)
    model = tf_keras.Model(words, {"place": places})
    tf.saved_model.save(model, str(tmp_path / "m" / "1"))
    (tmp_path / "words.txt").unlink()

    with serving(tmp_path / "m") as server:
        assert predict(server, {"word": [["bee"], ["dog"]]}) == {"place": [[2], [0]]}  # 0 is "unknown"


def test_two_models_of_one_server_keep_their_tables_apart(tf1_tables, tf2_tables):
    models = [ModelConfig("first", tf1_tables), ModelConfig("second", tf2_tables)]
    with ModelServer(ServerConfig(models=models)) as server:
        assert predict(server, {"words": ["dog"]}, name="first")["places"] == [-1]
        assert predict(server, {"words": ["dog"]}, name="second")["places"] == [3]


def test_a_folder_without_a_saved_model(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)

    with pytest.raises(SegueError, match="SavedModel"), serving(tmp_path / "m"):
        pass


def test_a_model_without_signatures_loads_and_rejects_requests(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "m" / "1"))

    with serving(tmp_path / "m") as server, pytest.raises(grpc.RpcError) as caught:
        predict(server, {})
    assert caught.value.code() is StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == 'Serving signature key "serving_default" not found.'
