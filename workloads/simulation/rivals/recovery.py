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
    """Compare the loop and its rivals after a planted change with the loop before it, as shares of the oracle's reward.

    A share is free of what the change did to the reward that anybody could have. The loss is that of a rival that is
    never trained again.

    Args:
        days: The days, with their `policies` and `actions`.
        drift: The planted `drift` with its `drift_day`; empty for none.
        untrained: The rival that the loss is taken from: the first models, or a site that trains nothing.

    Returns:
        `before`, the loop's share in the last 14 days before the change; `shares` of the loop and of each rival in the
        last 14 days of the simulation, of which none is in the week of the change; `untrained`; `lost`, the share that
        the change cost it; `won_back`, the part of that by which the loop is better, and `others`, the same of the
        other rivals; `days`, how many these last ones are; `trainings`, how many models the loop pushed from the change
        on. None without a change, or with fewer days before or after it.
    """
    if not drift:
        return None
    before = [day["policies"] for day in days if day["day"] < drift["drift_day"]][-LAST:]
    after = [day["policies"] for day in days if day["day"] >= drift["drift_day"] + SETTLING][-LAST:]
    if not before or not after:
        return None
    usual = share(before, "loop")
    shares = {name: share(after, name) for name in after[0] if name != ORACLE}
    lost = usual - shares[untrained]
    won = {name: (each - shares[untrained]) / lost if lost > 0 else None for name, each in shares.items()}
    pushed = [
        action for day in days if day["day"] >= drift["drift_day"]
        for action in day["actions"] if action["kind"] == PUSHED
    ]  # fmt: skip
    return {
        "before": usual,
        "shares": shares,
        "untrained": untrained,
        "lost": lost,
        "won_back": won["loop"],
        "others": {name: part for name, part in won.items() if name not in ("loop", untrained)},
        "days": len(after),
        "trainings": len(pushed),
    }


def share(policies: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the mean reward of a rival as a share of the oracle's."""
    return float(np.mean([day[name] for day in policies]) / np.mean([day[ORACLE] for day in policies]))


def won_sentence(result: Mapping[str, Any]) -> str:
    """Say what the loop won back."""
    shares, untrained = result["shares"], result["untrained"]
    who = "the first models" if untrained == "frozen" else f"the site {untrained}, which trains nothing"
    if result["won_back"] is None:
        return f"The change cost nothing: {who} stood at {shares[untrained]:.1%} of the oracle's reward after it."
    others = "".join(
        f" {'The first models, with the features of its pages,' if name == 'frozen' else f'The site {name}'} won back "
        f"{part:.0%}: {shares[name]:.1%}."
        for name, part in result["others"].items()
    )
    return (
        f"The change took Home from {result['before']:.1%} of the oracle's reward to {shares[untrained]:.1%} by {who}. "
        f"The loop won back {result['won_back']:.0%} of the loss with {result['trainings']} trainings: "
        f"{shares['loop']:.1%} in the last {result['days']} days.{others}"
    )
