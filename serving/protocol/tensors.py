"""numpy arrays to and from `TensorProto`, on the buffers: several times faster than TensorFlow's own helpers.

The bytes of a tensor are little-endian, as the memory of every machine that TensorFlow is built for.
Used by the server and the client. Everything a sender declares is checked before memory is taken for it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.protocol.dtypes import BY_DTYPE, BY_ENUM, STRING, Form, TensorProto, dtype_name
from serving.protocol.dtypes import numpy_name as numpy_name

# The largest message either side accepts, and the most memory that the tensors of one request may declare.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_DIMS = 64  # numpy's own limit
# Fields whose packed wire form is the array's own bytes: the type of one number there.
_FIXED = {"float_val": "<f4", "scomplex_val": "<f4", "double_val": "<f8", "dcomplex_val": "<f8"}
_PACKED = 2  # protobuf's wire type of packed fields


class TensorError(ValueError):
    """A tensor breaks a rule.

    Args:
        text: what is wrong with it, in one phrase.
        name: which of several tensors it is; empty for a lone one, and for all of them together.
    """

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


def decode(proto: TensorProto) -> np.ndarray:
    """The array in a `TensorProto`, from `tensor_content` or from the typed field.

    As in TensorFlow, a typed field may hold fewer values than the shape asks for; the last one fills the
    rest. Strings come out as an object array of bytes, quantized types as TensorFlow's numpy dtypes. The
    array may be read-only.

    Raises:
        TensorError: an unknown shape, a negative dimension, too many or too large ones, a dtype without a numpy
            form, or values that do not match the shape.
    """
    return _values(proto, *_layout(proto))


def decode_all(inputs: Mapping[str, TensorProto]) -> dict[str, np.ndarray]:
    """`decode` of each tensor of a request, after a check of what they ask for together.

    Raises:
        TensorError: see `decode`, with the tensor's name in `name`; or, with no name, what they declare together
            is above the limit.
    """
    layouts, total = {}, 0
    name = ""
    try:
        for name, proto in inputs.items():
            layouts[name] = form, _, size = _layout(proto)
            total += size * form.dtype.itemsize
        if total <= MAX_MESSAGE_BYTES:
            arrays = {}
            for name, layout in layouts.items():
                arrays[name] = _values(inputs[name], *layout)
            return arrays
    except TensorError as error:
        error.name = name
        raise
    raise TensorError(f"The tensors of a request may hold {MAX_MESSAGE_BYTES} bytes. These declare {total}.")


def encode(array: Any, as_content: bool = False, dtype: int | None = None) -> TensorProto:
    """A `TensorProto` of an array.

    Args:
        array: anything that numpy takes; text is sent as UTF-8 in a string tensor.
        as_content: put numbers into `tensor_content`, as stock clients ask, since it is the fastest to read;
            else into the typed field, as TF Serving answers.
        dtype: the `DataType` that a signature declares. TensorFlow hands out quantized tensors as plain integers:
            only this tells the two apart.

    Raises:
        TensorError: a dtype that TensorProto does not have, or another than `dtype`.
    """
    array = _as_array(array)
    form = BY_DTYPE.get(array.dtype) if dtype is None else BY_ENUM.get(dtype)
    if form is None:
        raise TensorError(f"dtype {array.dtype if dtype is None else dtype_name(dtype)} has no TensorProto form")
    if array.dtype != form.plain:
        if array.dtype != form.dtype:
            raise TensorError(f"dtype {array.dtype} is not {dtype_name(form.enum)}, as declared")
        array = array.view(form.plain)
    field = form.field
    proto = TensorProto(dtype=form.enum)
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content and field != "string_val":
        proto.tensor_content = array.tobytes()
    elif field in _FIXED:
        _merge_fixed(proto, field, array.tobytes())
    elif field == "float8_val":
        proto.float8_val = array.tobytes()
    elif field == "half_val":
        proto.half_val.extend(np.ascontiguousarray(array).view(np.uint16).ravel().tolist())
    elif field == "int_val":
        proto.int_val.extend(array.astype(np.int32, copy=False).ravel().tolist())
    else:
        getattr(proto, field).extend(array.ravel().tolist())
    return proto


def encode_all(inputs: Mapping[str, Any]) -> dict[str, TensorProto]:
    """`encode` of each value for a request; an error names the input."""
    encoded, total = {}, 0
    for name, value in inputs.items():
        try:
            array = _as_array(value)
            total += array.nbytes
            if total > MAX_MESSAGE_BYTES:
                raise TensorError(f"with it the request holds {total} bytes, the limit is {MAX_MESSAGE_BYTES}")
            encoded[name] = encode(array, as_content=True)
        except TensorError as error:
            raise TensorError(f"input {name!r}: {error}", name) from None
    return encoded


def _layout(proto: TensorProto) -> tuple[Form, list[int], int]:
    """What a tensor declares, if numpy can have it within the size limit: its form, shape and number of values."""
    form = BY_ENUM.get(proto.dtype)
    if form is None:
        raise TensorError(f"dtype {dtype_name(proto.dtype)} is not supported")
    shape = proto.tensor_shape
    if shape.unknown_rank:
        raise TensorError("its shape has unknown rank")
    dims = shape.dim
    if len(dims) > MAX_DIMS:
        raise TensorError(f"it has {len(dims)} dimensions, the limit is {MAX_DIMS}")
    sizes = [dim.size for dim in dims]
    # Zeros are left out of the limit's product: numpy refuses [0, 2**62, 2**62] although it holds nothing.
    values, size = 1, 1
    for dim in sizes:
        if dim < 0:
            raise TensorError(f"shape {sizes} has a negative dimension")
        size *= dim
        values *= dim or 1
    if values * form.dtype.itemsize > MAX_MESSAGE_BYTES:
        raise TensorError(f"shape {sizes} is above the limit of {MAX_MESSAGE_BYTES} bytes a request")
    return form, sizes, size


def _values(proto: TensorProto, form: Form, shape: list[int], size: int) -> np.ndarray:
    """The values of a tensor in its declared shape."""
    content = proto.tensor_content
    if content:
        if form.enum == STRING:
            return _split_strings(content, size).reshape(shape)
        if len(content) != size * form.dtype.itemsize:
            raise TensorError(f"its shape needs {size * form.dtype.itemsize} bytes, tensor_content has {len(content)}")
        if form.field == "bool_val":
            # Any byte but 0 is true; a view would hand other bytes than 0 and 1 to TensorFlow as they are.
            return np.ndarray(shape, np.uint8, content) != 0
        return np.ndarray(shape, form.dtype, content)
    values = _from_field(proto, form)
    if len(values) > size or (size and not len(values)):
        raise TensorError(f"shape {shape} holds {size} values, {form.field} has {len(values)}")
    if len(values) < size:
        # A string that is repeated costs nothing here, but TensorFlow copies it to every place.
        if form.enum == STRING and len(values[-1]) * (size - len(values)) > MAX_MESSAGE_BYTES:
            raise TensorError(f"its last string, repeated to fill shape {shape}, is above {MAX_MESSAGE_BYTES} bytes")
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    return values.reshape(shape)


def _from_field(proto: TensorProto, form: Form) -> np.ndarray:
    """The flat values in the typed field, as many as there are."""
    _, dtype, plain, field = form
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
    if field == "float8_val":
        return np.frombuffer(values, dtype)
    if field == "string_val":
        flat = np.empty(len(values), object)
        flat[:] = values
        return flat
    if field == "half_val":
        return np.fromiter(values, np.int32, len(values)).astype(np.uint16).view(dtype)
    wide = np.fromiter(values, np.int64 if field == "int_val" else dtype, len(values))
    # int_val is 32 bits wide; TensorFlow cuts to the tensor's own width, as astype does.
    return wide.astype(plain, copy=False).view(dtype)


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


def _alone(proto: TensorProto, field: str) -> bytes:
    """One packed field of a message, serialized alone: a tag, a length, the numbers as they lie in memory."""
    alone = TensorProto()
    alone.CopyFrom(proto)
    alone.DiscardUnknownFields()  # type: ignore[attr-defined]
    for other, _ in alone.ListFields():
        if other.name != field:
            alone.ClearField(other.name)
    return alone.SerializeToString()


def _merge_fixed(proto: TensorProto, field: str, raw: bytes) -> None:
    """Put the bytes of an array into a packed field, past the list that Python would have to build."""
    number = TensorProto.DESCRIPTOR.fields_by_name[field].number
    head, length = bytearray([number << 3 | _PACKED]), len(raw)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    proto.MergeFromString(bytes(head) + raw)


def _as_array(value: Any) -> np.ndarray:
    """The value as an array of native byte order; text and bytes as an object array of bytes."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise TensorError(f"numpy cannot take it: {error}") from None
    if array.dtype.kind in "US" and array is not value:
        array = np.asarray(value, object)  # numpy's fixed-width strings lose zero bytes at their end
    if array.dtype.kind in "USO":
        return _to_bytes(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder())


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """Text and bytes as an object array of bytes of the same shape."""
    flat = np.empty(array.size, object)
    flat[:] = [value if type(value) is bytes else _bytes(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def _bytes(value: Any) -> bytes:
    try:
        return bytes(value) if isinstance(value, bytes) else str.encode(value)
    except TypeError:
        raise TensorError(f"a string tensor holds text or bytes, it has {type(value).__name__}") from None
    except UnicodeEncodeError:
        raise TensorError(f"text is sent as UTF-8, which {value!r:.40} has no form in") from None
