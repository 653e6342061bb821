"""The training loop: losses, early stopping, and resuming from checkpoints."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import Model, create_weights, epoch_reporter, fit, time_limit
from models.inputs.shards import Arrays, Shards
from segue.errors import InputError, SegueError
from segue.progress import MARK, Progress

keras = tf.keras

TEN = Shards.of({"x": np.arange(10, dtype=np.float32)})


class Toy(Model):
    """A model with one weight `w`, which training raises by 1 at each step. The held-out loss is least at `best`."""

    def __init__(self, best: float) -> None:
        super().__init__()
        self.w = tf.Variable(0.0)
        self.best = best

    def compute_loss(self, inputs, training=False):
        return -self.w if training else tf.reduce_mean(inputs["x"]) + tf.abs(self.w - self.best)


def fit_toy(best: float, epochs: int, **settings) -> tuple[Toy, dict]:
    """Train a `Toy` with one step an epoch. The gradient is constant, so each step of Adam is the learning rate."""
    model = Toy(best)
    settings = {"batch_size": 10, "learning_rate": 1.0, "seed": 0} | settings
    return model, fit(model, TEN, TEN, epochs=epochs, **settings)


class Small(Model):
    """A regression of `y` on `ids` with an embedding used twice, a layer built at the first call, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = keras.layers.Embedding(20, 4)
        self.out = keras.layers.Dense(1)

    def compute_loss(self, inputs, training=False):
        hidden = self.ids(inputs["id"]) + tf.reduce_mean(self.ids(inputs["past"]), axis=1)  # [b, 4]
        if training:
            kept = tf.random.stateless_uniform(tf.shape(hidden), self.stateless_seed(1)) < 0.8
            hidden = tf.where(kept, hidden / 0.8, 0.0)
        return tf.reduce_mean((self.out(hidden)[:, 0] - inputs["y"]) ** 2)


