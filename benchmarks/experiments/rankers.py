"""How many times fewer listeners interleaving needs than an A/B test, for the same power on the same two rankers."""

import numpy as np

from benchmarks.experiments.listeners import sigmoid
from experiments.statistics.effects import Sums, effect
from experiments.statistics.interleaving import B, preference, team_draft

CANDIDATES, K, REQUESTS = 50, 10, 5  # items that a ranker orders, places of a list, and requests of each listener
NOISE = (1.5, 0.75)  # deviation of the rankers' errors; a listener's liking of items has deviation 1
PLACE_BIAS = 0.85  # chance to look one place further
MOOD_SD = 0.7  # of a listener's logit, as in the log


def speed_up(listeners: int, seed: int) -> dict[str, float]:
    """Compare the listeners that both designs need: proportional to the variance over the squared difference.

    Args:
        listeners: Listeners who see both rankers' lists and the interleaved one.
        seed: Seed of everything.

    Returns:
        `speed_up`; `ab_z` and `interleaved_z`, the differences of these listeners in standard errors.
    """
    rng = np.random.default_rng(seed)
    plays = np.zeros((3, listeners))  # by ranker, and both teams of the interleaved lists below
    teams = np.zeros((2, listeners))
    for listener in range(listeners):
        mood = rng.normal(-1.0, MOOD_SD)
        for _ in range(REQUESTS):
            liking = rng.normal(size=CANDIDATES)
            lists = [np.argsort(-(liking + rng.normal(0, noise, CANDIDATES))) for noise in NOISE]
            for ranker, ranked in enumerate(lists):
                plays[ranker, listener] += played(liking[ranked[:K]], mood, rng).sum()
            items, team = team_draft(lists[0].tolist(), lists[1].tolist(), K, rng)
            chosen = played(liking[items], mood, rng)
            second = np.array(team) == B
            teams[:, listener] += chosen[~second].sum(), chosen[second].sum()
    half = rng.random(listeners) < 0.5
    arms = [Sums(plays[ranker], np.ones(listeners)) for ranker in range(2)]
    ab, interleaved = effect(arms[0], arms[1]), preference(teams[0], teams[1])
    split = effect(arms[0].take(~half), arms[1].take(half))
    # An A/B test shows each listener one ranker. Both arms of n / 2 listeners have four times the variance of a mean.
    needed = split.error**2 * listeners / ab.difference**2
    return {
        "speed_up": needed / (interleaved.error**2 * listeners / interleaved.difference**2),
        "ab_z": ab.difference / split.error,
        "interleaved_z": interleaved.z,
    }


def played(liking: np.ndarray, mood: float, rng: np.random.Generator) -> np.ndarray:
    """Return which places of a list are played: looked at, with a chance that falls with the place, and liked."""
    looked = rng.random(len(liking)) < PLACE_BIAS ** np.arange(len(liking))
    return looked & (rng.random(len(liking)) < sigmoid(mood + liking))
