"""Our encoding agrees with TensorFlow's, and tensors that break a rule are refused before memory is allocated."""

import random
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.tensor_pb2 import TensorProto

from serving.protocol import tensors
from serving.protocol.dtypes import BY_ENUM


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.float64).reshape(2, 3).T,
        np.array([1 + 2j, 3], np.complex64),
        np.array(7, np.int64),
        np.array([-1, 2**31 - 1], np.int32),
        np.zeros((0, 3), np.float32),
        np.array([[b"a", b""]], object),
        np.array([1.5, -0.5], np.float16),
        np.array([1.5, -0.5], ml_dtypes.bfloat16),
        np.array([True, False]),
        np.arange(3, dtype=">f4"),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_tensorflow_reads_what_we_encode(array):
    np.testing.assert_array_equal(tf.make_ndarray(tensors.encode(array)), array)
    np.testing.assert_array_equal(tensors.decode(tensors.encode(array)), array)
    as_content = tensors.encode(array, as_content=True)
    np.testing.assert_array_equal(tf.make_ndarray(as_content), array)
    np.testing.assert_array_equal(tensors.decode(as_content), array)


def test_text_is_sent_as_utf_8():
    assert tensors.decode(tensors.encode(["é", "b"])).tolist() == ["é".encode(), b"b"]


def test_an_error_names_a_value_without_a_tensor_form():
    with pytest.raises(tensors.TensorError, match="input 'when': dtype datetime64"):
        tensors.encode_all({"when": np.array(["2024-01-01"], "datetime64[D]")})
    with pytest.raises(tensors.TensorError, match="a string tensor holds text or bytes, it has int"):
        tensors.encode(np.array(["a", 1], object))


def test_one_value_fills_the_shape_as_in_tensorflow():
    proto = tf.make_tensor_proto(3, tf.int32, shape=[2, 2])

    assert len(proto.int_val) == 1
    assert tensors.decode(proto).tolist() == [[3, 3], [3, 3]]


def test_strings_in_tensor_content():
    # two varint lengths, 2 and 200 = 0xC8 0x01, then the bytes
    proto = TensorProto(dtype=tf.string.as_datatype_enum, tensor_content=b"\x02\xc8\x01" + b"ab" + b"c" * 200)
    proto.tensor_shape.dim.add(size=2)

    assert tensors.decode(proto).tolist() == [b"ab", b"c" * 200]


@pytest.mark.parametrize("content", [b"\x02", b"\x05\x05ab", b"\xff\xff\xff\xff\xff\xff", b"\x01\x01abc"], ids=repr)
def test_strings_whose_lengths_do_not_match_tensor_content(content):
    proto = TensorProto(dtype=tf.string.as_datatype_enum, tensor_content=content)
    proto.tensor_shape.dim.add(size=2)

    with pytest.raises(tensors.TensorError):
        tensors.decode(proto)


def test_fields_of_other_types_are_ignored():
    proto = tensors.encode(np.array([1.5, 2.5], np.float32))
    proto.double_val.extend([9.0])
    proto.string_val.append(b"noise")

    assert tensors.decode(proto).tolist() == [1.5, 2.5]


def tensor(enum, shape, **fields):
    """A TensorProto with the given type, shape and fields, which need not agree."""
    proto = TensorProto(dtype=enum, **fields)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


# Types without a form in numpy or ml_dtypes, because they are not plain values.
NO_FORM = {"invalid", "resource", "variant"}


def test_every_data_type_that_holds_values_has_a_form():
    names = {name for name in map(tensors.dtype_name, range(1, 101)) if not name.startswith("type ")}

    assert names - {tensors.dtype_name(enum) for enum in BY_ENUM} == NO_FORM - {"invalid"}


