"""Hostile gRPC requests: each gets a status, and the server neither fails nor grows.

The server is a process of its own, so that its memory can be measured apart from the tests'.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from grpc import StatusCode
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

from benchmarks.serving.process import ending, free_port, rss_mb, start_server, wait_ready
from serving.api.grpc_services import MAX_ERROR_BYTES, MODEL, PREDICTION
from serving.protocol.tensors import MAX_MESSAGE_BYTES

SECONDS = 60
GROWTH_MB = 5  # allowed in one round
KEPT_MB = 400  # allowed above the start: the allocator keeps pages of the largest requests for each thread
OK, INVALID, NOT_FOUND = StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND
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
WHOLE = {
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
FLOAT, BOOL, STRING = 1, 10, 7  # numbers of DataTypes
HOSTILE_NAMES = {
    "long": "m" * 2**20,
    "wide": "\N{PILE OF POO}" * 2**18,  # 4 bytes a character, and 12 in a percent-encoded header
    "path": "../../etc/passwd",
    "nul": "scale\0",
    "lines": '\r\na: "b"\n\n',
    "control": "".join(map(chr, range(1, 32))),
    "quotes": "'\"\\{}%s%n",
}


def save_parse(path):
    """Save a model with three signatures.

    For examples with x, `serving_default` returns the score [x] and `regress` returns x; `total` adds up numbers.
    """
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "examples")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        inputs, output = {"inputs": v1.saved_model.build_tensor_info(examples)}, v1.saved_model.build_tensor_info(x)
        numbers = v1.placeholder(tf.float32, [None], "numbers")
        define, info = v1.saved_model.predict_signature_def, {"numbers": numbers}
        build, builder = v1.saved_model.build_signature_def, v1.saved_model.Builder(str(path))
        signatures = {
            "serving_default": build(inputs, {"scores": output}, "tensorflow/serving/classify"),
            "regress": build(inputs, {"outputs": output}, "tensorflow/serving/regress"),
            "total": define(info, {"total": tf.reduce_sum(numbers)}),
        }
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=signatures)
        builder.save()


class Server:
    """A `segue serve` process of `scale` and `parse`."""

    def __init__(self, process, address, log, models):
        self.pid, self.log = process.pid, log
        self._process, self._models = process, models
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(address, unlimited)
        self._seen = 0  # characters of the log read so far
        self.rss = 0.0  # MiB, at the start

    def call(self, method, request):
        """The status code and text of a call; the request is a message or its bytes."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            self.channel.unary_unary(method)(data, timeout=SECONDS)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return OK, ""

    def reload(self, *entries):
        """Reload with the initial models and further entries of a ModelConfigList, which are text protos."""
        text = " ".join(f"config {{ {entry} }}" for entry in [*self._models, *entries])
        request = text_format.Parse(f"config {{ model_config_list {{ {text} }} }}", REQUESTS[RELOAD]())
        return self.call(RELOAD, request)

    def check(self):
        """Check that the server answers, and has logged no bug since the last check."""
        assert self._process.poll() is None
        printed = self.log.read_text(errors="replace")
        since, self._seen = printed[self._seen :], len(printed)
        assert "A request failed" not in since
        assert "cannot follow" not in since
        assert self.call(PREDICT, whole(PREDICT)) == self.call(CLASSIFY, whole(CLASSIFY)) == (OK, "")


@pytest.fixture(scope="module")
def running(shared_store, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    save_parse(root / "parse" / "1")
    paths = {"scale": shared_store / "scale", "parse": root / "parse"}
    models = [f'name: "{name}" base_path: "{path}" model_platform: "tensorflow"' for name, path in paths.items()]
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(f'config {{ {m} }}' for m in models)} }}")
    port, rest_port, log = free_port(), free_port(), root / "log"
    (root / "monitoring").write_text("prometheus_config { enable: true }")
    flags = [f"--model_config_file={root}/models.config", f"--rest_api_port={rest_port}", "--max_num_load_retries=0"]
    with ending(start_server(port, flags, root, log)) as process:
        wait_ready(process, f"127.0.0.1:{port}", list(paths), log)
        server = Server(process, f"127.0.0.1:{port}", log, models)
        server.rss = rss_mb(process.pid)
        yield server
        server.channel.close()


