"""What the loop won back of the reward that a planted change cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workloads.simulation.rivals.values import ORACLE

LAST, SETTLING = 14, 7  # days that count at the end, and days after the change that the loop has for itself
PUSHED = "pushed"


def won_back(days: Sequence[Mapping[str, Any]], drift: Mapping[str, Any]) -> dict[str, Any] | None:
    """Compare the loop and its rivals after a planted change with the loop before it, as shares of the oracle's reward.

    A share is free of what the change did to the reward that anybody could have. The loss is that of models that are
    never trained again.

    Args:
        days: The days, with their `policies` and `actions`.
        drift: The planted `drift` with its `drift_day`; empty for none.

    Returns:
        `before`, the loop's share in the last 14 days before the change; `loop`, `frozen` and, if there is one, `daily`
        in the last 14 days of the simulation, of which none is in the week of the change; `lost`, the share that the
        change cost; `won_back` and `daily_won_back`, parts of it; `trainings`, how many models the loop pushed from the
        change on. None without a change, or with fewer days before or after it.
    """
    if not drift:
        return None
    before = [day["policies"] for day in days if day["day"] < drift["drift_day"]][-LAST:]
    after = [day["policies"] for day in days if day["day"] >= drift["drift_day"] + SETTLING][-LAST:]
    if not before or not after:
        return None
    usual = share(before, "loop")
    names = [name for name in after[0] if name != ORACLE]
    shares = {name: share(after, name) for name in names}
    lost = usual - shares["frozen"]
    won = {name: (shares[name] - shares["frozen"]) / lost if lost > 0 else None for name in names}
    pushed = [
        action for day in days if day["day"] >= drift["drift_day"]
        for action in day["actions"] if action["kind"] == PUSHED
    ]  # fmt: skip
    return {
        "before": usual,
        **shares,
        "lost": lost,
        "won_back": won["loop"],
        **({"daily_won_back": won["daily"]} if "daily" in won else {}),
        "days": len(after),
        "trainings": len(pushed),
    }


def share(policies: Sequence[Mapping[str, float]], name: str) -> float:
    """Return the mean reward of a rival as a share of the oracle's."""
    return float(np.mean([day[name] for day in policies]) / np.mean([day[ORACLE] for day in policies]))


def won_sentence(result: Mapping[str, Any]) -> str:
    """Say what the loop won back."""
    if result["won_back"] is None:
        return f"The change cost nothing: the first models have {result['frozen']:.1%} of the oracle's reward after it."
    daily = f" Models trained every day won back {result['daily_won_back']:.0%}." if "daily_won_back" in result else ""
    before, frozen, loop = (f"{result[name]:.1%}" for name in ("before", "frozen", "loop"))
    return (
        f"The change took Home from {before} of the oracle's reward to {frozen} by the first models. The loop won back "
        f"{result['won_back']:.0%} of the loss with {result['trainings']} trainings: {loop} in the last "
        f"{result['days']} days.{daily}"
    )
