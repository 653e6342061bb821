"""Text protos: one way to read them, and the messages that tensorflow-serving-api has no classes of."""

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from segue.errors import InputError

# TF Serving's messages, in the words of its .proto files. Text protos carry names, not numbers, so a field's
# number is its place here.
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
    """An empty message, of one of `MESSAGES`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


def parse(text: str, message: Any, source: str, fix: str) -> Any:
    """Fill a message from its text form.

    Args:
        text: the text proto.
        message: the message to fill.
        source: the file's name, for errors.
        fix: what to do if it does not parse.

    Returns:
        `message`.

    Raises:
        InputError: the text does not parse, or has a field that the message has not.
    """
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        what = str(error).rstrip(".")
        raise InputError(
            f"Invalid protobuf file: '{source}' must be a text proto of {message.DESCRIPTOR.name}: {what}.", fix
        ) from error


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    """A pool of its own: the default one may hold TF Serving's messages of the same names one day."""
    file = descriptor_pb2.FileDescriptorProto(
        name="segue/text_protos.proto", package=_PACKAGE, syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, declaration in enumerate(fields, 1):
            *repeated, kind, field = declaration.split()
            _add_field(message, field, number, kind, bool(repeated))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, repeated: bool) -> None:
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(
        name=name, number=number, label=types.LABEL_REPEATED if repeated else types.LABEL_OPTIONAL
    )
    if kind in MESSAGES:
        field.type_name = f".{_PACKAGE}.{kind}"
    elif "." in kind:
        field.type_name = f".{kind}"
    else:
        field.type = types.Type.Value(f"TYPE_{kind.upper()}")