@pytest.fixture
def server(running):
    """The server, which is checked after each test."""
    yield running
    running.check()


@pytest.fixture
def reload(server):
    """`server.reload`. After the test the server is checked and its initial models are restored."""
    yield server.reload
    try:
        server.check()  # while the models of the test are configured
    finally:
        assert server.reload() == (OK, "")


def whole(method):
    return text_format.Parse(WHOLE[method], REQUESTS[method]())


def floats(shape, values=(), content=b"", dtype=FLOAT):
    """A TensorProto whose fields need not agree."""
    proto = TensorProto(dtype=dtype, float_val=values, tensor_content=content)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def strings(shape, values=(), content=b""):
    proto = floats(shape, content=content, dtype=STRING)
    proto.string_val.extend(values)
    return proto


def predict(signature, **inputs):
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


@pytest.mark.parametrize("method", REQUESTS)
def test_random_and_damaged_messages(server, method):
    draw, data = random.Random(11), whole(method).SerializeToString()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda sent: server.call(method, sent), [damaged(draw, data) for _ in range(500)]))

    refused = {INVALID, NOT_FOUND, StatusCode.FAILED_PRECONDITION, StatusCode.UNIMPLEMENTED}
    for code, text in answers:
        if code is StatusCode.INTERNAL:
            assert text == f"The request is not a {REQUESTS[method].DESCRIPTOR.full_name} message."
        elif code is StatusCode.UNKNOWN:
            assert method == RELOAD
            assert "did not become available" in text
        else:
            assert code in refused | {OK}
    assert sum(code is not OK for code, _ in answers) > 200
    if method == RELOAD:  # a damaged list of models may still be a valid list
        assert server.reload() == (OK, "")


