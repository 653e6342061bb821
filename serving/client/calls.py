"""The calls of TF Serving's gRPC services, as functions that make a request and read its answer.

Nothing here sends: the two clients do, one on threads and one on an event loop, and share these functions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from segue.errors import InputError, SegueError
from serving.protocol import protos, tensors

T = TypeVar("T")
Example = Mapping[str, Any]  # feature name -> text, bytes, a number, or a list or array of values of one of these types


def _api(name: str, file: str) -> Any:
    """A message class of TF Serving's API."""
    return protos.message(f"tensorflow.serving.{name}", f"tensorflow_serving/{file}.proto")


_ModelSpec = _api("ModelSpec", "apis/model")
_Input = _api("Input", "apis/input")
_PredictRequest, _PredictResponse = (_api(f"Predict{end}", "apis/predict") for end in ("Request", "Response"))
_ClassificationRequest, _ClassificationResponse = (
    _api(f"Classification{end}", "apis/classification") for end in ("Request", "Response")
)
_RegressionRequest, _RegressionResponse = (
    _api(f"Regression{end}", "apis/regression") for end in ("Request", "Response")
)
_MetadataRequest, _MetadataResponse, _SignatureDefMap = (
    _api(name, "apis/get_model_metadata")
    for name in ("GetModelMetadataRequest", "GetModelMetadataResponse", "SignatureDefMap")
)
_StatusRequest, _StatusResponse = (
    _api(f"GetModelStatus{end}", "apis/get_model_status") for end in ("Request", "Response")
)
_ReloadRequest, _ReloadResponse = (
    _api(f"ReloadConfig{end}", "apis/model_management") for end in ("Request", "Response")
)
_ModelServerConfig = _api("ModelServerConfig", "config/model_server_config")
_TFExample = protos.message("tensorflow.Example", "tensorflow/core/example/example.proto")
_Feature = protos.message("tensorflow.Feature", "tensorflow/core/example/feature.proto")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One call of a gRPC method, ready to send.

    Args:
        method: the path of the method, e.g. `/tensorflow.serving.PredictionService/Predict`.
        request: the bytes of the request.
        answer: the message class of the answer.
        read: takes the result out of an answer.
    """

    method: str
    request: bytes
    answer: Any
    read: Callable[[Any], T]

    def parse(self, data: bytes) -> T:
        """Read the result from the bytes of an answer.

        Raises:
            SegueError: the bytes are not a valid answer.
        """
        try:
            return self.read(self.answer.FromString(data))
        except (DecodeError, tensors.TensorError) as error:
            raise SegueError(
                f"The answer to {self.method} cannot be read: {error}.", "See the server's log."
            ) from error


def predict(
    model: str,
    inputs: Mapping[str, Any],
    signature: str = "",
    version: int | None = None,
    label: str | None = None,
    outputs: Sequence[str] = (),
) -> Call[dict[str, np.ndarray]]:
    """The call that runs a signature on arrays; see `Client.predict`."""
    try:
        encoded = tensors.encode_all(inputs)
    except tensors.TensorError as error:
        raise InputError(f"An input of model {model} cannot be sent: {error}.", "Convert it first.") from error
    spec = _spec(model, version, label, signature)
    request = _PredictRequest(model_spec=spec, inputs=encoded, output_filter=outputs)
    return _call("PredictionService/Predict", request, _PredictResponse, _arrays)


def readable_predict(model: str, inputs: Mapping[str, Any], signature: str, label: str) -> Any:
    """The `PredictRequest` message that runs a signature on arrays, with numbers that people can read."""
    encoded = {name: tensors.encode(array) for name, array in inputs.items()}
    return _PredictRequest(model_spec=_spec(model, None, label, signature), inputs=encoded)


def classify(
    model: str,
    examples: Sequence[Example],
    context: Example | None = None,
    signature: str = "",
    version: int | None = None,
    label: str | None = None,
) -> Call[list[list[tuple[str, float]]]]:
    """The call that classifies examples; see `Client.classify`."""
    spec = _spec(model, version, label, signature)
    request = _ClassificationRequest(model_spec=spec, input=_input(examples, context))
    return _call(
        "PredictionService/Classify",
        request,
        _ClassificationResponse,
        lambda answer: [
            [(entry.label, entry.score) for entry in classes.classes] for classes in answer.result.classifications
        ],
    )


def regress(
    model: str,
    examples: Sequence[Example],
    context: Example | None = None,
    signature: str = "",
    version: int | None = None,
    label: str | None = None,
) -> Call[np.ndarray]:
    """The call that regresses examples; see `Client.regress`."""
    spec = _spec(model, version, label, signature)
    request = _RegressionRequest(model_spec=spec, input=_input(examples, context))
    return _call(
        "PredictionService/Regress",
        request,
        _RegressionResponse,
        lambda answer: np.array([entry.value for entry in answer.result.regressions], np.float32),
    )


def metadata(model: str, version: int | None = None, label: str | None = None) -> Call[dict[str, Any]]:
    """The call for the signatures of a model; see `Client.metadata`."""
    request = _MetadataRequest(model_spec=_spec(model, version, label), metadata_field=["signature_def"])
    return _call("PredictionService/GetModelMetadata", request, _MetadataResponse, _signatures)


def status(model: str, version: int | None = None, label: str | None = None) -> Call[dict[int, dict[str, str]]]:
    """The call for the states of a model's versions; see `Client.status`."""
    return _call(
        "ModelService/GetModelStatus",
        _StatusRequest(model_spec=_spec(model, version, label)),
        _StatusResponse,
        lambda answer: {
            entry.version: {"state": _state_name(entry), "error": entry.status.error_message}
            for entry in answer.model_version_status
        },
    )


