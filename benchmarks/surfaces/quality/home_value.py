"""The true value of Home pages beside peers that arrange the same candidates, and what calibration gains and costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from benchmarks.results import target
from benchmarks.surfaces.quality import home_peers
from benchmarks.surfaces.quality.served_pages import Rows, Served, rows_of
from events.world.live.value import policy_values
from events.world.live.world import World
from models.evaluation.metrics import bootstrap_mean
from surfaces.engine.page import ShownPage
from surfaces.home.calibration import distance
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_context, home_surface
from surfaces.request import Exploration

ABOVE = 1e-9  # an interval's lower end that is above 0
MOST_KL, MOST_LOSS = 0.5, 0.01
PEERS = ("static_shelves", "popularity", "mmr_alone", "creator_cap")


def run(
    world: World, served: Sequence[Served], policy: LayoutPolicy, reward: Mapping[str, float], seed: int
) -> dict[str, Any]:
    """Value Home and its peers in the same moments.

    Args:
        world: knows the true value.
        served: candidates and scores of `n` moments.
        policy: the layout policy that serves.
        reward: weight of each outcome in the value of a page.
        seed: of the intervals.

    Returns:
        `pages` and `listeners`; `values`: for Home and each peer the mean `value` of a page with its interval over
        listeners, its `rows` and `items`, and for the peers `ahead`, Home's value minus theirs; `calibration`: KL
        distance and value with and without it; `exploration`: the largest share of drawn places of any page;
        `targets`.
    """
    rules = HomeRules()
    listeners = np.array([one.moment.user for one in served])
    pages = [one.page(home_surface(policy, rules)) for one in served]
    arranged = {"home": [rows_of(world, page) for page in pages], **peers(world, served, rules)}
    values = {name: values_of(world, served, rows, reward) for name, rows in arranged.items()}
    figures: dict[str, dict[str, Any]] = {}
    for name, rows in arranged.items():
        figures[name] = {
            "value": asdict(bootstrap_mean(values[name], listeners, seed)),
            "rows": float(np.mean([len(page) for page in rows])),
            "items": float(np.mean([sum(map(len, page)) for page in rows])),
        }
        if name != "home":
            figures[name]["ahead"] = asdict(bootstrap_mean(values["home"] - values[name], listeners, seed))
    calibrated = calibration(world, served, pages, policy, rules, reward, seed)
    explored = exploration(pages)
    return {
        "pages": len(served),
        "listeners": len(np.unique(listeners)),
        "values": figures,
        "calibration": calibrated,
        "exploration": explored,
        "targets": {
            **{f"home_above_{name}": target(figures[name]["ahead"]["low"], at_least=ABOVE) for name in PEERS},
            "calibration_kl_above_half": target(calibrated["above_half"]["high"], at_most=0.0),
            "calibration_loss": target(calibrated["loss"]["high"], at_most=MOST_LOSS),
            "pages_over_budget": target(explored["over_budget"], at_most=0),
        },
    }


def peers(world: World, served: Sequence[Served], rules: HomeRules) -> dict[str, list[Rows]]:
    """The pages of each peer, as the world numbers items."""
    rows = {
        "static_shelves": home_peers.static_shelves(served, rules),
        "popularity": [home_peers.popular(one, rules) for one in served],
        "mmr_alone": [home_peers.mmr_alone(one, rules) for one in served],
        "creator_cap": [home_peers.creator_cap(one, rules) for one in served],
    }
    ids = served[0].answer.context.catalogue.item_ids
    number = np.array([world.item_index.get(item, -1) for item in ids.tolist()])
    return {name: [[number[row].tolist() for row in page if row] for page in given] for name, given in rows.items()}


def values_of(world: World, served: Sequence[Served], pages: Sequence[Rows], reward: Mapping[str, float]) -> np.ndarray:
    """The true value of a page at each moment, `[n]`."""
    by_moment = dict(zip([one.moment for one in served], pages, strict=True))
    return policy_values(world, [one.moment for one in served], by_moment.__getitem__, reward)


def calibration(
    world: World,
    served: Sequence[Served],
    pages: Sequence[ShownPage],
    policy: LayoutPolicy,
    rules: HomeRules,
    reward: Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    """Distance from the mix that fits, and value, of the pages with and without calibration.

    Args:
        world, served, policy, rules, reward, seed: as `run`.
        pages: with calibration, `n`.

    Returns:
        `with` and `without`: mean `kl` in nats and `value`; `by_reward`: the same of pages where the fit of an item's
        content type does not count either, which are nearer to the mix; `kl_ratio`, to these; `above_half`: the
        distance with calibration less half of theirs; `loss`: of value, as a share of the value without, which is the
        larger one; both with intervals.
    """
    listeners = np.array([one.moment.user for one in served])

    def measured(pages: Sequence[ShownPage]) -> tuple[np.ndarray, np.ndarray]:
        kl = np.array([mix_distance(one, page) for one, page in zip(served, pages, strict=True)])
        return kl, values_of(world, served, [rows_of(world, page) for page in pages], reward)

    def composed(rules: HomeRules) -> list[ShownPage]:
        return [one.page(home_surface(policy, rules)) for one in served]

    kl, values = measured(pages)
    uncalibrated_kl, uncalibrated = measured(composed(replace(rules, calibration=0.0)))
    reward_kl, by_reward = measured(composed(replace(rules, calibration=0.0, fit=0.0)))
    above_half = bootstrap_mean(kl - MOST_KL * reward_kl, listeners, seed)
    loss = bootstrap_mean((uncalibrated - values) / uncalibrated.mean(), listeners, seed)
    return {
        "with": {"kl": float(kl.mean()), "value": float(values.mean())},
        "without": {"kl": float(uncalibrated_kl.mean()), "value": float(uncalibrated.mean())},
        "by_reward": {"kl": float(reward_kl.mean()), "value": float(by_reward.mean())},
        "kl_ratio": float(kl.mean() / reward_kl.mean()),
        "above_half": asdict(above_half),
        "loss": asdict(loss),
    }


def mix_distance(served: Served, page: ShownPage) -> float:
    """The distance of a page's content types from the mix that fits its context, in nats."""
    context = served.answer.context
    mix = home_context(context).content_mix
    shown = context.catalogue.content_types[context.catalogue.rows(item.item_id for item in page.items)]
    counts = np.array([(shown == name).sum() for name in mix], float)
    return float(distance(np.array(list(mix.values())), counts))


def exploration(pages: Sequence[ShownPage]) -> dict[str, float]:
    """The mean and the largest share of drawn places of a page, and how many pages exceed the budget anywhere.

    The beginning of a page, down to any of its places, keeps to the budget too.
    """
    budget = Exploration().budget
    shares, over = [], 0
    for page in pages:
        drawn = np.cumsum([item.explored for item in page.items])
        places = np.arange(1, len(drawn) + 1)
        over += bool((drawn > budget * places + 1e-9).any())
        shares.append(drawn[-1] / places[-1] if len(places) else 0.0)
    return {"budget": budget, "mean": float(np.mean(shares)), "largest": float(np.max(shares)), "over_budget": over}
