"""Coverage of the counterfactual estimators: how often their 95 % intervals contain a policy's true value.

A small synthetic world makes many logs of the first position of its sessions. For each log, listeners are drawn from
the same population, come on the same days and see the items that the logging policy draws. From each log the benchmark
estimates the value of two policies that were never shown, and compares it with their true value in that world:

- `personal`: the parts of the logging policy in another mixture; importance weights stay below 1.4.
- `liking`: a softmax over each listener's liking of the items; a few importance weights are very large.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks.results import target
from events import schema
from events.world import catalogue, listeners, truth
from events.world.behaviour import respond, utility
from events.world.config import Stream, WorldConfig, generator
from events.world.day import LIBRARY, LIBRARY_SLOTS, SEARCH, search, simulate, visits
from events.world.listeners import Listeners, softmax
from events.world.policy import Mixture, Policy, Requests
from events.world.shelves import stock
from models.evaluation.counterfactual import Estimate, cross_fitted_means, doubly_robust, ips, snips

WORLD = WorldConfig("counterfactual", users=300, items=150, days=7, sessions=0.6)
SETTLING, LOGGED = range(3), range(3, 7)  # days that fill the libraries, then days of the log
PERSONAL = Mixture(uniform=0.02, popular=0.08, personal=0.9)
ESTIMATORS = ("ips", "snips", "dr")
# Shares of the logs. At a true coverage of 95 %, fewer than 90 of 100 intervals cover with a chance of 0.011.
LEAST_COVERAGE = 0.9
# With equal propensities for all rows, an interval that still covers shows that the test cannot tell right from wrong.
MOST_WRONG_COVERAGE = 0.5


@dataclass(frozen=True)
class Setting:
    """The world after its settling days; it does not change while logs are made.

    Args:
        policy: the logging policy.
        population: the listeners that logs draw from.
        library: item numbers in each listener's library, -1 where a slot is empty, `[users, slots]`.
    """

    policy: Policy
    population: Listeners
    library: np.ndarray


@dataclass(frozen=True)
class Log:
    """One log, with one row for the first position of each session; all arrays are `[rows]`.

    Args:
        requests: the contexts of the sessions.
        group: number of the drawn listener; a listener who was drawn twice counts as two groups.
        item: the item that was shown.
        propensity: probability with which the logging policy showed the item.
        reward: 1 if the item was played through, else 0.
    """

    requests: Requests
    group: np.ndarray
    item: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray


def run(repeats: int = 100, seed: int = 0) -> dict:
    """Estimate the policies' values on fresh logs, and count the intervals that contain the true value.

    Args:
        repeats: number of logs.
        seed: seed of the world and the logs.

    Returns:
        `repeats`, `listeners`, mean `rows` of a log, and the true `logging_value`; `policies`: for each policy its
        `true_value` and, by estimator, `covered` (number of logs), `mean`, `bias`, `mean_width`,
        `mean_effective_sample_size`; `coverage_with_wrong_propensities`: `covered` by policy and estimator when every
        propensity is set to the same value, which must be far lower for the check to mean anything; `targets`, where
        coverage is a share of the logs.
    """
    setting = settle(seed)
    true_values, logging_value = truths(setting)
    right: dict[str, list[dict[str, Estimate]]] = {name: [] for name in true_values}
    wrong: dict[str, list[dict[str, Estimate]]] = {name: [] for name in true_values}
    rows = 0
    for repeat in range(repeats):
        log = draw_log(np.random.default_rng([seed, repeat]), setting)
        rows += len(log.item)
        equal = replace(log, propensity=np.full(len(log.item), 1 / len(setting.policy.shelves.released)))
        for name, chances in target_policies(setting, log.requests).items():
            right[name].append(estimates(setting, log, chances, seed=repeat))
            wrong[name].append(estimates(setting, equal, chances, seed=repeat))
    policies = {name: summary(right[name], value) for name, value in true_values.items()}
    covered_by_wrong = {
        name: {estimator: covered([e[estimator] for e in wrong[name]], value) for estimator in ESTIMATORS}
        for name, value in true_values.items()
    }
    return {
        "repeats": repeats,
        "listeners": len(setting.population),
        "rows": rows / repeats,
        "logging_value": logging_value,
        "policies": policies,
        "coverage_with_wrong_propensities": covered_by_wrong,
        "targets": coverage_targets(policies, covered_by_wrong, repeats),
    }


def coverage_targets(policies: dict[str, dict], covered_by_wrong: dict[str, dict[str, int]], repeats: int) -> dict:
    """Coverage by policy and estimator as a share of the logs, with right and with wrong propensities, and its limits.

    Args:
        policies: `summary` of each policy.
        covered_by_wrong: number of covering intervals with wrong propensities, by policy and estimator.
        repeats: number of logs.
    """
    targets = {}
    for name, policy in policies.items():
        for estimator in ESTIMATORS:
            share = policy[estimator]["covered"] / repeats
            wrong_share = covered_by_wrong[name][estimator] / repeats
            targets[f"{name}_{estimator}_coverage"] = target(share, at_least=LEAST_COVERAGE)
            targets[f"{name}_{estimator}_coverage_with_wrong_propensities"] = target(
                wrong_share, at_most=MOST_WRONG_COVERAGE
            )
    return targets


def settle(seed: int) -> Setting:
    """Build the world and let the first days fill the libraries."""
    _, items = catalogue.build(WORLD, seed)
    shelves = stock(items, 0)
    population, tastes = listeners.build(WORLD, seed, items, shelves)
    policy = Policy.of(shelves, tastes)
    library = np.full((WORLD.users, LIBRARY_SLOTS), -1)
    for day in SETTLING:
        simulate(WORLD, generator(seed, Stream.DAY, day), day, population, policy, library)
    return Setting(policy, population, library)


def target_policies(setting: Setting, requests: Requests) -> dict[str, np.ndarray]:
    """The policies to estimate, as the chance of every released item at the first position, `[requests, released]`."""
    personal = replace(setting.policy, mixture=PERSONAL)
    plays = truth.play_chances(setting.policy, requests)
    return {
        "personal": truth.item_chances(personal, requests, setting.library),
        "liking": softmax(np.log(plays / (1 - plays))),
    }


def truths(setting: Setting) -> tuple[dict[str, float], float]:
    """The true values of the policies to estimate, and of the logging policy."""
    requests, shares = truth.openings(setting.policy, setting.population, LOGGED)
    plays = truth.play_chances(setting.policy, requests)
    logging = truth.item_chances(setting.policy, requests, setting.library)
    policies = target_policies(setting, requests)
    values = {name: truth.value(shares, chances, plays) for name, chances in policies.items()}
    return values, truth.value(shares, logging, plays)


def draw_log(rng: np.random.Generator, setting: Setting) -> Log:
    """Draw as many listeners as the population has, with replacement, and log the first position of their sessions."""
    policy, population = setting.policy, setting.population
    person = rng.integers(len(population), size=len(population))
    drawn = Listeners(*(getattr(population, f.name)[person] for f in fields(Listeners)))
    days = [visits(rng, day, drawn) for day in LOGGED]
    group, surface = (np.concatenate([day[part] for day in days]) for part in (0, 2))
    user = person[group]
    searched, _ = search(rng, policy, user, surface == SEARCH)
    requests = Requests(user, np.ones(len(user), np.int64), searched, surface == LIBRARY)
    slates, propensities = policy.slates(rng, requests, setting.library)
    item = slates[:, 0]
    duration = policy.shelves.catalogue.duration_ms[item]
    # `respond` depends on the day only in a world with drift; this world has none, so the first day stands for all.
    responses = respond(WORLD, rng, LOGGED[0], np.ones(len(item)), utility(policy, user, item), duration)
    reward = responses.played & (responses.ms >= schema.PLAY_THROUGH_MS)
    return Log(requests, group, item, propensities[:, 0], reward.astype(np.float64))


def estimates(setting: Setting, log: Log, chances: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Estimate one policy's value from one log by every estimator.

    Args:
        setting: the world; its released items are the columns of `chances`.
        log: the logged items and rewards.
        chances: the policy's chance of each item, `[rows, released]`.
        seed: seed of the bootstrap.
    """
    released = setting.policy.shelves.released
    rows, shown = np.arange(len(log.item)), np.searchsorted(released, log.item)
    logged = (log.reward, log.propensity, chances[rows, shown], log.group)
    model = cross_fitted_means(log.reward, shown, log.group, len(released))
    expected = (chances * model).sum(axis=1)
    return {
        "ips": ips(*logged, seed=seed),
        "snips": snips(*logged, seed=seed),
        "dr": doubly_robust(*logged, predicted=model[rows, shown], predicted_under_target=expected, seed=seed),
    }


def summary(per_log: list[dict[str, Estimate]], true_value: float) -> dict:
    """The figures of one policy over all logs, by estimator."""
    return {"true_value": true_value, **{name: figures([e[name] for e in per_log], true_value) for name in ESTIMATORS}}


def figures(per_log: list[Estimate], true_value: float) -> dict:
    """The figures of one estimator over all logs."""
    mean = float(np.mean([e.value for e in per_log]))
    return {
        "covered": covered(per_log, true_value),
        "mean": mean,
        "bias": mean - true_value,
        "mean_width": float(np.mean([e.high - e.low for e in per_log])),
        "mean_effective_sample_size": float(np.mean([e.effective_sample_size for e in per_log])),
    }


def covered(per_log: list[Estimate], true_value: float) -> int:
    """Number of intervals that contain the true value."""
    return sum(e.low <= true_value <= e.high for e in per_log)
