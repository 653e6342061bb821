"""Experts that all tasks share, and a gate a task that says which of them it listens to."""

import tensorflow as tf

keras = tf.keras


class MixtureOfExperts(tf.keras.layers.Layer):
    """One input to one output a task: `[..., d]` to `[..., tasks]`.

    Tasks that agree share experts and tasks that do not part ways, where one shared bottom would make
    them compromise. Ma et al., KDD 2018, "Modeling Task Relationships in Multi-task Learning with
    Multi-gate Mixture-of-Experts".

    Args:
        tasks: how many there are.
        experts: how many there are.
        width: of each expert's output.
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
        # A loop of plain products: one product over all tasks at once takes eight times as long on a CPU.
        for gate, tower in zip(self.gates, self.towers, strict=True):
            shares = tf.split(gate(inputs), self.count, axis=-1)  # [..., 1] each, 1 in sum
            outputs.append(tower(tf.add_n([share * expert for share, expert in zip(shares, experts, strict=True)])))
        return tf.concat(outputs, axis=-1)