def reload_config(config: Any) -> Call[None]:
    """The call that replaces the configuration of a server's models; see `Client.reload_config`."""
    if isinstance(config, str):
        from google.protobuf import text_format  # imported for text only

        try:
            config = text_format.Parse(config, _ModelServerConfig())
        except text_format.ParseError as error:
            raise InputError(f"A config is a ModelServerConfig in text form: {error}.", "Correct the text.") from error
    # A server that refuses the config says so in the status of the call too, so the answer is not read.
    return _call(
        "ModelService/HandleReloadConfigRequest", _ReloadRequest(config=config), _ReloadResponse, lambda answer: None
    )


def hindrance(versions: Mapping[int, Mapping[str, str]]) -> str:
    """Why a model does not answer, from the result of its `status` call; empty if a version is available."""
    if any(entry["state"] == "AVAILABLE" for entry in versions.values()):
        return ""
    return "; ".join(f"version {v} is {e['state']} {e['error']}".strip() for v, e in versions.items()) or "no version"


def _call(method: str, request: Any, answer: Any, read: Callable[[Any], T]) -> Call[T]:
    """Make a call; InputError if the request is larger than a message may be."""
    data = request.SerializeToString()
    if len(data) > tensors.MAX_MESSAGE_BYTES:
        raise InputError(
            f"A request has at most {tensors.MAX_MESSAGE_BYTES} bytes. Received {len(data)}.",
            "Send fewer rows at a time.",
        )
    return Call(f"/tensorflow.serving.{method}", data, answer, read)


def _spec(model: str, version: int | None, label: str | None, signature: str = "") -> Any:
    """A `ModelSpec`; InputError if both a version and a label are given."""
    if version is not None and label is not None:
        raise InputError(
            f"A request names a version or a label, not both. Received {version} and {label!r}.",
            "Give only one of the two.",
        )
    spec = _ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def _input(examples: Sequence[Example], context: Example | None) -> Any:
    """An `Input` message: the examples, and the context that they share."""
    listed: dict[str, Any] = {"examples": [_example(example) for example in examples]}
    if context is None:
        return _Input(example_list=listed)
    return _Input(example_list_with_context={**listed, "context": _example(context)})


def _example(features: Example) -> Any:
    """Features as a `tf.Example`."""
    example = _TFExample()
    example.features.SetInParent()
    for name, value in features.items():
        example.features.feature[name].CopyFrom(_feature(name, value))
    return example


def _feature(name: str, value: Any) -> Any:
    """A value as a `tf.train.Feature`: integers and booleans as int64, other numbers as float, text as UTF-8."""
    if isinstance(value, np.ndarray | np.generic):
        value = np.ravel(value).tolist()
    values = list(value) if isinstance(value, list | tuple) else [value]
    values = [item.item() if isinstance(item, np.generic) else item for item in values]
    try:
        if not values:
            return _Feature()
        if all(isinstance(item, str | bytes) for item in values):
            encoded = [item.encode() if isinstance(item, str) else item for item in values]
            return _Feature(bytes_list={"value": encoded})
        if all(isinstance(item, int) for item in values):
            return _Feature(int64_list={"value": values})
        if all(isinstance(item, int | float) for item in values):
            return _Feature(float_list={"value": values})
    except (ValueError, OverflowError) as error:
        raise InputError(f"Feature {name!r} cannot be sent: {error}.", "Integers have at most 64 bits.") from error
    types = ", ".join(sorted({type(item).__name__ for item in values}))
    raise InputError(
        f"A feature holds only text, only bytes or only numbers. {name!r} has {types}.", "Convert the values first."
    )


def _arrays(answer: Any) -> dict[str, np.ndarray]:
    """The outputs of a Predict call as arrays that the caller may change."""
    arrays = tensors.decode_all(answer.outputs)
    return {name: array if array.flags.writeable else array.copy() for name, array in arrays.items()}


def _signatures(answer: Any) -> dict[str, Any]:
    """The version and the signatures in a GetModelMetadata answer; see `Client.metadata`."""
    signatures = _SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    return {
        "version": answer.model_spec.version.value,
        "signatures": {
            name: {"inputs": tensor_specs(signature.inputs), "outputs": tensor_specs(signature.outputs)}
            for name, signature in signatures.signature_def.items()
        },
    }


def tensor_specs(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The dtype and shape of each tensor of a signature."""
    return {
        name: {
            "dtype": tensors.numpy_name(info.dtype),
            "shape": None
            if info.tensor_shape.unknown_rank
            else [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim],
        }
        for name, info in infos.items()
    }


def _state_name(entry: Any) -> str:
    """The name of a version's state, or its number if a newer server sends a state that is not known here."""
    value = entry.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number.get(entry.state)
    return value.name if value else str(entry.state)