HUGE = {
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


@pytest.mark.parametrize("shape", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize(
    "tensor", [lambda s: floats(s, [1.0]), lambda s: floats(s, content=bytes(10)), lambda s: strings(s, [b"a"])]
)
def test_hostile_shapes(server, shape, tensor):
    dtype = tensor(shape).dtype
    code, text = server.call(
        PREDICT, predict("identity_string" if dtype == STRING else "identity_float32", x=tensor(shape))
    )

    assert code is INVALID
    assert text.startswith("tensor parsing error: x: ")


UNEVEN = {
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


@pytest.mark.parametrize("tensor", UNEVEN.values(), ids=UNEVEN)
def test_contents_that_do_not_match_the_shape(server, tensor):
    name = "identity_string" if tensor.dtype == STRING else "identity_float32"

    code, text = server.call(PREDICT, predict(name, x=tensor))

    assert code is INVALID
    assert text.startswith("tensor parsing error: x: ")


def test_tensors_that_declare_too_much_together(server):
    half = floats([2**23], [1.0])

    code, text = server.call(PREDICT, predict("serving_default", x=half, y=half, z=half))
    assert (code, text[:12]) == (INVALID, "input size d")  # names are checked first
    code, text = server.call(PREDICT, predict("repeat", text=strings([2**22], [b"a"]), count=floats([2**23], dtype=9)))
    assert (code, "may hold" in text) == (INVALID, True)


def test_a_string_repeated_beyond_the_limit(server):
    """The request is short: one string of 10 kB, for a shape of 20,000 elements."""
    code, text = server.call(PREDICT, predict("identity_string", x=strings([20_000], [b"a" * 10_000])))

    assert code is INVALID
    assert str(MAX_MESSAGE_BYTES) in text


def test_many_requests_that_repeat_a_number_at_once(server):
    """Requests of a few bytes declare 60 MB each; those that wait for a thread do not hold that memory yet."""
    request = predict("total", numbers=floats([15_000_000], [1.0]))
    request.model_spec.name = "parse"
    data = request.SerializeToString()

    with ThreadPoolExecutor(48) as pool:
        answers = [pool.submit(server.call, PREDICT, data) for _ in range(48)]
        peak = 0.0
        while not all(answer.done() for answer in answers):
            peak = max(peak, rss_mb(server.pid))
            time.sleep(0.005)

    assert {answer.result()[0] for answer in answers} <= {OK, StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE}
    assert peak - server.rss < 1_500


def test_very_many_examples(server):
    assert server.call(CLASSIFY, classify(100_000)) == (OK, "")
    code, text = server.call(CLASSIFY, classify(70_000, context=b"c" * 1_000))
    assert (code, text.startswith("The examples of a request may hold 67108864 bytes")) == (INVALID, True)
    code, _ = server.call(CLASSIFY, classify(2, context=b"c" * 40_000_000))
    assert code is INVALID


def test_messages_above_the_limit(server):
    for method in REQUESTS:
        code, text = server.call(method, bytes(MAX_MESSAGE_BYTES + 1))
        assert code is StatusCode.RESOURCE_EXHAUSTED
        assert str(MAX_MESSAGE_BYTES) in text


def test_an_answer_above_the_limit(server):
    """A request of a few bytes asks for 64 MB of floats, which with the answer's other fields are above the limit."""
    code, _ = server.call(PREDICT, predict("identity_float32", x=floats([2**24], [1.0])))

    assert code is StatusCode.RESOURCE_EXHAUSTED


def messages_with(name):
    """(method, a request with the name in one field, the expected status) for each such field."""
    for method in (PREDICT, METADATA, STATUS):
        request = whole(method)
        request.model_spec.name = name
        yield method, request, NOT_FOUND
        request = whole(method)
        request.model_spec.version_label = name
        yield method, request, INVALID
    yield PREDICT, predict(name), StatusCode.FAILED_PRECONDITION
    yield PREDICT, predict("serving_default", **{name: floats([1], [1.0])}), INVALID
    request = whole(PREDICT)
    request.output_filter[:] = [name]
    yield PREDICT, request, INVALID
    request = whole(METADATA)
    request.metadata_field[:] = [name]
    yield METADATA, request, INVALID
    request = whole(CLASSIFY)
    request.model_spec.signature_name = name
    yield CLASSIFY, request, INVALID
    request = whole(MULTI)
    request.tasks[0].method_name = name
    yield MULTI, request, StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_hostile_names(server, name):
    for method, request, expected in messages_with(name):
        code, text = server.call(method, request)
        assert code is expected
        assert len(text) <= MAX_ERROR_BYTES + 3
        assert text


def collector(prefix, rate="1"):
    return (
        f"logging_config {{ sampling_config {{ sampling_rate: {rate} }} "
        f'log_collector_config {{ type: "file" filename_prefix: "{prefix}" }} }}'
    )


ABSENT = {StatusCode.UNKNOWN}  # the status if a model does not become available
A = 'name: "a" base_path: "/absent"'
ENTRIES = {
    "relative": ('name: "a" base_path: "relative"', {INVALID}),
    "no path": ('name: "a"', {INVALID}),
    "no folder": ('name: "a" base_path: "gs://bucket/a"', {INVALID}),
    "no name": ('name: "" base_path: "/absent"', {INVALID}),
    "a name twice": ('name: "scale" base_path: "/absent"', {INVALID}),
    "absent": (A, ABSENT),
    "a file": ('name: "a" base_path: "/etc/passwd"', ABSENT),
    "a process": ('name: "a" base_path: "/proc/self"', ABSENT),
    "open files": ('name: "a" base_path: "/proc/self/fd" model_version_policy { all { } }', ABSENT),
    "threads": ('name: "a" base_path: "/proc/self/task" model_version_policy { latest { num_versions: 4 } }', ABSENT),
    "a long path": (f'name: "a" base_path: "/{"a/" * 10_000}"', ABSENT),
    "NUL in a path": (r'name: "a" base_path: "/tmp/a\000b"', {INVALID, StatusCode.UNKNOWN}),
    "a name that is a path": ('name: "../../etc/passwd" base_path: "/absent"', ABSENT),
    "a name of control bytes": (r'name: "a\n\r\"b\000" base_path: "/absent"', ABSENT),
    "a long name": (f'name: "{"a" * 2**20}" base_path: "/absent"', ABSENT),
    "a label to no version": (f'{A} version_labels {{ key: "x" value: -1 }}', {StatusCode.FAILED_PRECONDITION}),
    "a negative version": (f"{A} model_version_policy {{ specific {{ versions: -1 }} }}", ABSENT),
    "a rate that is not a number": (f"{A} {collector('/tmp/a', 'nan')}", {INVALID}),
    "a log that is not a file": (f"{A} {collector('/proc/self/a/b')}", {INVALID}),
    "a log beside the folders": (f"{A} {collector('')}", {INVALID}),
    "NUL in a log's path": (f"{A} {collector('/tmp/' + chr(92) + '000/b')}", {INVALID}),
}


@pytest.mark.parametrize(("entry", "expected"), ENTRIES.values(), ids=ENTRIES)
def test_hostile_models(reload, entry, expected):
    code, text = reload(f'{entry} model_platform: "tensorflow"')

    assert code in expected
    assert len(text) <= MAX_ERROR_BYTES + 3


def test_ten_thousand_models(reload):
    entries = [f'name: "m{i}" base_path: "/absent/{i}" model_platform: "tensorflow"' for i in range(10_000)]

    code, text = reload(*entries)

    assert code is StatusCode.UNKNOWN
    assert text.startswith("10000 model(s) did not become available")


def test_a_very_long_list_of_versions(server, reload):
    """Versions that do not exist are reported in a few lines of the log, however many there are."""
    before, versions = server.log.stat().st_size, ",".join(map(str, range(100_000)))

    code, _ = reload(
        'name: "a" base_path: "/absent" model_platform: "tensorflow"',
        f'name: "b" base_path: "{server.log.parent}/parse" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: [{versions}] }} }}",
    )

    assert code is StatusCode.UNKNOWN
    assert server.log.stat().st_size - before < 100_000


def test_refused_request_logs_leave_no_thread(server, reload, tmp_path):
    """The last entry of the list is refused; the loggers started for the other entries end."""
    model = 'name: "{}" base_path: "/absent" model_platform: "tensorflow"'
    logging = 'logging_config {{ log_collector_config {{ type: "{}" filename_prefix: "{}/a" }} }}'
    entries = [f"{model.format(n)} {logging.format('file' if n < 30 else 'none', tmp_path)}" for n in range(31)]
    before = threads(server.pid)

    code, _ = reload(*entries)

    assert code is NOT_FOUND
    assert threads(server.pid) - before < 10


@pytest.mark.slow
def test_memory_does_not_grow(server):
    """A leak grows in every round; the memory that the allocator keeps for its threads grows in some rounds only."""
    draw = random.Random(12)

    def answer_all():
        for method in (PREDICT, CLASSIFY, REGRESS, MULTI, METADATA, STATUS):
            for _ in range(100):
                server.call(method, damaged(draw, whole(method).SerializeToString()))
        for tensor in [*UNEVEN.values(), *map(floats, HUGE.values()), floats([2**24], [1.0])]:
            server.call(PREDICT, predict("identity_float32", x=tensor))
        for name in HOSTILE_NAMES.values():
            server.call(PREDICT, predict(name))
        for path in ("/absent", "relative", "/proc/self"):
            server.reload(f'name: "a" base_path: "{path}" model_platform: "tensorflow"')
        server.reload()
        server.call(PREDICT, bytes(MAX_MESSAGE_BYTES + 1))
        return rss_mb(server.pid)

    sizes = [answer_all() for _ in range(6)]
    assert min(after - before for before, after in pairwise(sizes)) < GROWTH_MB
    assert sizes[-1] - server.rss < KEPT_MB


def threads(pid):
    """The number of threads of a process."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
