"""A mixture of experts that several tasks share; each task has a gate that weighs the experts."""

import tensorflow as tf

keras = tf.keras


class MixtureOfExperts(tf.keras.layers.Layer):
    """Computes one output for each task: `[..., d]` becomes `[..., tasks]`.

    One shared hidden layer would make unrelated tasks compromise. Here related tasks use the same experts, and
    unrelated tasks use different experts (Ma et al., KDD 2018, "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts").

    Args:
        tasks: the number of tasks.
        experts: the number of experts.
        width: the width of each expert's output.
        tower: the width of each task's own hidden layer.
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
        # One product over all tasks at once takes eight times as long on a CPU as this loop.
        for gate, tower in zip(self.gates, self.towers, strict=True):
            shares = tf.split(gate(inputs), self.count, axis=-1)  # [..., 1] each; they sum to 1
            outputs.append(tower(tf.add_n([share * expert for share, expert in zip(shares, experts, strict=True)])))
        return tf.concat(outputs, axis=-1)
