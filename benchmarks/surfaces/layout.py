"""Off-policy estimates of a layout policy: how often their 95 % intervals contain the policy's true value.

A small world without models makes many logs: listeners differ in how much they play, shelves are worth more or less by
context, lower rows are looked at less. The true value of a policy is exact: the sum over all its layouts.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.results import target
from models.evaluation.counterfactual import Estimate
from surfaces.home.layout import LayoutPolicy, step_chances
from surfaces.home.learning import LoggedPage, fit
from workloads.training.layout_value import Decisions, decisions, value
from workloads.training.learn_layout import longest_step

KINDS = ("because_you_listened", "for_you", "jump_back_in", "new_releases", "next_up", "popular")
FEWEST, MOST = 2, 4  # rows of a page
CONTEXTS = 8
EXAMINATION = 1 / np.log2(np.arange(2, MOST + 2))
PAGES = 2  # of each listener in a log
ESTIMATORS = ("ips", "snips", "dr")
LEAST_COVERAGE = 0.93
# With equal propensities for all layouts, an interval that still covers shows that the check tells right from nothing.
MOST_WRONG_COVERAGE = 0.5


@dataclass(frozen=True)
class World:
    """What shelves are worth.

    Args:
        contexts: features of each context, `[contexts, 4]`.
        qualities: of the shelves in each context, `[contexts, kinds, 3]`.
        worth: mean reward of a shelf in the first row, `[contexts, kinds]`.
    """

    contexts: np.ndarray
    qualities: np.ndarray
    worth: np.ndarray

    @classmethod
    def build(cls, seed: int) -> "World":
        """A world in which the policy before learning is right about relevance and knows nothing of kinds."""
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0, 2 * np.pi, CONTEXTS)
        weekend, experience = rng.integers(2, size=CONTEXTS), rng.random(CONTEXTS)
        contexts = np.column_stack([np.sin(angle), np.cos(angle), weekend, experience])
        qualities = np.stack(
            [rng.normal(0.5, 0.4, (CONTEXTS, len(KINDS))), *rng.random((2, CONTEXTS, len(KINDS)))], axis=2
        )
        of_kinds = rng.normal(0, 0.15, (len(KINDS), 5)) @ np.column_stack([np.ones(CONTEXTS), contexts]).T
        noise = rng.normal(0, 0.1, (CONTEXTS, len(KINDS)))  # what no feature explains
        worth = 0.5 + 0.15 * qualities[:, :, 0] + of_kinds.T + noise
        return cls(contexts, qualities, worth.clip(0.05))

    def true_value(self, policy: LayoutPolicy) -> float:
        """The mean reward of a page under a policy."""
        layouts = [order for n in range(FEWEST, MOST + 1) for order in itertools.permutations(range(len(KINDS)), n)]
        return float(
            np.mean(
                [
                    step_chances(policy.logits(KINDS, self.qualities[c], self.contexts[c]), order, FEWEST, MOST).prod()
                    * (self.worth[c, list(order)] * EXAMINATION[: len(order)]).sum()
                    for c in range(CONTEXTS)
                    for order in layouts
                ]
            )
            * len(layouts)
        )

    def log(self, policy: LayoutPolicy, listeners: int, rng: np.random.Generator) -> list[LoggedPage]:
        """Pages that a policy drew for listeners who differ in how much they play; the mean listener plays 1."""
        pages = []
        for listener in range(listeners):
            liveliness = rng.gamma(4.0, 0.25)
            for context in rng.integers(CONTEXTS, size=PAGES):
                record = policy.draw(KINDS, self.qualities[context], self.contexts[context], FEWEST, MOST, rng)
                means = self.worth[context, list(record.drawn)] * EXAMINATION[: len(record.drawn)]
                pages.append(LoggedPage(record, rng.poisson(liveliness * means).astype(float), str(listener)))
        return pages


def run(repeats: int = 100, listeners: int = 400, seed: int = 0) -> dict:
    """Estimate a policy's value from fresh logs of another, and count the intervals that contain the true value.

    Args:
        repeats: number of logs.
        listeners: of each log; each has 2 pages.
        seed: of the world and the logs.

    Returns:
        `repeats`; `pages` of a log; the `step` from the logging to the learned policy; the true `logging_value` and
        `true_value`; `covered` and `mean_width` by estimator; `effective_share`: effective sample size as a share of
        the pages; `covered_with_wrong_propensities` by `ips`; `targets`, where coverage is a share of the logs.
    """
    world, logging = World.build(seed), LayoutPolicy()
    first = world.log(logging, 2 * listeners, np.random.default_rng([seed, 0]))
    model = fit(first)
    step, policy = longest_step(first, logging, model.policy(version=1))
    truth = world.true_value(policy)
    right, wrong = [], []
    for repeat in range(1, repeats + 1):
        log = decisions(world.log(logging, listeners, np.random.default_rng([seed, repeat])), policy, model, repeat)
        right.append(value(log, repeat))
        wrong.append(value(evenly_drawn(log), repeat))
    covered, covered_by_wrong = (
        {name: covering(right, name, truth) for name in ESTIMATORS},
        covering(wrong, "ips", truth),
    )
    sizes = [made["ips"].effective_sample_size for made in right]
    return {
        "repeats": repeats,
        "pages": listeners * PAGES,
        "step": step,
        "logging_value": world.true_value(logging),
        "true_value": truth,
        "covered": covered,
        "mean_width": {
            name: float(np.mean([made[name].high - made[name].low for made in right])) for name in ESTIMATORS
        },
        "effective_share": float(np.mean(sizes)) / (listeners * PAGES),
        "covered_with_wrong_propensities": covered_by_wrong,
        "targets": {
            **{f"{name}_coverage": target(covered[name] / repeats, at_least=LEAST_COVERAGE) for name in ESTIMATORS},
            "ips_coverage_with_wrong_propensities": target(covered_by_wrong / repeats, at_most=MOST_WRONG_COVERAGE),
        },
    }


def evenly_drawn(log: Decisions) -> Decisions:
    """The log as if every layout had been as likely as any other down to each row."""
    chances = step_chances(np.zeros(len(KINDS)), tuple(range(MOST)), FEWEST, MOST).cumprod()
    return replace(log, logged=np.tile(chances, len(log.logged) // MOST))


def covering(made: Sequence[dict[str, Estimate]], name: str, truth: float) -> int:
    """Number of intervals of one estimator that contain the true value."""
    return sum(bool(estimates[name].low <= truth <= estimates[name].high) for estimates in made)
