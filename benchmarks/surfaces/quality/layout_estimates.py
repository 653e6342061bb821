"""Off-policy estimates of a layout policy: how often their 95 % intervals contain the policy's true value.

Every log comes from a journal. Its listeners are drawn from those of the world, and the pages by a layout policy. From
its propensities the value of another policy is estimated. The true value of that policy is the mean of the exact reward
of many pages that it draws for the same listeners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.results import Say, target
from benchmarks.surfaces.quality.journal_logs import logged
from benchmarks.surfaces.quality.served_pages import Served, rows_of
from events.world.live.value import policy_values
from events.world.live.world import World
from models.evaluation.counterfactual import Estimate
from surfaces.home.layout import LayoutPolicy, step_chances
from surfaces.home.learning import LoggedPage, fit
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_surface
from workloads.training.layout_value import decisions, value
from workloads.training.learn_layout import longest_step

ESTIMATORS = ("ips", "snips", "dr")
LEAST_COVERAGE = 0.93
# With equal propensities for all layouts, an interval that still covers shows that the check tells right from nothing.
MOST_WRONG_COVERAGE = 0.5
RULES = HomeRules(rows=4, fewest_rows=2, columns=5)  # small pages, so that 100 logs take minutes
PAGES = 250  # of a log
LAYOUTS = 10  # of the policy to judge for each listener, whose exact rewards are its true value
TOGETHER = 10  # logs that one journal holds, because each collection has a fixed cost


def run(
    world: World,
    served: Sequence[Served],
    reward: Mapping[str, float],
    items: pa.Table,
    repeats: int,
    seed: int,
    say: Say,
    pages: int = PAGES,
) -> dict[str, Any]:
    """Estimate a policy's value from fresh logs of another, and count the intervals that contain the true value.

    Args:
        world: where the listeners are.
        served: candidates and scores of different listeners. From one half the other policy is learned; the logs are of
            the other half.
        reward: weight of each outcome.
        items: the catalogue.
        repeats: number of logs.
        seed: of everything that is drawn.
        say: prints a line of progress.
        pages: of a log, each of a listener who is drawn with replacement.

    Returns:
        `repeats`; `pages` of a log; the `step` from the logging to the learned policy; the true `logging_value` and
        `true_value`; `covered` and `mean_width` by estimator; `effective_share`: effective sample size as a share of
        the pages; `covered_with_wrong_propensities` by `ips`; `targets`, where coverage is a share of the logs.
    """
    logging = LayoutPolicy()
    surface = home_surface(logging, RULES)
    to_learn, to_log = served[::2], served[1::2]
    rng = np.random.default_rng(seed)

    def logs(visitors: Sequence[Served], first: int, count: int) -> list[list[LoggedPage]]:
        drawn = rng.integers(len(visitors), size=count * pages).tolist()
        made = logged(world, [visitors[n] for n in drawn], surface, reward, items, seed * (repeats + 1) + first)
        return [[page for page in made if visit_of(page) // pages == number] for number in range(count)]

    (first,) = logs(to_learn, 0, 1)
    model = fit(first)
    step, policy = longest_step(first, logging, model.policy(version=1))
    truth = true_value(world, to_log, policy, reward)
    right, wrong = [], []
    for begin in range(0, repeats, TOGETHER):
        made = logs(to_log, begin + 1, min(TOGETHER, repeats - begin))
        for repeat, log in enumerate(made, begin + 1):
            right.append(value(decisions(log, policy, model, repeat), repeat))
            wrong.append(value(decisions([evenly_drawn(page) for page in log], policy, model, repeat), repeat))
        say(f"{len(right)} of {repeats} logs of {pages} pages")
    covered = {name: covering(right, name, truth) for name in ESTIMATORS}
    by_wrong = covering(wrong, "ips", truth)
    return {
        "repeats": repeats,
        "pages": pages,
        "step": step,
        "logging_value": true_value(world, to_log, logging, reward),
        "true_value": truth,
        "covered": covered,
        "mean_width": {name: float(np.mean([one[name].high - one[name].low for one in right])) for name in ESTIMATORS},
        "effective_share": float(np.mean([one["ips"].effective_sample_size for one in right])) / pages,
        "covered_with_wrong_propensities": by_wrong,
        "targets": {
            **{f"{name}_coverage": target(covered[name] / repeats, at_least=LEAST_COVERAGE) for name in ESTIMATORS},
            "ips_coverage_with_wrong_propensities": target(by_wrong / repeats, at_most=MOST_WRONG_COVERAGE),
        },
    }


def true_value(world: World, served: Sequence[Served], policy: LayoutPolicy, reward: Mapping[str, float]) -> float:
    """The mean reward of a page under a policy: exact for each page, over many draws of the layout."""
    surface = home_surface(policy, RULES)
    values = []
    for turn in range(LAYOUTS):
        pages = {one.moment: rows_of(world, one.page(surface, f"true-{turn}-{n}")) for n, one in enumerate(served)}
        values.append(policy_values(world, list(pages), pages.__getitem__, reward).mean())
    return float(np.mean(values))


def visit_of(page: LoggedPage) -> int:
    """The number of a page's visit in its journal, see `journal_logs.decision`."""
    return int(page.listener.rpartition("-")[2])


def evenly_drawn(page: LoggedPage) -> LoggedPage:
    """The page as if every layout had been as likely as any other."""
    record = page.record
    even = step_chances(np.zeros(len(record.shelf_ids)), record.drawn, record.fewest, record.most)
    return replace(page, record=replace(record, chances=even))


def covering(made: Sequence[dict[str, Estimate]], name: str, truth: float) -> int:
    """Number of intervals of one estimator that contain the true value."""
    return sum(one[name].low <= truth <= one[name].high for one in made)
