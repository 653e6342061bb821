"""TF Serving's messages, without importing TensorFlow.

The generated modules of tensorflow-serving-api import `tensorflow`, which costs seconds and a gigabyte in a
client that only wants to send a few arrays. Their descriptors need none of it: each generated file hands one
literal, its serialized `FileDescriptorProto`, to protobuf's default pool. Here that literal is read out of the
installed file and handed over in its stead. The pool takes the same bytes twice, and a message has one class,
so a program that does import TensorFlow shares these classes with it.
"""

import ast
import functools
import importlib.util
from pathlib import Path
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2  # noqa: F401

_POOL = descriptor_pool.Default()


def message(name: str, file: str) -> Any:
    """The class of a message.

    Args:
        name: its full name, e.g. `tensorflow.TensorProto`.
        file: the `.proto` that declares it, e.g. `tensorflow/core/framework/tensor.proto`.

    Raises:
        ImportError: the package that holds the file is not installed, or its file is not a generated one.
    """
    _add(file)
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


@functools.cache
def _add(file: str) -> None:
    """Put a file's descriptor, and those it depends on, into the pool."""
    if file.startswith("google/protobuf/"):
        return  # imported above, or a part of protobuf's own pool
    serialized = _serialized(file)
    for dependency in descriptor_pb2.FileDescriptorProto.FromString(serialized).dependency:
        _add(dependency)
    _POOL.AddSerializedFile(serialized)


def _serialized(file: str) -> bytes:
    """The `FileDescriptorProto` in the generated module of a `.proto`."""
    if file.startswith("xla/"):
        file = f"tensorflow/compiler/{file}"  # where the wheel puts it
    package, _, rest = file.partition("/")
    path = _package(package) / rest.replace(".proto", "_pb2.py")
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            return ast.literal_eval(node.args[0])
    raise ImportError(f"{path} is not a module that protoc generated: it has no AddSerializedFile.")


@functools.cache
def _package(name: str) -> Path:
    """The folder of an installed package; the package itself is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"The package {name} is not installed; tensorflow-serving-api brings it.")
    return Path(next(iter(spec.submodule_search_locations)))
