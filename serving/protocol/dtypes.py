"""TensorFlow's `DataType`s: the numpy dtype of each, and the field of a `TensorProto` that holds its values."""

from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from serving.protocol import protos

if TYPE_CHECKING:
    from tensorflow.core.framework.tensor_pb2 import TensorProto
else:
    TensorProto = protos.message("tensorflow.TensorProto", "tensorflow/core/framework/tensor.proto")


class Form(NamedTuple):
    """The numpy dtype and the `TensorProto` field of a `DataType`."""

    enum: int
    dtype: np.dtype
    plain: np.dtype  # of the integer inside a quantized type; equal to `dtype` for the other types
    field: str  # the typed field that holds the values, e.g. `float_val`


_ENUM = TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type
# typed field -> TensorFlow's names of the types it carries -> their numpy scalar types
_FIELDS: dict[str, dict[str, Any]] = {
    "float_val": {"float": np.float32},
    "double_val": {"double": np.float64},
    "half_val": {"half": np.float16, "bfloat16": ml_dtypes.bfloat16},
    "float8_val": {
        name: getattr(ml_dtypes, name)
        for name in (
            *("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"),
            "float4_e2m1fn",
        )
    },
    "int_val": {
        **{name: getattr(np, name) for name in ("int8", "int16", "int32", "uint8", "uint16")},
        **{name: getattr(ml_dtypes, name) for name in ("int2", "int4", "uint2", "uint4")},
        # TensorFlow's numpy form of a quantized type is a structure with one integer.
        **{f"q{name}": [(f"q{name}", name)] for name in ("int8", "uint8", "int16", "uint16", "int32")},
    },
    "int64_val": {"int64": np.int64},
    "uint32_val": {"uint32": np.uint32},
    "uint64_val": {"uint64": np.uint64},
    "bool_val": {"bool": np.bool_},
    "scomplex_val": {"complex64": np.complex64},
    "dcomplex_val": {"complex128": np.complex128},
    "string_val": {"string": object},
}


def _form(field: str, name: str, scalar: Any) -> Form:
    dtype = np.dtype(scalar)
    return Form(_ENUM.values_by_name[f"DT_{name.upper()}"].number, dtype, dtype[0] if dtype.names else dtype, field)


_FORMS = [_form(field, name, scalar) for field, types in _FIELDS.items() for name, scalar in types.items()]
BY_ENUM = {form.enum: form for form in _FORMS}
BY_DTYPE = {form.dtype: form for form in _FORMS}
STRING = BY_DTYPE[np.dtype(object)].enum


def dtype_name(enum: int) -> str:
    """TensorFlow's name of a `DataType`, e.g. `float` for `DT_FLOAT`."""
    value = _ENUM.values_by_number.get(enum)
    return value.name.removeprefix("DT_").lower() if value else f"type {enum}"


def numpy_name(enum: int) -> str:
    """numpy's name of a `DataType`, e.g. `float32`; TensorFlow's name for strings and types that numpy lacks."""
    form = BY_ENUM.get(enum)
    return dtype_name(enum) if form is None or form.dtype.names or enum == STRING else form.dtype.name