# Typed field -> three values for it; some are outside the range of the narrow types.
SAMPLES = {
    "int_val": [-1, 300, 7],
    "half_val": [0x3C00, 0x4200, -0x4000],
    "float8_val": b"\x01\x02\x03",
    "bool_val": [True, False, True],
    "string_val": [b"a", b"", b"\0"],
    "scomplex_val": [1, 2, 3, 4, 5, 6],
    "dcomplex_val": [1, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize("form", BY_ENUM.values(), ids=lambda form: tensors.dtype_name(form.enum))
def test_typed_values_are_read_as_tensorflow_reads_them(form):
    proto = tensor(form.enum, [3], **{form.field: SAMPLES.get(form.field, [1, 2, 3])})

    expected = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(form.enum)).numpy()

    np.testing.assert_array_equal(tensors.decode(proto).astype(expected.dtype), expected)


@pytest.mark.parametrize("form", BY_ENUM.values(), ids=lambda form: tensors.dtype_name(form.enum))
@pytest.mark.parametrize("as_content", [True, False], ids=["content", "typed"])
def test_every_dtype_survives_a_round_trip_through_tensorflow(form, as_content):
    array = np.array([b"a", b"", b"\0"], object) if form.dtype.kind == "O" else np.array([0, 1, 1]).astype(form.plain)
    array = array.reshape(3, 1).view(form.dtype)

    proto = tensors.encode(array, as_content)
    through = tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(form.enum)).numpy()

    assert proto.dtype == form.enum
    np.testing.assert_array_equal(through, array.view(through.dtype))
    np.testing.assert_array_equal(tensors.decode(proto), array, strict=True)


def test_a_declared_dtype_makes_a_quantized_tensor_of_integers():
    # A session returns a qint8 tensor as int8.
    plain = np.array([-1, 2], np.int8)
    proto = tensors.encode(plain, dtype=tf.qint8.as_datatype_enum)

    assert proto.dtype == tf.qint8.as_datatype_enum
    assert tensors.decode(proto).dtype == np.dtype(tf.qint8.as_numpy_dtype)
    assert tensors.decode(proto)["qint8"].tolist() == [-1, 2]
    assert tensors.encode(plain).dtype == tf.int8.as_datatype_enum
    with pytest.raises(tensors.TensorError, match="dtype int8 is not qint16, as declared"):
        tensors.encode(plain, dtype=tf.qint16.as_datatype_enum)
    with pytest.raises(tensors.TensorError, match="dtype resource has no TensorProto form"):
        tensors.encode(plain, dtype=tf.resource.as_datatype_enum)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([b"a\0"], [b"a\0"], id="zero byte at the end"),
        pytest.param([["a"], [b"b"]], [[b"a"], [b"b"]], id="text and bytes"),
        pytest.param("é", "é".encode(), id="scalar"),
        pytest.param(np.array(["a", "bc"]), [b"a", b"bc"], id="fixed width"),
    ],
)
def test_text_and_bytes_survive_a_round_trip(value, expected):
    assert tensors.decode(tensors.encode(value)).tolist() == expected


@pytest.mark.parametrize("value", [[[1], [2, 3]], ["\ud800"], [1, "a"], np.array([np.int64(3)], object), [None]])
def test_a_value_that_is_not_a_tensor_is_refused(value):
    with pytest.raises(tensors.TensorError):
        tensors.encode(value)


def test_numpy_names():
    names = [tensors.numpy_name(dtype.as_datatype_enum) for dtype in (tf.half, tf.bfloat16, tf.string, tf.qint8)]

    assert [*names, tensors.numpy_name(999)] == ["float16", "bfloat16", "string", "qint8", "type 999"]


