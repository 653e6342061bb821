"""Training the sequence model: it learns an order, stops by what is held out, and resumes to the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.sequence.coded import fit_codes, generated_ranks
from models.sequence.codes import Codebook
from models.sequence.fit import MOST, PATIENCE, HeldOut, Pace, epochs_for, fit, windows
from models.sequence.histories import Histories, requests
from models.training_config import SequenceConfig
from tests.models.sequence.conftest import ITEMS, LENGTH

CONFIG = SequenceConfig(
    dim=16, heads=2, blocks=1, length=LENGTH, batch_size=8, epochs=3, learning_rate=0.01, dropout=0.1
)


def held_out(rounds: Histories) -> tuple[Histories, HeldOut]:
    """All but the last entry of each listener to learn from, and those last entries."""
    listeners = np.arange(len(rounds))
    ends = rounds.offsets[1:] - 1
    inputs = requests(rounds, listeners, ends, LENGTH)
    candidates = np.arange(1, ITEMS + 1, dtype=np.int32)
    return rounds.clip(np.diff(rounds.offsets) - 1), HeldOut(inputs, rounds.item[ends], candidates, None)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_it_learns_an_order(loss, rounds, encoder):
    train, asked = held_out(rounds)
    config = replace(CONFIG, loss=loss, negatives=16, epochs=8)
    model, history = fit(train, asked, encoder, config, seed=0)
    assert history["judged"][-1] > 0.9
    assert (asked.ranks(model) == 0).mean() > 0.9


class Stopped(Exception):
    """A training is killed here."""


def stop(figures: dict[str, float]) -> None:
    """Raise `Stopped` after the second epoch."""
    if figures["epoch"] == 2:
        raise Stopped


def assert_equal(actual, expected) -> None:
    for left, right in zip(actual.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_a_resumed_training_equals_an_uninterrupted_one(rounds, encoder, tmp_path):
    train, asked = held_out(rounds)
    whole, history = fit(train, asked, encoder, CONFIG, seed=0)
    with pytest.raises(Stopped):
        fit(train, asked, encoder, CONFIG, seed=0, checkpoints=tmp_path, on_epoch=stop)
    resumed, again = fit(train, asked, encoder, CONFIG, seed=0, checkpoints=tmp_path)
    assert again["loss"] == history["loss"]
    assert_equal(resumed, whole)


@pytest.mark.slow
def test_so_does_a_resumed_training_of_the_generative_head(rounds, encoder, tmp_path):
    train, asked = held_out(rounds)
    model, _ = fit(train, asked, encoder, CONFIG, seed=0, checkpoints=tmp_path)
    whole, book, history = fit_codes(model, train, asked, None, seed=0)
    with pytest.raises(Stopped):
        fit_codes(model, train, asked, None, seed=0, checkpoints=tmp_path / "codes", on_epoch=stop)
    # The step begins anew: the transformer's checkpoints lie beside the head's.
    model, _ = fit(train, asked, encoder, CONFIG, seed=0, checkpoints=tmp_path)
    resumed, same, again = fit_codes(model, train, asked, None, seed=0, checkpoints=tmp_path / "codes")
    assert again["loss"] == history["loss"]
    np.testing.assert_array_equal(same.codes, book.codes)
    assert_equal(resumed, whole)


@pytest.mark.slow
def test_the_generative_head_ends_near_the_dense_one(rounds, encoder):
    train, asked = held_out(rounds)
    model, history = fit(train, asked, encoder, replace(CONFIG, epochs=8), seed=0)
    coded, _, coding = fit_codes(model, train, asked, None, seed=0)
    assert max(coding["judged"]) > 0.95 * max(history["judged"])
    assert generated_ranks(coded, asked).max() < ITEMS  # a beam of 200 finds all of 20


@pytest.mark.slow
def test_codes_that_know_none_of_the_items_make_room_for_new_ones(rounds, encoder):
    train, asked = held_out(rounds)
    model, _ = fit(train, asked, encoder, replace(CONFIG, epochs=1), seed=0)
    stranger = Codebook.fit(["x", "y"], np.ones((2, 3), np.float32), seed=0)
    _, book, _ = fit_codes(model, train, asked, stranger, seed=0)
    assert book.ids == [f"i{n}" for n in range(ITEMS)]


def history(judged: list[float], seconds: float = 1.0) -> dict[str, list[float]]:
    return {"judged": judged, "seconds": [seconds] * len(judged)}


def walk(pace: Pace, judged) -> list[float]:
    """The multiples of a training whose epoch n is judged `judged(n)`."""
    multiples: list[float] = []
    while (share := pace(history([judged(n) for n in range(len(multiples))]))) is not None:
        multiples.append(share)
    return multiples


def test_the_rate_falls_for_the_last_two_fifths_of_the_epochs():
    assert walk(Pace(10, 1e9), lambda n: n) == pytest.approx([1] * 6 + [0.8, 0.6, 0.4, 0.2])


def test_the_rate_falls_when_nothing_is_gained():
    multiples = walk(Pace(1000, 1e9), lambda n: min(n, 4))
    steady = 5 + PATIENCE  # the fifth epoch is the best
    assert multiples[:steady] == [1] * steady
    assert multiples[steady:] == pytest.approx([0.75, 0.5, 0.25])  # two thirds of the five epochs that gained


def test_the_rate_falls_when_it_is_enough():
    assert walk(Pace(1000, 1e9, enough=3.0), lambda n: n) == pytest.approx([1] * 4 + [0.75, 0.5, 0.25])


def test_the_time_ends_training():
    pace = Pace(1000, seconds=10.0)
    assert pace(history([1, 2, 3, 4, 5])) == 1.0
    assert pace(history([1, 2, 3, 4, 5, 6, 7])) == pytest.approx(0.6)
    assert pace(history(list(range(10)))) is None
    # Epochs of which two fill the time: no third is begun. One that overfills it is the only one.
    assert pace(history([1, 2], seconds=4.5)) is None
    assert pace(history([1], seconds=3000.0)) is None


def test_an_epoch_of_a_long_log_ends_before_all_of_it_was_read(rounds):
    assert windows(rounds, CONFIG).steps == MOST


@pytest.mark.slow
def test_what_is_excluded_is_no_candidate(rounds, encoder):
    train, asked = held_out(rounds)
    config = replace(CONFIG, epochs=1, learning_rate=1e-9)  # it learns nothing
    model, _ = fit(train, asked, encoder, config, seed=0)
    free = asked.ranks(model)
    others = np.ones((len(asked.item), ITEMS), np.float32)
    others[np.arange(len(asked.item)), asked.item - 1] = 0
    alone = HeldOut(asked.inputs, asked.item, asked.candidates, csr_matrix(others)).ranks(model)
    assert free.max() > 0
    assert (alone == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax"])
def test_what_was_only_skipped_is_read_as_what_it_is(loss, encoder):
    # What comes after the skip of item 8 or 9 is told by which of them it was, and by nothing else.
    pairs = np.array([[8, 3], [9, 4]] * 20, np.int32)
    histories = Histories.of_items(list(pairs))
    histories.target[::2] = False
    inputs = requests(histories, np.arange(40), histories.offsets[1:] - 1, LENGTH)
    asked = HeldOut(inputs, pairs[:, 1], np.arange(1, ITEMS + 1, dtype=np.int32), None)
    model, _ = fit(histories, asked, encoder, replace(CONFIG, loss=loss, negatives=16, epochs=8), seed=0)
    assert (asked.ranks(model) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("unseen", [False, True])
def test_a_listener_of_whom_nothing_is_known_is_answered_what_others_began_with(unseen, encoder):
    # All begin with item 5, and nobody is answered it later.
    rng = np.random.default_rng(0)
    histories = Histories.of_items([np.append([5], 7 + rng.permutation(10)[:6]).astype(np.int32) for _ in range(40)])
    first = histories.offsets[:-1]
    inputs = requests(histories, np.arange(40), first, LENGTH)
    assert not inputs["item"].any()
    asked = HeldOut(inputs, histories.item[first], np.arange(1, ITEMS + 1, dtype=np.int32), None)
    model, _ = fit(histories, asked, encoder, replace(CONFIG, epochs=8), seed=0, unseen=unseen)
    assert (asked.ranks(model) == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sampled_softmax", "gbce"])
def test_what_nobody_had_is_the_unlikeliest_where_items_are_ids_alone(loss, bare):
    # 19 items in random order, and i19, which nobody had.
    rng = np.random.default_rng(0)
    histories = Histories.of_items([rng.permutation(np.arange(1, ITEMS, dtype=np.int32))[:9] for _ in range(60)])
    train, asked = held_out(histories)
    model, _ = fit(train, asked, bare, replace(CONFIG, loss=loss, negatives=16, epochs=10), seed=0)
    vectors = model.listener_vectors({name: tf.constant(values) for name, values in asked.inputs.items()}).numpy()
    scores = vectors @ model.item_vectors(asked.candidates).numpy().T
    likelier = (scores[:, :-1] > scores[:, [-1]]).sum(axis=1)
    # Held-out items are random, so early stopping keeps a random epoch: a few seen items may score lower by chance.
    assert likelier.mean() > 0.85 * (ITEMS - 1)


def test_some_choices_are_at_even_distances():
    inputs = {"item": np.arange(20).reshape(10, 2)}
    excluded = csr_matrix(np.eye(10, 4))
    some = HeldOut(inputs, np.arange(10), np.arange(1, 5), excluded).some(4)
    assert some.item.tolist() == [0, 2, 4, 6, 8]
    assert some.inputs["item"][:, 0].tolist() == [0, 4, 8, 12, 16]
    assert some.excluded_mask.shape == (5, 4)
    assert len(HeldOut(inputs, np.arange(10), np.arange(1, 5), None).some(100).item) == 10


@pytest.mark.parametrize(
    ("rows", "epochs", "expected"),
    [
        pytest.param(1, 0, 100, id="a short log: at most 100"),
        pytest.param(128 * 10, 0, 25, id="10 steps an epoch, 250 steps in all"),
        pytest.param(128 * 250, 0, 12, id="a long log: at least 12"),
        pytest.param(128 * 10, 7, 7, id="as configured"),
    ],
)
def test_the_number_of_epochs_fits_the_log(rows, epochs, expected):
    assert epochs_for(rows, SequenceConfig(batch_size=128, epochs=epochs)) == expected
