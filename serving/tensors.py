"""numpy arrays to and from `TensorProto`, on the buffers: several times faster than TensorFlow's own helpers.

The bytes of a tensor are little-endian, as the memory of every machine that TensorFlow is built for.
Used by the server and the client. Everything a sender declares is checked before memory is taken for it.
"""

import math
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

# The largest message either side accepts, and the most memory that the tensors of one request may declare.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_DIMS = 64  # numpy's own limit

# TensorProto.dtype: (numpy dtype, the typed field that holds its values)
_DTYPES: dict[int, tuple[np.dtype, str]] = {
    types_pb2.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    types_pb2.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    types_pb2.DT_HALF: (np.dtype(np.float16), "half_val"),
    types_pb2.DT_BFLOAT16: (np.dtype(ml_dtypes.bfloat16), "half_val"),
    types_pb2.DT_INT8: (np.dtype(np.int8), "int_val"),
    types_pb2.DT_INT16: (np.dtype(np.int16), "int_val"),
    types_pb2.DT_INT32: (np.dtype(np.int32), "int_val"),
    types_pb2.DT_INT64: (np.dtype(np.int64), "int64_val"),
    types_pb2.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    types_pb2.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    types_pb2.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    types_pb2.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
    types_pb2.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    types_pb2.DT_COMPLEX64: (np.dtype(np.complex64), "scomplex_val"),
    types_pb2.DT_COMPLEX128: (np.dtype(np.complex128), "dcomplex_val"),
    types_pb2.DT_STRING: (np.dtype(object), "string_val"),
}
_ENUMS = {dtype: enum for enum, (dtype, _) in _DTYPES.items()}
# Fields whose packed wire form is the array's own bytes: the type of one number there.
_FIXED = {"float_val": "<f4", "scomplex_val": "<f4", "double_val": "<f8", "dcomplex_val": "<f8"}
_PACKED = 2  # protobuf's wire type of packed fields


class TensorError(ValueError):
    """A tensor breaks a rule: what is wrong with it, in one phrase."""


def dtype_name(enum: int) -> str:
    """A `DataType` as TensorFlow prints it, e.g. `float` for `DT_FLOAT`."""
    try:
        return types_pb2.DataType.Name(enum).removeprefix("DT_").lower()
    except ValueError:
        return f"type {enum}"


def numpy_name(enum: int) -> str:
    """A `DataType` as numpy names it, `string` for strings."""
    if enum not in _DTYPES or enum == types_pb2.DT_STRING:
        return dtype_name(enum)
    return _DTYPES[enum][0].name


def declared_bytes(proto: tensor_pb2.TensorProto) -> int:
    """The memory that `proto` asks for once decoded; strings count as one pointer each.

    Raises:
        TensorError: an unknown shape, a negative or too large dimension, or a dtype without a numpy form.
    """
    return math.prod(_shape(proto)) * _dtype(proto)[0].itemsize


