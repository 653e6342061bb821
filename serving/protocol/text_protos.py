"""Reading text protos, and the messages of TF Serving that tensorflow-serving-api has no classes for."""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from segue.errors import InputError

# Message -> its fields, as TF Serving's .proto files declare them. Text protos use the names of fields only, so a
# field's number can be its place in this list.
MESSAGES = {
    "PrometheusConfig": ("bool enable", "string path"),
    "MonitoringConfig": ("PrometheusConfig prometheus_config",),
    "SSLConfig": ("string server_key", "string server_cert", "string custom_ca", "bool client_verify"),
    "BatchingParameters": (
        "google.protobuf.Int64Value max_batch_size",
        "google.protobuf.Int64Value batch_timeout_micros",
        "google.protobuf.Int64Value max_enqueued_batches",
        "google.protobuf.Int64Value num_batch_threads",
        "google.protobuf.StringValue thread_pool_name",
        "repeated int64 allowed_batch_sizes",
        "bool pad_variable_length_inputs",
        "google.protobuf.BoolValue enable_large_batch_splitting",
        "google.protobuf.Int64Value max_execution_batch_size",
    ),
}
_PACKAGE = "tensorflow.serving"


def new(name: str) -> Any:
    """An empty message; `name` is a key of `MESSAGES`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


def parse(text: str, message: Any, source: str, fix: str) -> Any:
    """Fill a message from its text form.

    Args:
        text: the text proto.
        message: the message to fill.
        source: the file's name, for errors.
        fix: the advice of the error if the text does not parse.

    Returns:
        `message`.

    Raises:
        InputError: the text does not parse, or names a field that the message does not have.
    """
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = str(error).rstrip(".").replace(" : ", ": ", 1)
        # TF Serving's own words: its client suite waits for them.
        raise InputError(
            f"Invalid protobuf file: '{source}': Error parsing text-format {message.DESCRIPTOR.full_name}: {reason}.",
            fix,
        ) from error


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """The pool with the descriptors of `MESSAGES`.

    It is not protobuf's default pool, because a later tensorflow-serving-api may add messages of these names there.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="segue/text_protos.proto", package=_PACKAGE, syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, declaration in enumerate(fields, 1):
            *repeated, type_name, field_name = declaration.split()
            _add_field(message, field_name, number, type_name, bool(repeated))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, type_name: str, repeated: bool) -> None:
    """Declare a field of a message; `type_name` is protobuf's, e.g. `int64` or `google.protobuf.Int64Value`."""
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(
        name=name, number=number, label=types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
    )
    if type_name in MESSAGES:
        field.type_name = f".{_PACKAGE}.{type_name}"
    elif "." in type_name:
        field.type_name = f".{type_name}"
    else:
        field.type = types.Type.Value(f"TYPE_{type_name.upper()}")
