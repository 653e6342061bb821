"""Off-policy estimates on held-out impressions: the reward of what a retrieval model would show in their places.

The policy that is judged puts an item drawn evenly from the model's first ten into each place of the log. The chance
of the item that was there, and the chance that the logging policy gave it, make the weight (`counterfactual`). Logs
that were imported with propensities and logs that were collected from the journal are read alike.

The log says nothing about items that its policy would never show in a place. IPS counts them as worth nothing; SNIPS
is about the others. The effective sample size says how much of the log the estimate rests on.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.schema import TASKS
from models.evaluation.counterfactual import ips, snips
from models.evaluation.held_out import popularity, retrieval_ranks
from models.evaluation.metrics import bootstrap_mean
from models.inputs.arrow_columns import number, sample

FIRST = 10  # of a model's list, from which the judged policy draws
MOST_ROWS = 5_000  # held-out impressions; more would only narrow the interval


def off_policy(
    models: Mapping[str, Path],
    before: pa.Table,
    test: pa.Table,
    items: pa.Table,
    reward: Mapping[str, float],
    filter_seen: bool,
    seed: int,
) -> dict[str, Any]:
    """Estimate the reward of retrieval models and of popularity from held-out impressions.

    Args:
        models: retrieval SavedModels by name.
        before: the examples before the test span.
        test: the examples of the test span; those with a propensity count. Fallback pages are not among them.
        items: the catalogue as of the test span's start.
        reward: weight of each head's label in the reward of an impression; a label that is not known counts 0.
        filter_seen: exclude the items of the history from what a model shows.
        seed: seed of the sample and the intervals.

    Returns:
        See `estimates`; empty if the test span has no impressions with propensities of two listeners.
    """
    rows = sample(test.filter(pc.is_valid(test["propensity"])), MOST_ROWS, seed)
    users = np.asarray(rows["user_id"].to_pylist(), object)
    if len(set(users)) < 2:
        return {}
    prior = popularity(before, items)
    ranks = {"popularity": retrieval_ranks(None, rows, items, prior, filter_seen)}
    ranks |= {name: retrieval_ranks(path, rows, items, prior, filter_seen) for name, path in models.items()}
    rewards = sum((reward.get(head, 0.0) * number(rows[f"label_{head}"]) for head in TASKS), np.zeros(rows.num_rows))
    return estimates(rewards, rows["propensity"].to_numpy(), ranks, users, seed)


def estimates(
    rewards: np.ndarray, propensity: np.ndarray, ranks: Mapping[str, np.ndarray], users: np.ndarray, seed: int
) -> dict[str, Any]:
    """Estimate the mean reward of an impression under policies that draw evenly from the first ten of a list.

    Args:
        rewards: of each impression, `[n]`.
        propensity: the chance that the log gave its item, `[n]`.
        ranks: by policy, the rank of its item in the policy's list, 0 for the best, `[n]`.
        users: the listener of each, `[n]`.
        seed: seed of the intervals.

    Returns:
        `impressions`; `logged`, the mean reward of the log with its interval; `policies`, by name the estimates `ips`
        and `snips`. A policy whose first ten the log never shows has none.
    """
    policies = {}
    for name, rank in ranks.items():
        chance = (rank < FIRST) / FIRST
        if chance.any():
            logged = (rewards, propensity, chance, users, seed)
            policies[name] = {"ips": asdict(ips(*logged)), "snips": asdict(snips(*logged))}
    return {
        "impressions": len(rewards),
        "logged": asdict(bootstrap_mean(rewards, users, seed)),
        "policies": policies,
    }
