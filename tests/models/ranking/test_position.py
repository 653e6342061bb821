"""Position bias: the tower that learns it and the weights that correct it."""

import numpy as np
import pytest
import tensorflow as tf

from models.ranking.position import LAST, PositionTower, decline_of_examination, examination

ETA = 0.7
PLACES = 10


def impressions(rows: int, eta: float = ETA) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions, surfaces, liking and plays. A play needs an examined position and an item that the listener likes."""
    rng = np.random.default_rng(0)
    position = rng.integers(1, PLACES + 1, rows).astype(np.int32)
    surface = rng.integers(1, 3, rows).astype(np.int32)
    liking = rng.normal(size=rows).astype(np.float32)
    chance = 1 / (1 + np.exp(-liking - surface))
    plays = (rng.random(rows) < position**-eta) & (rng.random(rows) < chance)
    return position, surface, liking, plays.astype(np.float32)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.2])
def test_the_decline_is_estimated_from_the_outcomes(eta):
    position, surface, _, plays = impressions(60_000, eta)
    assert decline_of_examination(position, surface, plays) == pytest.approx(eta, abs=0.06)


def test_surfaces_are_estimated_separately():
    # Surface 1 has position 1 only and no plays. On surface 2 the share falls from 1 to 1/2, so eta is 1.
    position = np.array([1] * 100 + [1] * 8 + [2] * 8)
    surface = np.array([1] * 100 + [2] * 16)
    outcome = np.array([0] * 100 + [1] * 8 + [1, 0] * 4)
    assert decline_of_examination(position, surface, outcome) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("position", "outcome"),
    [
        pytest.param([0, 0, 0, 0], [1, 0, 1, 0], id="no positions"),
        pytest.param([1, 2, 1, 2], [0, 0, 0, 0], id="no outcomes"),
        pytest.param([1, 1, 1, 1], [1, 0, 1, 0], id="one position"),
        pytest.param([1, 1, 2, 2], [1, 0, 1, 1], id="more outcomes at a lower position"),
    ],
)
def test_eta_is_0_if_the_log_shows_no_decline(position, outcome):
    assert decline_of_examination(np.array(position), np.zeros(4, int), np.array(outcome)) == 0


def test_examination_is_a_power_of_the_position_within_limits():
    # 4 ** -0.5 = 1/2; 400 ** -0.5 = 1/20 is raised to the lowest value of 0.1; an unknown position has 1.
    seen = examination(tf.constant([0, 1, 4, 400]), tf.constant(0.5))
    np.testing.assert_allclose(seen, [1, 1, 0.5, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(examination(tf.constant([0, 1, 400]), tf.constant(0.0)), [1, 1, 1])


def test_an_unknown_position_adds_nothing():
    tower = PositionTower(surfaces=3, tasks=2)
    added = tower(tf.constant([0, 1, LAST, LAST + 9]), tf.constant([1, 1, 1, 1])).numpy()
    assert added.shape == (4, 2)
    np.testing.assert_array_equal(added[0], 0)
    assert np.abs(added[1:]).min() > 0
    np.testing.assert_array_equal(added[2], added[3])


def test_positions_are_dropped_if_a_seed_is_given():
    tower = PositionTower(surfaces=2, tasks=1)
    position, surface = tf.fill([2000], 3), tf.ones([2000], tf.int32)
    dropped = (tower(position, surface, tf.constant([0, 0])).numpy() == 0).mean()
    assert dropped == pytest.approx(0.2, abs=0.04)
    assert (tower(position, surface).numpy() != 0).all()


@pytest.mark.slow
def test_the_tower_learns_the_decline_apart_from_the_liking():
    tf.keras.utils.set_random_seed(0)
    position, surface, liking, plays = (tf.constant(values) for values in impressions(20_000))
    tower, relevance = PositionTower(surfaces=3, tasks=1), tf.keras.layers.Dense(1)
    optimizer = tf.keras.optimizers.legacy.Adam(0.02)

    @tf.function
    def step(seed):
        with tf.GradientTape() as tape:
            logits = (relevance(liking[:, None]) + tower(position, surface, seed))[:, 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=plays, logits=logits))
        variables = tower.trainable_variables + relevance.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for number in range(150):
        step(tf.constant([0, number]))
    at = tf.range(1, PLACES + 1)
    for code in (1, 2):
        added = tower(at, tf.fill([PLACES], code)).numpy()[:, 0]
        assert (np.diff(added) < 0.1).all()  # it falls with the position, up to noise
        # The true odds at a liking of 0: the examination probability times the surface's probability of a play.
        chance = np.arange(1, PLACES + 1) ** -ETA / (1 + np.exp(-float(code)))
        odds = np.log(chance / (1 - chance))
        np.testing.assert_allclose(added - added[0], odds - odds[0], atol=0.5)
