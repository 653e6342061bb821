"""Learn a layout policy from the log: which kind of shelf brings how much reward, in which context.

The reward of a shelf is modelled as the examination of its row times a linear score of the shelf in its context; the
two are fitted in turn. Each row of the log is weighted by the chance of its shelf under an even choice over the chance
that it had, so that the fit does not mistake the logging policy's habits for the listeners' taste (inverse propensity
weighting: Horvitz and Thompson, JASA 1952). The ridge regression is the posterior of a Bayesian linear model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segue.errors import InputError
from surfaces.home.layout import OF_A_KIND, SHARED, LayoutPolicy, design, step_chances
from surfaces.home.layout_record import LayoutRecord
from surfaces.home.page import kind_of

STRENGTH = 10.0  # precision of the prior that all weights are 0, in rows of a shelf
LARGEST_WEIGHT = 10.0  # of a row; a few large weights would decide everything
LEAST_EXAMINATION = 0.05  # of a row, as a share of the first row's
# The temperature, in standard deviations of a page's scores. At 0.5 a shelf of one deviation more is 7 times as likely.
SHARPNESS = 0.5
OPTIMISM = 1.0  # standard deviations
ROUNDS = 5  # of fitting scores given the examination of rows, and the other way round
TINY = 1e-12  # where all scores are 0


@dataclass(frozen=True)
class LoggedPage:
    """A page of the log with what followed.

    Args:
        record: its layout and the alternatives.
        rewards: the reward of each drawn shelf from top to bottom, `[rows]`; 0 for a shelf without items.
        listener: who saw it.
    """

    record: LayoutRecord
    rewards: np.ndarray
    listener: str

    @property
    def reward(self) -> float:
        """The reward of the page."""
        return float(self.rewards.sum())


@dataclass(frozen=True)
class RewardModel:
    """The expected reward of a page: the sum of its shelves' scores, each times the examination of its row.

    Args:
        kinds: the kinds of shelves in the log.
        mean: the weights of a shelf's features, `[d]` (`layout.design`).
        covariance: their posterior covariance, `[d, d]`.
        examination: what a row brings by its place, as a share of the first row's, `[rows]`.
        spread: standard deviation of the scores on a page, on average.
    """

    kinds: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray
    examination: np.ndarray
    spread: float

    def policy(self, version: int, optimism: float = OPTIMISM) -> LayoutPolicy:
        """The policy that prefers what brings more reward.

        Args:
            version: its number.
            optimism: number of standard deviations by which a shelf's score is raised.
        """
        temperature = SHARPNESS * self.spread or LayoutPolicy.temperature
        return LayoutPolicy(version, self.kinds, self.mean, self.covariance, temperature, optimism)

    def rewards(self, record: LayoutRecord, layouts: np.ndarray) -> np.ndarray:
        """The expected reward of each row of layouts, `[k, rows]`; 0 after the end of a page.

        Args:
            record: the shelves and their context.
            layouts: shelves of the record from top to bottom, -1 after the end of a page, `[k, rows]`.
        """
        scores = design(self.kinds, record.shelf_ids, record.qualities, record.context) @ self.mean
        rows = np.minimum(np.arange(layouts.shape[1]), len(self.examination) - 1)
        return np.append(scores, 0.0)[layouts] * self.examination[rows]


def fit(pages: Sequence[LoggedPage]) -> RewardModel:
    """Fit the reward model to a log; several policies may have drawn its pages.

    Raises:
        InputError: no page has a shelf.
    """
    shown = [page for page in pages if page.record.drawn]
    if not shown:
        raise InputError("A layout policy is learned from pages with shelves. Received none.", "Collect more pages.")
    kinds = tuple(sorted({kind_of(shelf_id) for page in shown for shelf_id in page.record.shelf_ids}))
    designs = [design(kinds, p.record.shelf_ids, p.record.qualities, p.record.context) for p in shown]
    features = np.concatenate([d[list(p.record.drawn)] for d, p in zip(designs, shown, strict=True)])  # [rows, d]
    rewards = np.concatenate([page.rewards for page in shown])
    row = np.concatenate([np.arange(len(page.rewards)) for page in shown])
    weights = np.concatenate([balance(page.record) for page in shown])
    weights = np.minimum(weights / weights.mean(), LARGEST_WEIGHT)
    by_row = np.ones(row.max() + 1)
    for _ in range(ROUNDS):
        scaled = features * (by_row[row] * np.sqrt(weights))[:, None]
        precision = scaled.T @ scaled + STRENGTH * np.eye(features.shape[1])
        mean = np.linalg.solve(precision, scaled.T @ (rewards * np.sqrt(weights)))
        scores = features @ mean
        residual = rewards - by_row[row] * scores
        by_row = examination(rewards, scores, row, weights)
    noise = float((weights * residual**2).sum() / weights.sum())
    spread = float(np.mean([(of_page @ mean).std() for of_page in designs]))
    return RewardModel(kinds, mean, noise * np.linalg.inv(precision), by_row, spread)


def between(old: LayoutPolicy, new: LayoutPolicy, share: float) -> LayoutPolicy:
    """The policy whose logits lie between those of two policies: a step from the old one to the new one.

    An estimate from the old policy's log says little about a policy that is far from it; after a short step it is
    precise. Optimism grows with the step.

    Args:
        old: the policy that serves.
        new: the policy that the log suggests. The result has its kinds, version and temperature.
        share: length of the step, from 0 to 1, where the new policy is.
    """
    names, of_a_kind = len(SHARED), len(OF_A_KIND)
    mean = np.zeros(len(new.mean))
    mean[:names] = old.mean[:names]
    for number, kind in enumerate(new.kinds):
        if kind in old.kinds:
            start, end = (names + of_a_kind * place for place in (old.kinds.index(kind), number))
            mean[end : end + of_a_kind] = old.mean[start : start + of_a_kind]
    mean *= new.temperature / old.temperature  # the old logits, as scores at the new temperature
    return replace(new, mean=(1 - share) * mean + share * new.mean, optimism=share * new.optimism)


def balance(record: LayoutRecord) -> np.ndarray:
    """The chance of each drawn shelf under an even choice among those left, over the chance that it had, `[rows]`."""
    rows = len(record.drawn)
    even = step_chances(np.zeros(len(record.shelf_ids)), record.drawn, record.fewest, record.most)
    return even[:rows] / record.chances[:rows]


def examination(rewards: np.ndarray, scores: np.ndarray, row: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What a row brings by its place, as a share of the first row's, `[most rows]`: the least squares given the scores.

    Args:
        rewards: of each row of the log, `[n]`.
        scores: the scores of their shelves, `[n]`.
        row: its place on its page, from 0, `[n]`.
        weights: of each row, `[n]`.
    """
    brought = np.bincount(row, weights * rewards * scores) / np.bincount(row, weights * scores**2 + TINY)
    if brought[0] <= 0:
        return np.ones(len(brought))
    return (brought / brought[0]).clip(LEAST_EXAMINATION, 1.0)
