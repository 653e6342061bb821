"""Do the 95 % intervals of the counterfactual estimators hold the truth 95 times in 100?

A small synthetic world logs the first position of its sessions again and again: each time other listeners are drawn
from the same population, come on the same days and are shown what the logging policy draws. From each log the value of
two policies is estimated that were never shown, and held against what they are truly worth in that world:

- `personal`: the parts of the logging policy in another mixture; weights stay below 1.4.
- `liking`: a softmax over each listener's liking of the items; a few weights are very large.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from events import schema
from events.world import catalogue as catalogues
from events.world import listeners as people
from events.world import truth
from events.world.behaviour import respond, utility
from events.world.config import Stream, WorldConfig, generator
from events.world.day import LIBRARY, LIBRARY_SLOTS, SEARCH, search, simulate, visits
from events.world.listeners import Listeners, softmax
from events.world.policy import Mixture, Policy, Requests
from events.world.shelves import stock
from models.evaluation.counterfactual import Estimate, cross_fitted_means, doubly_robust, ips, snips

WORLD = WorldConfig("counterfactual", users=300, items=150, days=7, sessions=0.6)
SETTLING, LOGGED = range(3), range(3, 7)  # days that fill the libraries, days of the log; one week, one policy
PERSONAL = Mixture(uniform=0.02, popular=0.08, personal=0.9)
SHARPNESS = 1.0
ESTIMATORS = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Setting:
    """The world as it stands while the log is made.

    Args:
        policy: the one that is logged.
        listeners: the population.
        library: what they keep `[users, slots]`; it stands still while the log is made.
    """

    policy: Policy
    listeners: Listeners
    library: np.ndarray


@dataclass(frozen=True)
class Log:
    """One log: `[rows]`, a row for the first position of each session.

    Args:
        requests: the contexts.
        group: which drawn listener; one who was drawn twice counts as two.
        item: shown.
        propensity: of its draw.
        reward: 1 if it was played through, else 0.
    """

    requests: Requests
    group: np.ndarray
    item: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray


def run(repeats: int = 100, seed: int = 0) -> dict:
    """Estimate on fresh logs, and count the intervals that hold the truth.

    Args:
        repeats: how many logs.
        seed: of the world and the logs.

    Returns:
        `repeats`, `listeners` and mean `rows` of a log, the true `logging_value`; `policies`: for each target its
        `true_value` and, by estimator, `covered` (of the repeats), `mean`, `bias`, `mean_width`,
        `mean_effective_sample_size`; `coverage_with_wrong_propensities`: `covered` by target and estimator when every
        propensity is set to the same value. The check means something only if that is far lower.
    """
    setting = settle(seed)
    true_values, logging_value = truths(setting)
    found: dict[str, list[dict[str, Estimate]]] = {name: [] for name in true_values}
    wrong: dict[str, list[dict[str, Estimate]]] = {name: [] for name in true_values}
    rows = 0
    for repeat in range(repeats):
        log = draw_log(np.random.default_rng([seed, repeat]), setting)
        rows += len(log.item)
        equal = replace(log, propensity=np.full(len(log.item), 1 / len(setting.policy.shelves.released)))
        for name, chances in targets(setting, log.requests).items():
            found[name].append(estimates(setting, log, chances, seed=repeat))
            wrong[name].append(estimates(setting, equal, chances, seed=repeat))
    return {
        "repeats": repeats,
        "listeners": len(setting.listeners),
        "rows": rows / repeats,
        "logging_value": logging_value,
        "policies": {name: summary(found[name], value) for name, value in true_values.items()},
        "coverage_with_wrong_propensities": {
            name: {estimator: covered([e[estimator] for e in wrong[name]], value) for estimator in ESTIMATORS}
            for name, value in true_values.items()
        },
    }


def settle(seed: int) -> Setting:
    """Build the world and let the first days fill the libraries."""
    _, catalogue = catalogues.build(WORLD, seed)
    shelves = stock(catalogue, 0)
    listeners, tastes = people.build(WORLD, seed, catalogue, shelves)
    policy = Policy.of(shelves, tastes)
    library = np.full((WORLD.users, LIBRARY_SLOTS), -1)
    for day in SETTLING:
        simulate(WORLD, generator(seed, Stream.DAY, day), day, listeners, policy, library)
    return Setting(policy, listeners, library)


def targets(setting: Setting, requests: Requests) -> dict[str, np.ndarray]:
    """The policies to be judged: chances of every released item at the first position `[requests, released]`."""
    personal = replace(setting.policy, mixture=PERSONAL)
    plays = truth.play_chances(setting.policy, requests)
    return {
        "personal": truth.item_chances(personal, requests, setting.library),
        "liking": softmax(np.log(plays / (1 - plays))),
    }


def truths(setting: Setting) -> tuple[dict[str, float], float]:
    """What the targets and the logging policy are worth."""
    requests, shares = truth.openings(setting.policy, setting.listeners, LOGGED)
    plays = truth.play_chances(setting.policy, requests)
    logging = truth.item_chances(setting.policy, requests, setting.library)
    values = {name: truth.value(shares, chances, plays) for name, chances in targets(setting, requests).items()}
    return values, truth.value(shares, logging, plays)


def draw_log(rng: np.random.Generator, setting: Setting) -> Log:
    """Draw as many listeners as there are, with replacement, and log the first position of their sessions."""
    policy = setting.policy
    person = rng.integers(len(setting.listeners), size=len(setting.listeners))
    drawn = Listeners(*(getattr(setting.listeners, f.name)[person] for f in fields(Listeners)))
    days = [visits(rng, day, drawn) for day in LOGGED]
    group, surface = (np.concatenate([day[part] for day in days]) for part in (0, 2))
    user = person[group]
    searched, _ = search(rng, policy, user, surface == SEARCH)
    requests = Requests(user, np.ones(len(user), np.int64), searched, surface == LIBRARY)
    slates, propensities = policy.slates(rng, requests, setting.library)
    item = slates[:, 0]
    duration = policy.shelves.catalogue.duration_ms[item]
    # Without drift a day is like any other to `respond`.
    responses = respond(WORLD, rng, LOGGED[0], np.ones(len(item)), utility(policy, user, item), duration)
    reward = responses.played & (responses.ms >= schema.PLAY_THROUGH_MS)
    return Log(requests, group, item, propensities[:, 0], reward.astype(np.float64))


def estimates(setting: Setting, log: Log, chances: np.ndarray, seed: int) -> dict[str, Estimate]:
    """All estimates of one target from one log.

    Args:
        setting: says which items the columns of `chances` are.
        log: what was shown and what came of it.
        chances: of the target `[rows, released]`.
        seed: of the resampling.
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


def summary(found: list[dict[str, Estimate]], true_value: float) -> dict:
    """The figures of one target."""
    return {"true_value": true_value, **{name: figures([e[name] for e in found], true_value) for name in ESTIMATORS}}


def figures(found: list[Estimate], true_value: float) -> dict:
    """The figures of one estimator over all repeats."""
    mean = float(np.mean([e.value for e in found]))
    return {
        "covered": covered(found, true_value),
        "mean": mean,
        "bias": mean - true_value,
        "mean_width": float(np.mean([e.high - e.low for e in found])),
        "mean_effective_sample_size": float(np.mean([e.effective_sample_size for e in found])),
    }


def covered(found: list[Estimate], true_value: float) -> int:
    """How many intervals hold the true value."""
    return sum(e.low <= true_value <= e.high for e in found)
