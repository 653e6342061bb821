"""The scorecard as one HTML page without scripts or outside files; intervals are drawn as SVG."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.reporting import Report, result
from segue.terminal import visible

WIDTH, HEIGHT = 240, 26  # of the drawing of one interval, in pixels
ROLES = ("success", "guardrail", "deterioration", "quality")


def render(report: Report) -> str:
    """Return the page of an experiment's newest look. All texts are data and are escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["percent"] = lambda share, digits=2: "" if share is None else f"{share:+.{digits}%}"
    environment.filters["result"] = result
    card = report.card
    rows = sorted(card["rows"], key=lambda row: (ROLES.index(row["role"]), row["arm"], row["metric"]))
    scale = scale_of(rows)
    return environment.get_template("scorecard.html").render(
        report=report,
        definition=report.state.definition,
        card=card,
        rows=[(row, interval(row, scale)) for row in rows],
        scale=scale,
        several=len(card["units"]) > 2,  # arms
        width=WIDTH,
        height=HEIGHT,
        unlike=[row for row in card["slices"] if row["p_same"] < 0.05],
        looks=report.state.looks,
    )


def scale_of(rows: list[dict[str, Any]]) -> float:
    """Return the lift at both ends of the drawing: the largest end of an interval, and at least 1 %, at most 50 %."""
    ends = [abs(row[end]) for row in rows for end in ("lift_low", "lift_high") if row[end] is not None]
    ends += [row["margin"] for row in rows if row["margin"] is not None]
    return min(0.5, 1.1 * max([end for end in ends if math.isfinite(end)], default=0.01) or 0.01)


def interval(row: Mapping[str, Any], scale: float) -> dict[str, float] | None:
    """Return the places of a row's interval in the drawing, in pixels: `low`, `high`, `point`, and `margin` if any.

    None stands for no interval: early looks may have none yet.
    """
    if row["lift_low"] is None:
        return None
    places = {"low": row["lift_low"], "high": row["lift_high"], "point": row["lift"]}
    if row["margin"] is not None:
        places["margin"] = -row["margin"] if row["higher_is_better"] else row["margin"]
    half = WIDTH / 2
    return {name: round(half + half * max(-1.0, min(1.0, lift / scale)), 1) for name, lift in places.items()}
