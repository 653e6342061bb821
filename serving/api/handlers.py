"""The answers of the server: request message in, response message out, for gRPC and REST alike.

Rules and error texts are those of TF Serving's servables/tensorflow (predict_util.cc, get_model_metadata_impl.cc,
get_model_status_impl.cc).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.protocol import tensors
from serving.protocol.status import StatusError, invalid
from serving.server.loader import Signature
from serving.server.manager import ModelManager
from serving.server.servable import Servable

DEFAULT_SIGNATURE = "serving_default"
METHODS = tuple(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))


@dataclass(frozen=True)
class Rules:
    """Choices in answering requests that TF Serving makes by flags.

    Attributes:
        check_method_names: refuse signatures whose `method_name` is not the one that TF Serving expects for the call.
        tensor_content: put Predict's numbers into `tensor_content` instead of the typed fields.
    """

    check_method_names: bool = False
    tensor_content: bool = False


async def predict(
    servable: Servable, request: predict_pb2.PredictRequest, rules: Rules = Rules()
) -> predict_pb2.PredictResponse:
    """The outputs of one signature for a request's inputs.

    Raises:
        StatusError: the request breaks a rule; code and text are TF Serving's.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.model.signatures.get(name)
    if signature is None:
        raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    if rules.check_method_names and signature.proto.method_name not in METHODS:
        raise StatusError(
            StatusCode.INTERNAL,
            "Expected prediction signature method_name to be one of {"
            f"{', '.join(METHODS)}}}. Was: {signature.proto.method_name}",
        )
    feeds, values = _inputs(signature, request.inputs)
    outputs = _outputs(signature, request.output_filter)
    fetches = signature.fetches if outputs is signature.outputs else tuple(name for name, _ in outputs.values())
    arrays = await servable.run(feeds, values, fetches)
    response = predict_pb2.PredictResponse()
    fill_spec(response.model_spec, servable, name)
    for (alias, (_, dtype)), array in zip(outputs.items(), arrays, strict=True):
        try:
            response.outputs[alias].CopyFrom(tensors.encode(array, rules.tensor_content, dtype))
        except tensors.TensorError as error:
            raise StatusError(StatusCode.INTERNAL, f"Output {alias} cannot be sent: {error}") from error
    return response


def get_model_metadata(
    servable: Servable, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a version.

    Raises:
        StatusError: the request breaks a rule; code and text are TF Serving's.
    """
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    fill_spec(response.model_spec, servable)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in servable.model.signatures.items():
        signatures.signature_def[key].CopyFrom(signature.proto)
    response.metadata["signature_def"].Pack(signatures)
    return response


def get_model_status(
    manager: ModelManager, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The states of all versions of a model, or of the single version that the request names.

    Raises:
        StatusError: the request breaks a rule or names a model that is not served; code and text are TF Serving's.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, status in manager.statuses(*read_spec(request)).items():
        entry = response.model_version_status.add(version=version, state=status.state)
        entry.status.SetInParent()
        if status.error:
            entry.status.error_code = status.error.code.value[0]
            entry.status.error_message = status.error.text
    return response


def read_spec(request: Any) -> tuple[str, int | None, str | None]:
    """Name, version and label in a request's ModelSpec; see `unpack_spec`.

    Raises:
        StatusError: the request has no ModelSpec.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return unpack_spec(request.model_spec)


def unpack_spec(spec: model_pb2.ModelSpec) -> tuple[str, int | None, str | None]:
    """Name, version and label of a ModelSpec; version and label are None where the ModelSpec does not give them."""
    choice = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def fill_spec(spec: model_pb2.ModelSpec, servable: Servable, signature_name: str = "") -> None:
    """Put the version that answered into the ModelSpec of a response."""
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature_name


def _inputs(signature: Signature, sent: Mapping[str, Any]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The names of the tensors to feed, and their arrays in the same order; an input not sent gets its default."""
    defaults = signature.proto.defaults
    if len(sent) != len(signature.inputs) or any(alias not in sent for alias in signature.inputs):
        _check_names(signature, sent)
    chosen = {alias: sent[alias] if alias in sent else defaults[alias] for alias in signature.inputs}
    try:
        values = tensors.decode_all(chosen)
    except tensors.TensorError as error:
        raise invalid(f"tensor parsing error: {error.name}: {error}" if error.name else str(error)) from error
    for index, (alias, (_, dtype)) in enumerate(signature.inputs.items()):
        if chosen[alias].dtype != dtype:
            raise invalid(
                f"Expects arg[{index}] to be {tensors.dtype_name(dtype)} "
                f"but {tensors.dtype_name(chosen[alias].dtype)} is provided"
            )
    return signature.feeds, list(values.values())


def _check_names(signature: Signature, sent: Mapping[str, Any]) -> None:
    """Raise unless every input of the signature is sent or has a default, and nothing else is sent."""
    expected, defaults = signature.inputs, signature.proto.defaults
    missing = set(expected) - set(sent) - set(defaults)
    if len(sent) > len(expected) or (missing and len(sent) < len(expected)):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_set(sent)}) != len({_set(expected)}). Sent extra: {_set(set(sent) - set(expected))}. "
            f"Missing but required: {_set(missing)}."
        )
    if unknown := sorted(set(sent) - set(expected)):
        raise invalid(
            f"input tensor alias not found in signature: {unknown[0]}. "
            f"Inputs expected to be in the set {_set(expected)}."
        )


def _outputs(signature: Signature, output_filter: Collection[str]) -> Mapping[str, tuple[str, int]]:
    """The outputs to return, as in `Signature.outputs`: those in the filter, or all if the filter is empty."""
    chosen: dict[str, tuple[str, int]] = {}
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in chosen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        chosen[alias] = signature.outputs[alias]
    return chosen or signature.outputs


def _set(names: Collection[str]) -> str:
    """Names as TF Serving prints a set, e.g. `{a,b}`."""
    return "{" + ",".join(sorted(names)) + "}"
