"""Classify, Regress and MultiInference: calls whose requests contain `tf.Example`s.

Rules and error texts are those of TF Serving's servables/tensorflow (util.cc, classifier.cc, regressor.cc,
multi_inference_helper.cc).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from serving.api.handlers import DEFAULT_SIGNATURE, Rules, fill_spec
from serving.protocol import tensors
from serving.protocol.status import StatusError, invalid
from serving.server.loader import Signature
from serving.server.servable import Servable

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"


async def classify(
    servable: Servable, request: classification_pb2.ClassificationRequest, rules: Rules = Rules()
) -> classification_pb2.ClassificationResponse:
    """The classes and scores of each example.

    Raises:
        StatusError: the request breaks a rule; code and text are TF Serving's.
    """
    name, arrays, size = await _run(servable, request, _classify_outputs, rules)
    response = classification_pb2.ClassificationResponse()
    fill_spec(response.model_spec, servable, name)
    _fill_classifications(response.result, arrays, size)
    return response


async def regress(
    servable: Servable, request: regression_pb2.RegressionRequest, rules: Rules = Rules()
) -> regression_pb2.RegressionResponse:
    """One number for each example.

    Raises:
        StatusError: the request breaks a rule; code and text are TF Serving's.
    """
    name, arrays, size = await _run(servable, request, _regress_outputs, rules)
    response = regression_pb2.RegressionResponse()
    fill_spec(response.model_spec, servable, name)
    _fill_regressions(response.result, arrays[OUTPUTS], size)
    return response


async def multi_inference(
    servable: Servable, request: inference_pb2.MultiInferenceRequest, rules: Rules = Rules()
) -> inference_pb2.MultiInferenceResponse:
    """The results of several signatures for the same examples, computed in one run of the graph.

    Raises:
        StatusError: the request breaks a rule; code and text are TF Serving's.
    """
    signatures: dict[str, tuple[Signature, list[str]]] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != servable.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in signatures:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        signature = servable.model.signatures.get(name)
        if signature is None:
            raise invalid(f"Requested signature not found in model graph: {name}")
        if task.method_name not in (CLASSIFY, REGRESS):
            raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        check = _classify_outputs if task.method_name == CLASSIFY else _regress_outputs
        signatures[name] = signature, check(signature, rules)
    examples = serialized(request.input)
    fetches = tuple(
        dict.fromkeys(signature.outputs[alias][0] for signature, outputs in signatures.values() for alias in outputs)
    )
    feeds = tuple(dict.fromkeys(feed for signature, _ in signatures.values() for feed in signature.feeds))
    arrays = dict(zip(fetches, await servable.run(feeds, [examples] * len(feeds), fetches), strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task, (name, (signature, outputs)) in zip(request.tasks, signatures.items(), strict=True):
        result = response.results.add()
        fill_spec(result.model_spec, servable, name)
        output_arrays = {alias: arrays[signature.outputs[alias][0]] for alias in outputs}
        if task.method_name == CLASSIFY:
            _fill_classifications(result.classification_result, output_arrays, len(examples))
        else:
            _fill_regressions(result.regression_result, output_arrays[OUTPUTS], len(examples))
    return response


def serialized(request: input_pb2.Input) -> np.ndarray:
    """The examples of a request as a string tensor, [examples]; each includes the features of the context.

    Raises:
        StatusError: there are no examples; or the context, repeated in each example, is above the size limit.
    """
    field = request.WhichOneof("kind")
    if field is None:
        raise invalid("Input is empty.")
    batch: Any = getattr(request, field)
    # Protobuf merges concatenated messages, and a later one wins: the example's features override the context's.
    context = batch.context.SerializeToString() if field == "example_list_with_context" else b""
    if not batch.examples:
        raise invalid("Input is empty.")
    if len(context) * len(batch.examples) > tensors.MAX_MESSAGE_BYTES:
        raise invalid(
            f"The examples of a request may hold {tensors.MAX_MESSAGE_BYTES} bytes, including the context that is "
            f"repeated in each. This context holds {len(context)} bytes and is repeated {len(batch.examples)} times. "
            "Send fewer examples or a smaller context."
        )
    examples = np.empty(len(batch.examples), object)
    examples[:] = [context + example.SerializeToString() for example in batch.examples]
    return examples


def _classify_outputs(signature: Signature, rules: Rules) -> list[str]:
    """The names of a classification signature's outputs: `classes`, `scores`, or both."""
    method = signature.proto.method_name
    if rules.check_method_names and method != CLASSIFY:
        raise invalid(f"Expected classification signature method_name to be {CLASSIFY}. Was: {method}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature.proto}")
    outputs = [alias for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not outputs:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {signature.proto}"
        )
    return outputs


