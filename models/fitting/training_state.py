"""The state of a training and its checkpoints, which are TensorFlow's own (`tf.train.CheckpointManager`)."""

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from segue.errors import InputError
from segue.files import read_json, write_json

History = dict[str, list[float]]

EPOCH_FIGURES = ("loss", "val_loss", "judged", "seconds", "examples_per_second")  # the keys of a History
CONFIGURATION = "training.json"  # the file in a folder of checkpoints that identifies the training
# The errors of TensorFlow for a checkpoint that is cut short or altered.
DAMAGED = (IndexError, ValueError, tf.errors.OpError)


class TrainingState:
    """The state that a training resumes from: weights, optimizer slots, the best epoch's weights and the history.

    A checkpoint holds all of it, so one checkpoint is enough to resume. TensorFlow lists a checkpoint only when it is
    complete, so a kill at any moment leaves the old checkpoint or the new one. The two newest are kept, in case a power
    failure damages the newest; checksums reveal that.

    Args:
        model: the model, with all its weights.
        optimizer: the optimizer, with all its slots.
        folder: the folder of the checkpoints; None keeps none.
    """

    def __init__(self, model: tf.keras.Model, optimizer, folder: Path | None) -> None:
        self.model = model
        self.folder = folder
        self.history: History = {name: [] for name in EPOCH_FIGURES}
        self.best = [tf.Variable(weights, trainable=False) for weights in model.weights]
        self.saved_history = tf.Variable(np.zeros((len(EPOCH_FIGURES), 0)), shape=[len(EPOCH_FIGURES), None])
        self.checkpoint = tf.train.Checkpoint(
            weights=model.weights, slots=optimizer.variables(), best=self.best, history=self.saved_history
        )
        self.manager = None
        if folder is not None:
            self.manager = tf.train.CheckpointManager(self.checkpoint, str(folder), 2, checkpoint_name="epoch")

    @property
    def epoch(self) -> int:
        """The number of epochs so far."""
        return len(self.history["judged"])

    @property
    def best_epoch(self) -> int:
        """The first epoch (from 1) with the best judgement; 0 before the first epoch."""
        return 1 + int(np.argmax(self.history["judged"])) if self.epoch else 0

    def exhausted(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought no improvement."""
        return bool(self.epoch) and self.epoch - self.best_epoch >= patience

    def restore_best(self) -> None:
        """Set the model's weights to those of the best epoch, or to the initial weights before the first epoch."""
        assign(self.model.weights, self.best)

    def add(self, figures: dict[str, float]) -> None:
        """Record the figures of an epoch and the weights after it, and save a checkpoint."""
        for name, value in figures.items():
            self.history[name].append(value)
        if self.best_epoch == self.epoch:
            assign(self.best, self.model.weights)
        if self.manager is not None:
            self.saved_history.assign([self.history[name] for name in EPOCH_FIGURES])
            self.manager.save(checkpoint_number=self.epoch)

    def resume(self, configuration: dict) -> None:
        """Restore the newest undamaged checkpoint of the folder, if there is one.

        Args:
            configuration: identifies this training, as JSON types.

        Raises:
            InputError: the checkpoints belong to another training.
        """
        if self.folder is None or self.manager is None:
            return
        path = self.folder / CONFIGURATION
        if not path.exists():
            write_json(path, configuration)
        demand_same(read_json(path), configuration, self.folder)
        for unfinished in self.folder.glob("epoch-*_temp"):  # TensorFlow leaves the folder when it is killed
            shutil.rmtree(unfinished)
        for checkpoint in reversed(self.manager.checkpoints):
            try:
                # TensorFlow reads all values before it sets the first, so a damaged checkpoint changes nothing.
                self.checkpoint.restore(checkpoint).assert_consumed()
            except DAMAGED as error:
                print(f"The checkpoint {checkpoint} is damaged and skipped: {error}", flush=True)
                continue
            self.history = dict(zip(EPOCH_FIGURES, self.saved_history.numpy().tolist(), strict=True))
            return


def assign(variables: list[tf.Variable], values: list[tf.Variable]) -> None:
    """Set each variable to the value of its counterpart."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def demand_same(saved: dict, configuration: dict, folder: Path) -> None:
    """Refuse checkpoints of another training.

    Raises:
        InputError: the configurations differ.
    """
    names = [name for name in configuration if saved.get(name) != configuration[name]]
    if names:
        differing = "; ".join(f"{name} was {saved.get(name)} and is {configuration[name]}" for name in names)
        raise InputError(
            f"The checkpoints in {folder} must be of the same training: {differing}.",
            "Remove the folder to train anew, or restore the configuration.",
        )
