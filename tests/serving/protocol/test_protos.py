"""`protos.message` needs no TensorFlow and returns the same classes as TensorFlow's own modules."""

import subprocess
import sys

import pytest

from serving.protocol import protos

PREDICT = ("tensorflow.serving.PredictRequest", "tensorflow_serving/apis/predict.proto")


def test_a_message_does_not_import_tensorflow():
    code = (
        "import sys\n"
        "from serving.protocol import protos\n"
        f"request = protos.message{PREDICT}(output_filter=['y'])\n"
        "print(request.SerializeToString(), [name for name in sys.modules if name.startswith('tensorflow')])"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert printed.strip() == r"b'\x1a\x01y' []"


@pytest.mark.slow
def test_a_program_that_imports_tensorflow_later_has_the_same_classes():
    code = (
        "from serving.client import calls\n"
        "from serving.protocol import protos\n"
        f"ours = protos.message{PREDICT}\n"
        "from tensorflow_serving.apis import predict_pb2\n"
        "import tensorflow as tf\n"
        "request = predict_pb2.PredictRequest(inputs={'x': tf.make_tensor_proto([1.0])})\n"
        "print(ours is predict_pb2.PredictRequest, calls.predict('m', {'x': [1.0]}).method)"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    ).stdout

    assert printed.strip() == "True /tensorflow.serving.PredictionService/Predict"


def test_a_program_that_imported_tensorflow_before_has_the_same_classes():
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    assert protos.message("tensorflow.TensorProto", "tensorflow/core/framework/tensor.proto") is TensorProto
    reload_request = protos.message(
        "tensorflow.serving.ReloadConfigRequest", "tensorflow_serving/apis/model_management.proto"
    )
    assert reload_request is ReloadConfigRequest


def test_an_error_names_a_package_that_is_not_installed():
    with pytest.raises(ImportError, match="package no_such_package is not installed"):
        protos.message("no.Such", "no_such_package/such.proto")


def test_an_error_names_a_file_that_protoc_did_not_generate(tmp_path, monkeypatch):
    package = tmp_path / "handmade"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "such_pb2.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ImportError, match=r"calls AddSerializedFile\. .*such_pb2\.py does not"):
        protos.message("no.Such", "handmade/such.proto")
