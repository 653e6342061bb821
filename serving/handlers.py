"""What the server answers: plain functions from request to response message, whatever carries them."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving import tensors
from serving.manager import ModelManager
from serving.status import StatusError, invalid

DEFAULT_SIGNATURE = "serving_default"
METHODS = tuple(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))


def predict(manager: ModelManager, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    """Run one signature of one version of a model.

    Raises:
        StatusError: as TF Serving answers it.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    name, version, label = _spec(request.model_spec)
    with manager.lease(name, version, label) as servable:
        signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.model.signatures.get(signature_name)
        if signature is None:
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature_name}" not found.')
        if signature.method_name not in METHODS:
            raise StatusError(
                StatusCode.INTERNAL,
                f"Expected prediction signature method_name to be one of {_set(METHODS)}. Was: {signature.method_name}",
            )
        feeds, values = _inputs(signature, request.inputs)
        outputs = _outputs(signature, request.output_filter)
        arrays = servable.model.run(feeds, values, [signature.outputs[alias].name for alias in outputs])
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, name, servable.version, signature_name)
    for alias, array in zip(outputs, arrays, strict=True):
        try:
            response.outputs[alias].CopyFrom(tensors.encode(array))
        except tensors.TensorError as error:
            raise StatusError(StatusCode.INTERNAL, f"output {alias} cannot be sent: {error}") from error
    return response


def get_model_metadata(
    manager: ModelManager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of one version of a model.

    Raises:
        StatusError: as TF Serving answers it.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    name, version, label = _spec(request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    with manager.lease(name, version, label) as servable:
        _fill_spec(response.model_spec, name, servable.version)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, signature in servable.model.signatures.items():
            signatures.signature_def[key].CopyFrom(signature)
    response.metadata["signature_def"].Pack(signatures)
    return response


def get_model_status(
    manager: ModelManager, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of one or all versions of a model.

    Raises:
        StatusError: as TF Serving answers it.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, status in manager.statuses(*_spec(request.model_spec)).items():
        entry = response.model_version_status.add(version=version, state=status.state)
        entry.status.SetInParent()
        if status.error:
            entry.status.error_code = status.error.code.value[0]
            entry.status.error_message = status.error.text
    return response


def _spec(spec: model_pb2.ModelSpec) -> tuple[str, int | None, str | None]:
    """Name, version and label of a ModelSpec; None for what it leaves open."""
    choice = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _fill_spec(spec: model_pb2.ModelSpec, name: str, version: int, signature_name: str = "") -> None:
    spec.name = name
    spec.version.value = version
    spec.signature_name = signature_name


def _inputs(signature: Any, sent: Mapping[str, Any]) -> tuple[list[str], list[np.ndarray]]:
    """The tensors to feed and their arrays, in the order of the input names."""
    _check_names(signature, sent)
    chosen = {alias: sent[alias] if alias in sent else signature.defaults[alias] for alias in signature.inputs}
    _check_size(chosen)
    feeds, values = [], []
    for index, alias in enumerate(sorted(chosen)):
        info, proto = signature.inputs[alias], chosen[alias]
        try:
            value = tensors.decode(proto)
        except tensors.TensorError as error:
            raise invalid(f"tensor parsing error: {alias}: {error}") from error
        if proto.dtype != info.dtype:
            raise invalid(
                f"Expects arg[{index}] to be {tensors.dtype_name(info.dtype)} "
                f"but {tensors.dtype_name(proto.dtype)} is provided"
            )
        feeds.append(info.name)
        values.append(value)
    return feeds, values


def _check_names(signature: Any, sent: Mapping[str, Any]) -> None:
    """Every input of the signature is sent or has a default, and nothing else is sent."""
    expected = signature.inputs
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_set(sent)}) != len({_set(expected)}). Sent extra: {_set(set(sent) - set(expected))}. "
            f"Missing but required: {_set(set(expected) - set(sent))}."
        )
    for alias in sorted(expected):
        if alias not in sent and alias not in signature.defaults:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {expected[alias].name}) not found in request "
                f"and no default value provided. Inputs expected to be in the request {_set(sent)}, "
                f"or default input alias set: {','.join(sorted(signature.defaults))}"
            )
    if unknown := set(sent) - set(expected):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(set(sent) - unknown))}, "
            f"request input: {','.join(sorted(sent))}"
        )


def _check_size(chosen: Mapping[str, Any]) -> None:
    """What the tensors of a request declare together is within the limit; nothing is allocated before."""
    total = 0
    for alias, proto in chosen.items():
        try:
            total += tensors.declared_bytes(proto)
        except tensors.TensorError as error:
            raise invalid(f"tensor parsing error: {alias}: {error}") from error
    if total > tensors.MAX_MESSAGE_BYTES:
        raise invalid(f"The tensors of a request may hold {tensors.MAX_MESSAGE_BYTES} bytes. These declare {total}.")


def _outputs(signature: Any, output_filter: Collection[str]) -> list[str]:
    """The names of the outputs to return: those asked for, or all."""
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(output_filter) or sorted(signature.outputs)


def _set(names: Collection[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
