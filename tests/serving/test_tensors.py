"""Our encoding against TensorFlow's own."""

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from serving import tensors


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
def test_encode_is_what_tensorflow_reads(array):
    np.testing.assert_array_equal(tf.make_ndarray(tensors.encode(array)), array)
    np.testing.assert_array_equal(tensors.decode(tensors.encode(array)), array)
    as_content = tensors.encode(array, as_content=True)
    np.testing.assert_array_equal(tf.make_ndarray(as_content), array)
    np.testing.assert_array_equal(tensors.decode(as_content), array)


def test_text_is_sent_as_utf_8():
    assert tensors.decode(tensors.encode(["é", "b"])).tolist() == ["é".encode(), b"b"]


def test_a_value_that_has_no_tensor_form_is_named():
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
def test_strings_in_tensor_content_that_do_not_add_up(content):
    proto = TensorProto(dtype=tf.string.as_datatype_enum, tensor_content=content)
    proto.tensor_shape.dim.add(size=2)

    with pytest.raises(tensors.TensorError):
        tensors.decode(proto)


def test_typed_values_beside_other_fields():
    proto = tensors.encode(np.array([1.5, 2.5], np.float32))
    proto.double_val.extend([9.0])
    proto.string_val.append(b"noise")

    assert tensors.decode(proto).tolist() == [1.5, 2.5]
