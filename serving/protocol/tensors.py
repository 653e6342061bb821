"""numpy arrays to and from `TensorProto`, for the server and the client.

The functions copy whole buffers, which is several times faster than TensorFlow's own helpers. The bytes of a tensor
are little-endian, like the memory of every machine that TensorFlow is built for. A tensor's declared size is checked
before memory is allocated for it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.protocol.dtypes import BY_DTYPE, BY_ENUM, STRING, Form, TensorProto, dtype_name
from serving.protocol.dtypes import numpy_name as numpy_name

# The largest message that the server and the client accept, and the most bytes that a request's tensors may declare.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_DIMS = 64  # numpy's own limit
# Typed fields whose packed wire form equals the array's bytes -> the numpy type of one number.
_FIXED = {"float_val": "<f4", "scomplex_val": "<f4", "double_val": "<f8", "dcomplex_val": "<f8"}
_PACKED = 2  # protobuf's wire type of packed fields


class TensorError(ValueError):
    """The error of a tensor that breaks a rule.

    Args:
        text: the rule that the tensor breaks, in one phrase.
        name: the tensor's name; empty if there is only one tensor, or if the rule is about all of them together.
    """

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


def decode(proto: TensorProto) -> np.ndarray:
    """The array in a `TensorProto`, from `tensor_content` or from the typed field.

    As in TensorFlow, a typed field may hold fewer values than the shape needs; the last value fills the rest.
    Strings become an object array of bytes, and quantized types get TensorFlow's numpy dtypes. The array may be
    read-only.

    Raises:
        TensorError: the shape is unknown, has a negative dimension, or is above a limit; numpy has no form of the
            dtype; or the values do not match the shape.
    """
    return _values(proto, *_layout(proto))


def decode_all(inputs: Mapping[str, TensorProto]) -> dict[str, np.ndarray]:
    """The arrays in the tensors of a request, decoded after a check of their size in total.

    Raises:
        TensorError: see `decode`; its `name` is the tensor's. Without a name: the tensors declare more than
            `MAX_MESSAGE_BYTES` together.
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
        array: an array, or anything that numpy can turn into one; text becomes UTF-8 in a string tensor.
        as_content: put numbers into `tensor_content`, as stock clients do, because it is the fastest to read; else
            into the typed field, as TF Serving does in its answers.
        dtype: the `DataType` that a signature declares. It is needed for quantized tensors, which TensorFlow returns
            as arrays of plain integers.

    Raises:
        TensorError: TensorProto has no form of the array's dtype, or the dtype is not `dtype`.
    """
    return _encoded(_as_array(array), as_content, dtype)


def _encoded(array: np.ndarray, as_content: bool, dtype: int | None = None) -> TensorProto:
    """A `TensorProto` of an array that `_as_array` made; see `encode`."""
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
    """The tensors of a request, input name -> `TensorProto`; an error names the input.

    Raises:
        TensorError: see `encode`; or the inputs hold more than `MAX_MESSAGE_BYTES` together.
    """
    encoded, total = {}, 0
    for name, value in inputs.items():
        try:
            array = _as_array(value)
            total += array.nbytes
            if total > MAX_MESSAGE_BYTES:
                raise TensorError(f"with it the request holds {total} bytes, the limit is {MAX_MESSAGE_BYTES}")
            encoded[name] = _encoded(array, as_content=True)
        except TensorError as error:
            raise TensorError(f"input {name!r}: {error}", name) from None
    return encoded


def _layout(proto: TensorProto) -> tuple[Form, list[int], int]:
    """A tensor's form, shape and number of values as it declares them, checked against numpy's and our limits."""
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
    # Dimensions of 0 are left out of the checked product: numpy refuses [0, 2**62, 2**62], although it holds nothing.
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
            # Every byte except 0 means true. A view would pass bytes above 1 to TensorFlow, which expects 0 or 1.
            return np.ndarray(shape, np.uint8, content) != 0
        return np.ndarray(shape, form.dtype, content)
    values = _from_field(proto, form)
    if len(values) > size or (size and not len(values)):
        raise TensorError(f"shape {shape} holds {size} values, {form.field} has {len(values)}")
    if len(values) < size:
        # Repeating a string costs nothing in numpy, but TensorFlow makes a copy for each element.
        if form.enum == STRING and len(values[-1]) * (size - len(values)) > MAX_MESSAGE_BYTES:
            raise TensorError(f"its last string, repeated to fill shape {shape}, is above {MAX_MESSAGE_BYTES} bytes")
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    return values.reshape(shape)


def _from_field(proto: TensorProto, form: Form) -> np.ndarray:
    """The values in the typed field, flat; they may be fewer than the shape needs."""
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
    # int_val is 32 bits wide. TensorFlow keeps the low bits that fit the tensor's dtype, and so does astype.
    return wide.astype(plain, copy=False).view(dtype)


def _split_strings(content: bytes, size: int) -> np.ndarray:
    """The strings in `tensor_content`, which holds all lengths as varints and then all bytes."""
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
    """The varint at offset `at`, and the offset after it."""
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
    """The wire form of one packed field: a tag, a length, and the numbers as they are in memory."""
    alone = TensorProto()
    alone.CopyFrom(proto)
    alone.DiscardUnknownFields()  # type: ignore[attr-defined]
    for other, _ in alone.ListFields():
        if other.name != field:
            alone.ClearField(other.name)
    return alone.SerializeToString()


def _merge_fixed(proto: TensorProto, field: str, raw: bytes) -> None:
    """Put the bytes of an array into a packed field, without building a Python list of its numbers."""
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
        raise TensorError(f"numpy cannot make an array of it: {error}") from None
    if array.dtype.kind in "US" and array is not value:
        array = np.asarray(value, object)  # numpy's fixed-width strings lose zero bytes at their end
    if array.dtype.kind in "USO":
        return _to_bytes(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder())


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """Text and bytes as an object array of bytes of the same shape."""
    flat = np.empty(array.size, object)
    values = array.ravel().tolist()
    try:
        flat[:] = list(map(str.encode, values))  # the common case, in a quarter of the time
    except (TypeError, UnicodeEncodeError):
        flat[:] = [value if type(value) is bytes else _bytes(value) for value in values]
    return flat.reshape(array.shape)


def _bytes(value: Any) -> bytes:
    """One element of a string tensor; text is encoded as UTF-8."""
    try:
        return bytes(value) if isinstance(value, bytes) else str.encode(value)
    except TypeError:
        raise TensorError(f"a string tensor holds text or bytes, it has {type(value).__name__}") from None
    except UnicodeEncodeError:
        raise TensorError(f"text is sent as UTF-8, which cannot encode {value!r:.40}") from None
