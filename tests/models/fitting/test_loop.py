"""The training loop: losses, early stopping, time limits, and random draws."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import create_weights, epoch_reporter, fit, time_limit
from models.inputs.shards import Shards
from segue.errors import InputError, SegueError
from segue.progress import MARK, Progress
from tests.models.fitting.small_models import (
    HELD_OUT,
    TEN,
    TRAIN,
    Toy,
    assert_same,
    fit_small,
    fit_toy,
    losses,
    new_small,
)


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