def small_examples(rows: int, seed: int) -> Arrays:
    """Examples whose `y` is a function of `id` plus noise."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 20, rows, dtype=np.int32)
    y = np.sin(ids) + rng.normal(scale=0.3, size=rows)
    return {"id": ids, "past": rng.integers(0, 20, (rows, 3), dtype=np.int32), "y": y.astype(np.float32)}


TRAIN, HELD_OUT = (Shards.of(small_examples(rows, seed)) for rows, seed in ((640, 0), (200, 1)))


def new_small(seed: int = 0) -> Small:
    keras.utils.set_random_seed(seed)
    return Small()


def fit_small(epochs: int, train=TRAIN, **settings) -> tuple[Small, dict]:
    """Train a `Small` with ten steps an epoch. With the learning rate 0.01 the third epoch is the best."""
    model = new_small()
    settings = {"batch_size": 64, "learning_rate": 0.003, "seed": 7} | settings
    return model, fit(model, train, HELD_OUT, epochs=epochs, **settings)


def losses(history: dict) -> tuple[list[float], list[float]]:
    return history["loss"], history["val_loss"]


def assert_same(actual: tuple[Small, dict], expected: tuple[Small, dict]) -> None:
    """Assert that losses and weights are equal bit by bit."""
    assert losses(actual[1]) == losses(expected[1])
    for left, right in zip(actual[0].get_weights(), expected[0].get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@dataclass
class Killed:
    """Shards whose reader is interrupted in the middle of an epoch."""

    shards: Shards
    epoch: int

    @property
    def rows(self) -> int:
        return self.shards.rows

    def batches(self, batch_size, seed, epoch):
        for index, batch in enumerate(self.shards.batches(batch_size, seed, epoch)):
            if (epoch, index) == (self.epoch, 3):
                raise KeyboardInterrupt
            yield batch


def test_training_continues_from_the_best_epoch_when_the_rate_falls():
    multiples = [1.0, 1.0, 1.0, 1.0, 0.5, 0.25]
    pace = lambda history: [*multiples, None][len(history["judged"])]  # noqa: E731
    model, history = fit_toy(best=2.0, epochs=10, pace=pace)
    # |w - 2| for w = 1, 2, 3 and 4; then, from the best w = 2 on, for w = 2.5 and 2.75.
    assert np.array(history["val_loss"]) - 4.5 == pytest.approx([1, 0, 1, 2, 0.5, 0.75], abs=1e-4)
    assert float(model.w) == pytest.approx(2.0, rel=1e-5)


def test_the_held_out_loss_is_the_mean_over_examples():
    _, history = fit_toy(best=1.0, epochs=1, batch_size=4)
    # Two steps, so |w - 1| = 1. Held-out batches 0..3, 4..7 and 8, 9: (4 * 1.5 + 4 * 5.5 + 2 * 8.5) / 10 = 4.5.
    assert history["val_loss"] == [pytest.approx(4.5 + 1, rel=1e-5)]


def test_the_loss_is_the_mean_over_the_steps_of_the_epoch():
    _, history = fit_toy(best=0.0, epochs=2, batch_size=5)
    # The loss is -w before each step: 0 and -1 in the first epoch, -2 and -3 in the second.
    assert history["loss"] == [pytest.approx(-0.5, rel=1e-5), pytest.approx(-2.5, rel=1e-5)]


@pytest.mark.parametrize(
    ("best", "epochs", "patience", "trained", "kept"),
    [
        pytest.param(3.0, 20, 2, 5, 3, id="stops two epochs after the best"),
        pytest.param(3.0, 20, 1, 4, 3, id="stops one epoch after the best"),
        pytest.param(3.0, 4, 2, 4, 3, id="keeps the best when the epochs run out"),
        pytest.param(3.0, 2, 2, 2, 2, id="the last epoch is the best"),
        pytest.param(-1.0, 9, 2, 3, 1, id="the first epoch is the best"),
    ],
)
def test_training_stops_after_the_best_epoch_and_keeps_it(best, epochs, patience, trained, kept):
    model, history = fit_toy(best, epochs, patience=patience)
    assert len(history["val_loss"]) == trained
    assert float(model.w) == pytest.approx(kept, rel=1e-5)


def test_the_first_of_two_equal_epochs_is_kept():
    # |1 - 1.49| and |2 - 1.49| are nearly equal, and the second is not lower.
    model, history = fit_toy(best=1.49, epochs=9)
    assert len(history["val_loss"]) == 3
    assert float(model.w) == pytest.approx(1.0, rel=1e-5)


def test_a_judge_replaces_the_held_out_loss(tmp_path):
    # The held-out loss is least at w = 9; the judge returns its highest value at w = 2.
    for epochs in (3, 20):  # the second training resumes the first
        model = Toy(best=9.0)
        judge = lambda model=model: -abs(float(model.w) - 2.0)  # noqa: E731
        settings = {"batch_size": 10, "learning_rate": 1.0, "seed": 0, "checkpoints": tmp_path}
        history = fit(model, TEN, TEN, epochs=epochs, judge=judge, **settings)
        assert float(model.w) == pytest.approx(2.0, rel=1e-5)
    assert history["judged"] == pytest.approx([-1, 0, -1, -2], abs=1e-4)


def test_each_epoch_is_timed_and_reported(capsys):
    epochs: list[dict] = []
    _, history = fit_toy(best=9.0, epochs=2, on_epoch=epochs.append)
    assert [figures["epoch"] for figures in epochs] == [1, 2]
    assert all(figures["seconds"] > 0 and figures["examples_per_second"] > 0 for figures in epochs)
    assert history == {name: [figures[name] for figures in epochs] for name in history}
    lines = [line.removeprefix(MARK) for line in capsys.readouterr().out.splitlines()]
    assert [line.split(":")[0] for line in lines] == ["training", "epoch 1/2", "epoch 2/2"]


def test_the_time_limit_is_logged_and_checked_between_epochs():
    lines: list[str] = []
    progress = Progress(clock=lambda: 0.0, say=lines.append)
    _, history = fit_toy(best=9.0, epochs=5, seconds=1e-9, name="toy", progress=progress)
    assert len(history["loss"]) == 1
    assert lines[0] == f"toy: at most 5 epochs or 0 s over {TEN.rows} examples"
    assert lines[-1].startswith("toy: stopped after 1 of 5 epochs")


def test_a_long_epoch_reports_its_progress():
    now = itertools.count(step=10.0)
    lines: list[str] = []
    progress = Progress(lambda: next(now), lines.append)
    report = epoch_reporter(progress, "toy, epoch 1/2", rows=100, epochs=2, seconds=1000.0)
    for done in (25, 50):
        report(done, 0.5)
    # Each reading of the clock moves it by 10 s. A quarter of the first of two epochs took 10 s, so 70 s are left.
    assert lines[0] == "toy, epoch 1/2: 25%, loss 0.5000, at most 70 s left"


@pytest.mark.parametrize(("minutes", "expected"), [(2.0, 120.0), (0.0, 400.0)])
def test_the_default_time_limit_depends_on_the_number_of_examples(minutes, expected):
    assert time_limit(minutes, epochs=4, rows=100_000, slowest=1000) == expected
    assert time_limit(0.0, epochs=1, rows=10, slowest=1000) == 60.0


def test_training_learns():
    _, history = fit_small(epochs=10)
    assert history["val_loss"][-1] < 0.5 * history["val_loss"][0]


def test_regularization_losses_are_minimised_too():
    class Regularized(Toy):
        def compute_loss(self, inputs, training=False):
            self.add_loss(lambda: 3.0 * self.w)
            return super().compute_loss(inputs, training)

    model = Regularized(best=0.0)
    fit(model, TEN, TEN, batch_size=10, epochs=1, learning_rate=1.0, seed=0)
    assert float(model.w) == pytest.approx(-1.0, rel=1e-5)


def test_a_weight_that_the_loss_does_not_use_is_unchanged():
    model = new_small()
    model.unused = tf.Variable(5.0)
    fit(model, TRAIN, HELD_OUT, batch_size=32, epochs=1, learning_rate=0.1, seed=0)
    assert float(model.unused) == 5.0


def test_two_trainings_with_the_same_seed_are_equal():
    assert_same(fit_small(3), fit_small(3))


def test_the_seed_changes_the_order_of_examples_and_the_draws():
    assert losses(fit_small(1)[1]) != losses(fit_small(1, seed=8)[1])


def test_a_second_training_of_a_model_starts_at_step_0():
    model, first = fit_toy(best=9.0, epochs=2)
    assert int(model.step) == 2
    model.w.assign(0.0)
    again = fit(model, TEN, TEN, batch_size=10, epochs=2, learning_rate=1.0, seed=0)
    assert losses(again) == losses(first)
    assert int(model.step) == 2


def test_a_draw_depends_on_seed_salt_and_step():
    model = Toy(0.0)
    seeds = set()
    for model.seed in (0, 1):
        for step in (0, 1):
            model.step.assign(step)
            seeds |= {tuple(model.stateless_seed(salt).numpy().tolist()) for salt in (0, 1, 1)}
    assert len(seeds) == 8


def test_every_epoch_is_judged_with_the_same_draws():
    class RandomLoss(Toy):
        def compute_loss(self, inputs, training=False):
            draw = tf.random.stateless_uniform([], self.stateless_seed(0))
            return -self.w if training else draw

    histories = [fit(RandomLoss(0.0), TEN, TEN, batch_size=b, epochs=3, learning_rate=1.0, seed=0) for b in (10, 5)]
    one_batch, two_batches = (history["val_loss"] for history in histories)
    assert len(set(one_batch)) == len(set(two_batches)) == 1
    assert one_batch[0] != two_batches[0]  # each batch has its own draw


@pytest.mark.parametrize(
    ("epochs", "learning_rate"),
    [
        pytest.param(5, 0.003, id="all epochs"),
        pytest.param(20, 0.01, id="until it stops early, after the fifth"),
    ],
)
@pytest.mark.parametrize("first", [2, 4])
def test_a_resumed_training_equals_an_uninterrupted_training(first, epochs, learning_rate, tmp_path):
    whole = fit_small(epochs, learning_rate=learning_rate)
    fit_small(first, learning_rate=learning_rate, checkpoints=tmp_path)
    resumed = fit_small(epochs, learning_rate=learning_rate, checkpoints=tmp_path)
    assert_same(resumed, whole)
    assert len(whole[1]["loss"]) == 5


def test_an_interrupted_epoch_is_repeated(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_small(5, train=Killed(TRAIN, epoch=2), checkpoints=tmp_path)
    epochs: list[dict] = []
    resumed = fit_small(5, checkpoints=tmp_path, on_epoch=epochs.append)
    assert_same(resumed, fit_small(5))
    assert [figures["epoch"] for figures in epochs] == [3, 4, 5]


def test_a_finished_training_is_restored_without_another_epoch(tmp_path):
    done = fit_small(3, checkpoints=tmp_path)
    epochs: list[dict] = []
    again = fit_small(3, checkpoints=tmp_path, on_epoch=epochs.append)
    assert epochs == []
    assert again[1] == done[1]
    assert_same(again, done)


def checkpoint_files(*epochs: int) -> set[str]:
    """The names of the files in a folder that holds the checkpoints of some epochs."""
    files = {f"epoch-{epoch}.{end}" for epoch in epochs for end in ("index", "data-00000-of-00001")}
    return files | {"training.json", "checkpoint"}


def test_the_two_newest_checkpoints_are_kept(tmp_path):
    fit_toy(best=3.0, epochs=4, checkpoints=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == checkpoint_files(3, 4)


def test_a_checkpoint_that_a_kill_left_unfinished_is_ignored_and_replaced(tmp_path):
    fit_toy(best=9.0, epochs=1, checkpoints=tmp_path)
    # TensorFlow writes into the folder epoch-2_temp and then renames the data, the index, and the list of checkpoints.
    unfinished = tmp_path / "epoch-2_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate1"
    unfinished.parent.mkdir()
    for path in (unfinished, tmp_path / "epoch-2.data-00000-of-00001", tmp_path / "epoch-2.index"):
        path.write_bytes(b"half")
    model, history = fit_toy(best=9.0, epochs=2, checkpoints=tmp_path)
    whole, expected = fit_toy(best=9.0, epochs=2)
    assert (losses(history), float(model.w)) == (losses(expected), float(whole.w))
    assert {path.name for path in tmp_path.iterdir()} == checkpoint_files(1, 2)


DATA = "epoch-{}.data-00000-of-00001"


def resume_after_damage(folder: Path, best: float) -> int:
    """Resume a toy training, compare it with an uninterrupted one, and return the first epoch that it trained."""
    epochs: list[dict] = []
    model, history = fit_toy(best, epochs=5, checkpoints=folder, on_epoch=epochs.append)
    whole, expected = fit_toy(best, epochs=5)
    assert losses(history) == losses(expected)
    assert float(model.w) == float(whole.w)
    return epochs[0]["epoch"]


@pytest.mark.parametrize(
    ("files", "first_epoch"),
    [
        pytest.param([DATA.format(4)], 4, id="data of the newest"),
        pytest.param(["epoch-4.index"], 4, id="index of the newest"),
        pytest.param([DATA.format(3)], 5, id="data of the older"),
        pytest.param([DATA.format(3), "epoch-4.index"], 1, id="both"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("best", [3.0, 9.0])
def test_a_checkpoint_that_is_cut_short_is_skipped(best, files, first_epoch, share, tmp_path, capsys):
    fit_toy(best, epochs=4, checkpoints=tmp_path)
    for file in files:
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content[: int(share * len(content))])
    assert resume_after_damage(tmp_path, best) == first_epoch
    assert capsys.readouterr().out.count("is damaged and skipped") == {5: 0, 4: 1, 1: 2}[first_epoch]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_checkpoint_with_an_altered_value_is_skipped(share, tmp_path):
    fit_toy(best=3.0, epochs=4, checkpoints=tmp_path)
    content = bytearray((tmp_path / DATA.format(4)).read_bytes())
    content[int(share * len(content))] ^= 1
    (tmp_path / DATA.format(4)).write_bytes(content)
    assert resume_after_damage(tmp_path, best=3.0) == 4


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 5}, "batch_size was 10 and is 5"),
        ({"learning_rate": 0.5}, "learning_rate was 1.0 and is 0.5"),
        ({"seed": 3}, "seed was 0 and is 3"),
    ],
)
def test_checkpoints_of_another_training_are_refused(settings, named, tmp_path):
    fit_toy(best=3.0, epochs=1, checkpoints=tmp_path)
    with pytest.raises(InputError, match=named) as error:
        fit_toy(best=3.0, epochs=2, checkpoints=tmp_path, **settings)
    assert str(tmp_path) in error.value.headline
    assert "Remove the folder" in error.value.fix


def test_checkpoints_with_other_data_or_another_model_are_refused(tmp_path):
    fit_toy(best=3.0, epochs=1, checkpoints=tmp_path, seed=7)
    with pytest.raises(InputError, match=r"rows was 10 and is 640.*weights was"):
        fit_small(1, checkpoints=tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([1, 2, np.nan, 4], "training loss must be finite. It is nan at step", id="training"),
        pytest.param([np.inf, np.inf], "training loss must be finite. It is inf at step 1", id="the first step"),
    ],
)
def test_a_loss_that_is_not_finite_stops_training(values, message):
    class Mean(Toy):
        def compute_loss(self, inputs, training=False):
            return self.w * 0.0 + tf.reduce_mean(inputs["x"])

    examples = Shards.of({"x": np.array(values, np.float32)})
    with pytest.raises(SegueError, match=message) as error:
        fit(Mean(0.0), examples, TEN, batch_size=1, epochs=1, learning_rate=0.1, seed=0)
    assert "Lower the learning rate" in error.value.fix


def test_a_held_out_loss_that_is_not_finite_stops_training():
    held_out = Shards.of({"x": np.array([np.nan], np.float32)})
    with pytest.raises(SegueError, match="held-out loss must be finite"):
        fit(Toy(0.0), TEN, held_out, batch_size=10, epochs=1, learning_rate=0.1, seed=0)


@pytest.mark.parametrize(("rows", "part"), [((0, 10), "training"), ((10, 0), "held-out")])
def test_a_part_without_examples_is_refused(rows, part):
    train, held_out = (Shards.of({"x": np.zeros(n, np.float32)}) for n in rows)
    with pytest.raises(InputError, match=f"The {part} part"):
        fit(Toy(0.0), train, held_out, batch_size=10, epochs=1, learning_rate=0.1, seed=0)


def test_weights_are_created_as_fit_creates_them():
    model = new_small()
    create_weights(model, TRAIN)
    created = model.get_weights()
    assert [w.shape.as_list() for w in model.trainable_weights] == [[20, 4], [4, 1], [1]]
    fit(model, TRAIN, HELD_OUT, batch_size=32, epochs=0, learning_rate=0.1, seed=7)
    by_fit, _ = fit_small(0)
    for before, after, expected in zip(created, model.get_weights(), by_fit.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(before, expected)