FLOAT = tf.float32.as_datatype_enum
HALF_THE_LIMIT = tensors.MAX_MESSAGE_BYTES // 8
HOSTILE = [
    pytest.param(tensor(FLOAT, [3], float_val=[1, 2, 3, 4]), id="too many values"),
    pytest.param(tensor(FLOAT, [3]), id="no values"),
    pytest.param(tensor(FLOAT, [3], tensor_content=b"123"), id="content too short"),
    pytest.param(tensor(FLOAT, [0], tensor_content=b"1234"), id="content for nothing"),
    pytest.param(tensor(FLOAT, [-1], float_val=[1]), id="negative"),
    pytest.param(tensor(FLOAT, [-1, -1], float_val=[1]), id="negative twice"),
    pytest.param(tensor(FLOAT, [2**63 - 1] * 64, float_val=[1]), id="huge"),
    pytest.param(tensor(FLOAT, [2**62, 0]), id="huge beside zero"),
    pytest.param(tensor(FLOAT, [2**28], float_val=[1]), id="1 GB of one value"),
    pytest.param(tensor(tf.complex128.as_datatype_enum, [2**23], dcomplex_val=[1, 2]), id="128 MB of one value"),
    pytest.param(tensor(tf.string.as_datatype_enum, [2**26], string_val=[b""]), id="strings"),
    pytest.param(tensor(tf.string.as_datatype_enum, [2**20], tensor_content=b"\0"), id="strings in content"),
    pytest.param(tensor(tf.complex64.as_datatype_enum, [1], scomplex_val=[1]), id="half a complex number"),
    pytest.param(tensor(FLOAT, [1] * 65, float_val=[1]), id="too many dimensions"),
    pytest.param(tensor(999, [1], float_val=[1]), id="no such type"),
    pytest.param(tensor(tf.resource.as_datatype_enum, [1]), id="handle"),
]


@pytest.mark.parametrize("proto", HOSTILE)
def test_a_hostile_tensor_is_refused_before_memory_is_allocated(proto):
    tracemalloc.start()
    try:
        with pytest.raises(tensors.TensorError):
            tensors.decode(proto)
        with pytest.raises(tensors.TensorError) as caught:
            tensors.decode_all({"good": tensors.encode([1.0]), "bad": proto})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.name == "bad"


def test_tensors_that_are_too_large_together():
    half = tensor(FLOAT, [HALF_THE_LIMIT], float_val=[1])
    more = tensor(FLOAT, [HALF_THE_LIMIT + 1], float_val=[1])
    tracemalloc.start()
    try:
        with pytest.raises(tensors.TensorError, match=f"These declare {tensors.MAX_MESSAGE_BYTES + 4}") as caught:
            tensors.decode_all({"a": half, "b": more})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.name == ""


def test_all_tensors_of_a_request():
    arrays = tensors.decode_all({"a": tensors.encode([1.5], as_content=True), "b": tensors.encode(["x"])})

    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1.5], "b": [b"x"]}
    assert tensors.decode_all({}) == {}


@pytest.mark.parametrize("seed", range(4))
def test_random_tensors_decode_to_their_shape_or_are_refused(seed):
    """Types, shapes and fields are random, and bytes are flipped or cut off."""
    rng = random.Random(seed)
    fields = sorted({form.field for form in BY_ENUM.values()})
    decoded = 0
    for _ in range(1500):
        form = rng.choice(list(BY_ENUM.values()))
        field = form.field if rng.random() < 0.8 else rng.choice(fields)
        count = rng.randrange(5)
        values = {
            "string_val": [rng.randbytes(count) for _ in range(count)],
            "float8_val": rng.randbytes(count),
        }.get(field, [rng.randrange(2) for _ in range(count)])
        sizes = [rng.choice([0, 1, 1, 2, 3, -1, 2 ** rng.randrange(63)]) for _ in range(rng.randrange(4))]
        if rng.random() < 0.5:
            sizes = [1, count]
        proto = tensor(form.enum, sizes, **{field: values})
        if rng.random() < 0.3:
            proto.tensor_content = rng.randbytes(rng.randrange(20))
        raw = bytearray(proto.SerializeToString())
        for _ in range(rng.randrange(3)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            proto = TensorProto.FromString(bytes(raw[: rng.choice([len(raw), len(raw), rng.randrange(len(raw) + 1)])]))
            array = tensors.decode(proto)
        except (tensors.TensorError, DecodeError):
            continue
        assert array.shape == tuple(dim.size for dim in proto.tensor_shape.dim)
        assert array.nbytes <= tensors.MAX_MESSAGE_BYTES
        decoded += 1
    assert decoded > 100