def _regress_outputs(signature: Signature, rules: Rules) -> list[str]:
    """The name of a regression signature's output, as a list."""
    method = signature.proto.method_name
    if rules.check_method_names and method != REGRESS:
        raise invalid(f"Expected regression signature method_name to be {REGRESS}. Was: {method}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature.proto}")
    if OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature.proto}")
    return [OUTPUTS]


async def _run(
    servable: Servable, request: Any, outputs_of: Callable[[Signature, Rules], list[str]], rules: Rules
) -> tuple[str, dict[str, np.ndarray], int]:
    """Run a Classify or Regress request.

    Returns:
        The signature's name; output name -> array; the number of examples.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.model.signatures.get(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {name}")
    outputs = outputs_of(signature, rules)
    examples = serialized(request.input)
    fetches = tuple(signature.outputs[alias][0] for alias in outputs)
    arrays = await servable.run(signature.feeds, [examples], fetches)
    return name, dict(zip(outputs, arrays, strict=True)), len(examples)


def _fill_classifications(result: Any, arrays: dict[str, np.ndarray], size: int) -> None:
    """Put classes and scores, each [examples, classes], into a ClassificationResult."""
    for alias, dtype, data_type in ((CLASSES, object, types_pb2.DT_STRING), (SCORES, np.float32, types_pb2.DT_FLOAT)):
        array = arrays.get(alias)
        if array is None:
            continue
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if array.dtype != dtype:
            raise invalid(f"Expected {alias} Tensor of {types_pb2.DataType.Name(data_type)}. Got: {_dtype(array)}")
        if len(array) != size:
            raise invalid(f"Expected {alias} output batch size of {size}. Got: {len(array)}")
    classes, scores = arrays.get(CLASSES), arrays.get(SCORES)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    for index in range(size):
        labels = classes[index].tolist() if classes is not None else None
        numbers = scores[index].tolist() if scores is not None else None
        classification = result.classifications.add()
        for column in range(len(labels if labels is not None else numbers or ())):
            entry = classification.classes.add()
            if labels is not None:
                entry.label = _text(labels[column])
            if numbers is not None:
                entry.score = numbers[column]


def _fill_regressions(result: Any, array: np.ndarray, size: int) -> None:
    """Put values, [examples] or [examples, 1], into a RegressionResult."""
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}"
        )
    if len(array) != size:
        raise invalid(f"Input batch size did not match output batch size: {size} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_dtype(array)}")
    for value in array.ravel().tolist():
        result.regressions.add().value = value


def _text(label: bytes) -> str:
    """A class label as text, since protobuf's `label` field must be UTF-8."""
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise StatusError(
            StatusCode.INTERNAL, f"A class label must be UTF-8 text. The model returned {label!r}."
        ) from error


def _shape(array: np.ndarray) -> str:
    """An array's shape as TensorFlow prints it, e.g. `[2,3]`."""
    return f"[{','.join(map(str, array.shape))}]"


def _dtype(array: np.ndarray) -> str:
    """The name of an array's `DataType`, e.g. `DT_FLOAT`."""
    return types_pb2.DataType.Name(tensors.encode(array[:0]).dtype)
