"""What the loop won back of the reward that a planted change cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workloads.simulation.rivals.values import ORACLE

LAST, SETTLING = 14, 7  # days that count at the end, and days after the change that the loop has for itself
PUSHED = "pushed"


def won_back(
    days: Sequence[Mapping[str, Any]], drift: Mapping[str, Any], untrained: str = "frozen"
) -> dict[str, Any] | None:
    """Compare what a planted change cost the loop with what it cost a rival that trains nothing.

    Rewards are shares of the oracle's, free of what the change did to the reward that anybody could have. What a change
    costs a rival is its share before the change less its share after it.

    Args:
        days: The days, with their `policies` and `actions`.
        drift: The planted `drift` with its `drift_day`; empty for none.
        untrained: The rival that the loss is taken from: the first models, or a site that trains nothing.

    Returns:
        `before` and `after`, the shares of the loop and of each rival in the last 14 days before the change, and in the
        last 14 of the simulation, of which none is in the week of the change; `untrained`; `lost`, what the change cost
        it; `won_back`, the part of this that it did not cost the loop, and `others`, the same of the other rivals;
        `days`, how many these last ones are; `trainings`, how many models the loop pushed from the change on. None
        without a change, or with fewer days before or after it.
    """
    if not drift:
        return None
    early = [day["policies"] for day in days if day["day"] < drift["drift_day"]][-LAST:]
    late = [day["policies"] for day in days if day["day"] >= drift["drift_day"] + SETTLING][-LAST:]
    if not early or not late:
        return None
    before, after = ({name: share(part, name) for name in late[0] if name != ORACLE} for part in (early, late))
    cost = {name: before[name] - after[name] for name in after}
    lost = cost[untrained]
    won = {name: 1 - each / lost if lost > 0 else None for name, each in cost.items()}
    pushed = [
        action for day in days if day["day"] >= drift["drift_day"]
        for action in day["actions"] if action["kind"] == PUSHED
    ]  # fmt: skip
    return {
        "before": before,
        "after": after,
        "untrained": untrained,
        "lost": lost,
        "won_back": won["loop"],
        "others": {name: part for name, part in won.items() if name not in ("loop", untrained)},
        "days": len(late),
        "trainings": len(pushed),
    }


def share(policies: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the mean reward of a rival as a share of the oracle's."""
    return float(np.mean([day[name] for day in policies]) / np.mean([day[ORACLE] for day in policies]))


def won_sentence(result: Mapping[str, Any]) -> str:
    """Say what the loop won back."""
    untrained = result["untrained"]
    who = "the first models" if untrained == "frozen" else f"the site {untrained}, which trains nothing,"

    def moved(name: str) -> str:
        return f"from {result['before'][name]:.1%} to {result['after'][name]:.1%}"

    if result["won_back"] is None:
        return f"The change cost nothing: {who} went {moved(untrained)} of the oracle's reward."
    others = "".join(
        f" {'The first models with the features of its pages' if name == 'frozen' else f'The site {name}'} won back "
        f"{part:.0%}: {moved(name)}."
        for name, part in result["others"].items()
    )
    return (
        f"After the change {who} went {moved(untrained)} of the oracle's reward in the last {result['days']} days. "
        f"The loop won back {result['won_back']:.0%} of this with {result['trainings']} trainings: {moved('loop')}."
        f"{others}"
    )
