"""Valid gRPC requests, and the parts that hostile ones are made of."""

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.api.grpc_services import MODEL, PREDICTION

SECONDS = 60  # in which an answer must come
REQUESTS = {
    f"/{PREDICTION.full_name}/Predict": predict_pb2.PredictRequest,
    f"/{PREDICTION.full_name}/Classify": classification_pb2.ClassificationRequest,
    f"/{PREDICTION.full_name}/Regress": regression_pb2.RegressionRequest,
    f"/{PREDICTION.full_name}/MultiInference": inference_pb2.MultiInferenceRequest,
    f"/{PREDICTION.full_name}/GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    f"/{MODEL.full_name}/GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    f"/{MODEL.full_name}/HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
PREDICT, CLASSIFY, REGRESS, MULTI, METADATA, STATUS, RELOAD = REQUESTS
EXAMPLE = 'features { feature { key: "x" value { float_list { value: 1 } } } }'
# method -> a valid request; only the reload has a relative base_path, which is refused, so that the models stay
VALID = {
    PREDICT: 'model_spec { name: "scale" } inputs { key: "x" value { dtype: DT_FLOAT '
    'tensor_shape { dim { size: 1 } dim { size: 2 } } float_val: [1, 2] } } output_filter: "y"',
    CLASSIFY: f'model_spec {{ name: "parse" }} input {{ example_list {{ examples {{ {EXAMPLE} }} }} }}',
    REGRESS: 'model_spec { name: "parse" signature_name: "regress" } '
    f"input {{ example_list_with_context {{ examples {{ }} context {{ {EXAMPLE} }} }} }}",
    MULTI: 'tasks { model_spec { name: "parse" } method_name: "tensorflow/serving/classify" } '
    f"input {{ example_list {{ examples {{ {EXAMPLE} }} }} }}",
    METADATA: 'model_spec { name: "scale" version { value: 2 } } metadata_field: "signature_def"',
    STATUS: 'model_spec { name: "scale" version { value: 2 } }',
    RELOAD: 'config { model_config_list { config { name: "scale" base_path: "scale" model_platform: "tensorflow" '
    'model_version_policy { specific { versions: 2 } } version_labels { key: "stable" value: 2 } } } }',
}
FLOAT, STRING = 1, 7  # numbers of DataTypes
HOSTILE_NAMES = {
    "long": "m" * 2**20,
    "wide": "\N{PILE OF POO}" * 2**18,  # 4 bytes a character, and 12 in a percent-encoded header
    "path": "../../etc/passwd",
    "nul": "scale\0",
    "lines": '\r\na: "b"\n\n',
    "control": "".join(map(chr, range(1, 32))),
    "quotes": "'\"\\{}%s%n",
}


def valid(method):
    """The valid request of a method, as a new message."""
    return text_format.Parse(VALID[method], REQUESTS[method]())


def floats(shape, values=(), content=b"", dtype=FLOAT):
    """A TensorProto whose fields need not agree."""
    proto = TensorProto(dtype=dtype, float_val=values, tensor_content=content)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def strings(shape, values=(), content=b""):
    """A string TensorProto whose fields need not agree."""
    proto = floats(shape, content=content, dtype=STRING)
    proto.string_val.extend(values)
    return proto


def predict(signature, **inputs):
    """A Predict request of a signature of `scale`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "scale", signature
    for name, proto in inputs.items():
        request.inputs[name].CopyFrom(proto)
    return request


def classify(examples, context=b""):
    """A request with one example many times, and a context of one feature unless it is empty."""
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "parse"
    batch = request.input.example_list_with_context if context else request.input.example_list
    if context:
        batch.context.features.feature["c"].bytes_list.value.append(context)
    batch.examples.extend([text_format.Parse(EXAMPLE, tf.train.Example())] * examples)
    return request


def damaged(draw, data):
    """Random bytes, or a request of which a part is cut off, changed or repeated."""
    damage = draw.randrange(4)
    if damage == 0:
        return draw.randbytes(draw.randrange(1, 300))
    cut = draw.randrange(1, len(data))
    if damage == 1:
        return data[:cut]
    if damage == 2:
        return data[:cut] + draw.randbytes(draw.randrange(1, 20)) + data[cut:]
    changed = bytearray(data)
    for _ in range(draw.randrange(1, 6)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


HOSTILE_SHAPES = {
    "negative": [-1],
    "least": [-(2**63), 1],
    "huge": [2**40],
    "greatest": [2**63 - 1],
    "product over int64": [2**31, 2**31, 2**31],
    "product that wraps to 2": [2**32, 2**32, 2**63 - 1, 2],
    "1 GB": [2**28],
    "zero beside huge": [0, 2**62],
    "300 dimensions": [1] * 300,
}


MISMATCHED_TENSORS = {
    "values above the shape": floats([1], [1.0, 2.0]),
    "values for an empty shape": floats([0], [1.0]),
    "no values": floats([2, 2]),
    "content below the shape": floats([3], content=bytes(8)),
    "content above the shape": floats([1], content=bytes(8)),
    "content cut within a value": floats([2], content=bytes(7)),
    "two values of a scalar": floats([], [1.0, 2.0]),
    "values of another dtype": floats([1], [1.0], dtype=9),
    "no dtype": floats([1], [1.0], dtype=0),
    "a reference": floats([1], [1.0], dtype=101),
    "a resource": floats([1], [1.0], dtype=20),
    "unknown dtype": floats([1], [1.0], dtype=9999),
    "strings without values": strings([3]),
    "too many strings": strings([1], [b"a", b"b"]),
    "string of 4 GB": strings([1], content=b"\xff\xff\xff\xff\x0f" + b"a"),
    "string of 2**70 bytes": strings([1], content=b"\xff" * 10 + b"\x01"),
    "endless length": strings([1], content=b"\xff" * 3),
    "lengths above the content": strings([2], content=b"\x05\x05abc"),
    "more strings than bytes": strings([2**20], content=b"\x00" * 10),
}