def decode(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array in a `TensorProto`, from `tensor_content` or from the typed field.

    As in TensorFlow, a typed field may hold fewer values than the shape asks for; the last one fills the
    rest. Strings come out as an object array of bytes.

    Raises:
        TensorError: see `declared_bytes`; also values that do not match the shape.
    """
    shape = _shape(proto)
    dtype, field = _dtype(proto)
    size = math.prod(shape)
    if proto.tensor_content:
        return _from_content(proto.tensor_content, dtype, size).reshape(shape)
    values = _from_field(proto, dtype, field)
    if len(values) > size or (size and not len(values)):
        raise TensorError(f"shape {list(shape)} holds {size} values, {field} has {len(values)}")
    if len(values) < size:
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    return values.reshape(shape)


def encode(array: Any, as_content: bool = False) -> tensor_pb2.TensorProto:
    """A `TensorProto` of an array.

    Args:
        array: anything that numpy takes; text is sent as UTF-8 in a string tensor.
        as_content: put numbers into `tensor_content`, as stock clients ask, since it is the fastest to read;
            else into the typed field, as TF Serving answers.

    Raises:
        TensorError: a dtype that TensorProto does not have.
    """
    array = np.asarray(array)
    if array.dtype.kind in "USO":
        array = _to_bytes(array)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder())
    if array.dtype not in _ENUMS:
        raise TensorError(f"dtype {array.dtype} has no TensorProto form")
    enum = _ENUMS[array.dtype]
    field = _DTYPES[enum][1]
    proto = tensor_pb2.TensorProto(dtype=enum)
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content and field != "string_val":
        proto.tensor_content = array.tobytes()
    elif field in _FIXED:
        _merge_fixed(proto, field, np.ascontiguousarray(array).view(_FIXED[field]).tobytes() if array.size else b"")
    elif field == "half_val":
        proto.half_val.extend(np.ascontiguousarray(array).view(np.uint16).ravel().tolist())
    else:
        getattr(proto, field).extend(array.ravel().tolist())
    return proto


def encode_all(inputs: Mapping[str, Any]) -> dict[str, tensor_pb2.TensorProto]:
    """`encode` of each value for a request; an error names the input."""
    encoded = {}
    for name, value in inputs.items():
        try:
            encoded[name] = encode(value, as_content=True)
        except TensorError as error:
            raise TensorError(f"input {name!r}: {error}") from None
    return encoded


def _shape(proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    """The declared shape, if numpy can have it within the size limit."""
    if proto.tensor_shape.unknown_rank:
        raise TensorError("its shape has unknown rank")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > MAX_DIMS:
        raise TensorError(f"it has {len(shape)} dimensions, the limit is {MAX_DIMS}")
    if any(size < 0 for size in shape):
        raise TensorError(f"shape {list(shape)} has a negative dimension")
    # Zeros are left out: numpy refuses [0, 2**62, 2**62] although it holds nothing.
    if math.prod(size for size in shape if size) > MAX_MESSAGE_BYTES:
        raise TensorError(f"shape {list(shape)} is above the limit of {MAX_MESSAGE_BYTES} bytes a request")
    return shape


def _dtype(proto: tensor_pb2.TensorProto) -> tuple[np.dtype, str]:
    if proto.dtype not in _DTYPES:
        raise TensorError(f"dtype {dtype_name(proto.dtype)} is not supported")
    return _DTYPES[proto.dtype]


def _from_content(content: bytes, dtype: np.dtype, size: int) -> np.ndarray:
    """The flat values in `tensor_content`."""
    if dtype.kind == "O":
        return _split_strings(content, size)
    if len(content) != size * dtype.itemsize:
        raise TensorError(f"its shape needs {size * dtype.itemsize} bytes, tensor_content has {len(content)}")
    if dtype == np.bool_:
        # Any byte but 0 is true; a view would hand other bytes than 0 and 1 to TensorFlow as they are.
        return np.frombuffer(content, np.uint8) != 0
    return np.frombuffer(content, dtype)


def _from_field(proto: tensor_pb2.TensorProto, dtype: np.dtype, field: str) -> np.ndarray:
    """The flat values in the typed field, as many as there are."""
    values = getattr(proto, field)
    if not values:
        return np.empty(0, dtype)
    if field in _FIXED:
        number = np.dtype(_FIXED[field])
        packed = _alone(proto, field)
        flat = np.frombuffer(packed, number, len(values), len(packed) - number.itemsize * len(values))
        if dtype.kind == "c" and len(values) % 2:
            raise TensorError(f"{field} holds pairs, it has {len(values)} numbers")
        return flat.view(dtype)
    if dtype.kind == "O":
        flat = np.empty(len(values), object)
        flat[:] = values
        return flat
    if field == "half_val":
        return np.fromiter(values, np.int32, len(values)).astype(np.uint16).view(dtype)
    wide = np.fromiter(values, np.int64 if field == "int_val" else dtype, len(values))
    # int_val is 32 bits wide; TensorFlow cuts to the tensor's own width, as astype does.
    return wide.astype(dtype, copy=False)


def _split_strings(content: bytes, size: int) -> np.ndarray:
    """Strings in `tensor_content`: all lengths as varints, then all bytes."""
    if size > len(content):
        raise TensorError(f"its shape holds {size} strings, tensor_content has {len(content)} bytes")
    lengths, at = [], 0
    for _ in range(size):
        length, at = _varint(content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise TensorError(f"its strings need {at + sum(lengths)} bytes, tensor_content has {len(content)}")
    flat = np.empty(size, object)
    for index, length in enumerate(lengths):
        flat[index] = content[at : at + length]
        at += length
    return flat


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset, and the offset after it."""
    value = 0
    for shift in range(0, 35, 7):
        if at == len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise TensorError("a string's length in tensor_content is cut off or too large")


def _alone(proto: tensor_pb2.TensorProto, field: str) -> bytes:
    """One packed field of a message, serialized alone: a tag, a length, the numbers as they lie in memory."""
    alone = tensor_pb2.TensorProto()
    alone.CopyFrom(proto)
    alone.DiscardUnknownFields()  # type: ignore[attr-defined]
    for other, _ in alone.ListFields():
        if other.name != field:
            alone.ClearField(other.name)
    return alone.SerializeToString()


def _merge_fixed(proto: tensor_pb2.TensorProto, field: str, raw: bytes) -> None:
    """Put the bytes of an array into a packed field, past the list that Python would have to build."""
    number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[field].number
    head, length = bytearray([number << 3 | _PACKED]), len(raw)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    proto.MergeFromString(bytes(head) + raw)


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """Text and bytes as an object array of bytes of the same shape."""
    flat = np.empty(array.size, object)
    for index, value in enumerate(array.ravel().tolist()):
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes):
            raise TensorError(f"a string tensor holds text or bytes, it has {type(value).__name__}")
        flat[index] = value
    return flat.reshape(array.shape)
