"""Models, requests and results of the calls whose requests contain `tf.Example`s."""

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{method}" for method in ("classify", "regress", "predict"))


def save_signatures(session, folder, signatures):
    """Write a TF1 model; `signatures` maps a name to its inputs, its outputs and its method name."""
    v1 = tf.compat.v1
    info = v1.saved_model.build_tensor_info
    definitions = {
        name: v1.saved_model.build_signature_def(
            {key: info(tensor) for key, tensor in inputs.items()},
            {key: info(tensor) for key, tensor in outputs.items()},
            method,
        )
        for name, (inputs, outputs, method) in signatures.items()
    }
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=definitions)
    builder.save()


def example(**features):
    """A tf.Example; floats go to a float_list, strings to a bytes_list."""
    message = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, float):
            message.features.feature[name].float_list.value.append(value)
        else:
            message.features.feature[name].bytes_list.value.append(value)
    return message


def examples(*values):
    """An Input of examples with x."""
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example(x=value) for value in values]))


def pairs(result):
    """For each example the (label, score) pairs of its classes."""
    return [[(entry.label, entry.score) for entry in answer.classes] for answer in result.classifications]


def values(result):
    """The value of each example."""
    return [entry.value for entry in result.regressions]


def spec(message):
    """The model name, version and signature that an answer names."""
    return message.model_spec.name, message.model_spec.version.value, message.model_spec.signature_name
