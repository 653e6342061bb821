"""The value of a layout policy, estimated from pages that other policies drew.

Pages are filled from top to bottom, so what a row brings depends on the rows above it and not on those below. The
weight of a row is therefore the chance of the layout down to it under one policy over that under the other: sequential
importance weights, far smaller than those of whole pages (McInerney et al., Counterfactual evaluation of slate
recommendations with sequential reward interactions, KDD 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.counterfactual import Estimate, doubly_robust, estimate, ips, snips
from surfaces.home.layout import LayoutPolicy, draw_layouts
from surfaces.home.learning import LoggedPage, RewardModel

DRAWS = 32  # of layouts a page, for the reward model's mean under the policy


@dataclass(frozen=True)
class Decisions:
    """The rows of logged pages as decisions, each page with as many rows as the longest may have; all arrays `[n]`.

    Args:
        rows: rows of a page.
        rewards: what each row brought; 0 after the end of a page.
        logged: chance of the layout down to the row under the policy that drew it.
        target: the same under the policy to judge.
        listeners: who saw the page.
        predicted: the reward model's reward of the row.
        expected: its mean reward of such a row under the policy to judge.
    """

    rows: int
    rewards: np.ndarray
    logged: np.ndarray
    target: np.ndarray
    listeners: np.ndarray
    predicted: np.ndarray
    expected: np.ndarray


def decisions(pages: Sequence[LoggedPage], policy: LayoutPolicy, model: RewardModel, seed: int) -> Decisions:
    """The rows of pages, weighed for a policy.

    Args:
        pages: of the log; several policies may have drawn them.
        policy: the policy to judge.
        model: fitted to pages of other listeners.
        seed: of the draws for the model's mean under the policy.
    """
    rows = max(min(page.record.most, len(page.record.shelf_ids)) for page in pages)
    rng = np.random.default_rng(seed)
    columns = [page_rows(page, policy, model, rows, rng) for page in pages]
    rewards, logged, target, predicted, expected = np.concatenate(columns, axis=1)
    listeners = np.repeat([page.listener for page in pages], rows)
    return Decisions(rows, rewards, logged, target, listeners, predicted, expected)


def page_rows(
    page: LoggedPage, policy: LayoutPolicy, model: RewardModel, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """The five numeric columns of `Decisions` for one page, `[5, rows]`."""
    record = page.record
    logits = policy.logits(record.shelf_ids, record.qualities, record.context)
    drawn = draw_layouts(logits, record.fewest, record.most, rng, DRAWS)
    values = np.zeros((5, rows))
    values[0, : len(page.rewards)] = page.rewards
    values[1], values[2] = (down_to(chances, rows) for chances in (record.chances, policy.chances(record)))
    values[3, : len(record.drawn)] = model.rewards(record, np.array([record.drawn], int))[0]
    values[4, : drawn.shape[1]] = model.rewards(record, drawn).mean(axis=0)
    return values


def overlap(pages: Sequence[LoggedPage], policy: LayoutPolicy) -> float:
    """The effective sample size of the rows under a policy, as a share of the rows (Kong, 1992)."""
    weights = np.concatenate([
        policy.chances(page.record).cumprod() / page.record.chances.cumprod() for page in pages
    ])  # fmt: skip
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def down_to(chances: np.ndarray, rows: int) -> np.ndarray:
    """The chance of a layout down to each row, `[rows]`; after its last choice it stays the same."""
    padded = np.ones(rows)
    padded[: len(chances)] = chances[:rows]
    return padded.cumprod()


def value(log: Decisions, seed: int) -> dict[str, Estimate]:
    """The mean reward of a page under the policy to judge, by estimator: `ips`, `snips` and `dr`.

    Args:
        log: the weighed rows, of at least two listeners.
        seed: of the intervals.
    """
    logged = (log.rewards, log.logged, log.target, log.listeners)
    return {
        "ips": of_page(ips(*logged, seed), log.rows),
        "snips": of_page(snips(*logged, seed), log.rows),
        "dr": of_page(doubly_robust(*logged, log.predicted, log.expected, seed), log.rows),
    }


def gain(log: Decisions, seed: int) -> Estimate:
    """The value of the policy to judge above that of the policies that drew the log; doubly robust.

    The reward of the same row is taken off each term, so the interval is that of a difference between pairs.
    """
    expected = log.expected - log.rewards
    estimate = doubly_robust(log.rewards, log.logged, log.target, log.listeners, log.predicted, expected, seed)
    return of_page(estimate, log.rows)


def difference(new: Decisions, old: Decisions, seed: int) -> Estimate:
    """The value of one policy above that of another, on the same rows; doubly robust.

    Each row is weighed for both policies, whichever drew it, so the log may have pages of others too. Where the two
    choose alike, a row adds nothing to the interval. The effective sample size is that of the new policy.

    Args:
        new: the rows, weighed for the policy to judge.
        old: the same rows, weighed for the policy to compare it with.
        seed: of the interval.
    """
    weights, others = new.target / new.logged, old.target / old.logged
    terms = new.expected - old.expected + (weights - others) * (new.rewards - new.predicted)
    return of_page(estimate(terms, np.ones(len(terms)), new.listeners, seed, weights, 0.0), new.rows)


def of_page(row: Estimate, rows: int) -> Estimate:
    """The estimate of a page from that of a row; the effective sample size stays that of rows, as a number of pages."""
    size = row.effective_sample_size / rows
    return Estimate(row.value * rows, row.low * rows, row.high * rows, size, row.clipped)
