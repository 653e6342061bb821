"""The chart of a simulation: a picture, and a page that holds it beside the figures."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import cycle
from typing import Any

POLICIES = {
    "oracle": ("oracle", "#8a8798", "--"),
    "loop": ("loop", "#5b3df5", "-"),
    "frozen": ("never trained again", "#c9792b", ":"),
}
SITES = (("#1a936f", "-."), ("#c0392b", "-."), ("#2b7bba", "-."))  # colours and lines of other sites
REWARDS = {
    "reward": ("served", "#5b3df5", "-"),
    "best_reward": ("best page, told the mood", "#8a8798", "--"),
    "popular_reward": ("popular items", "#c9792b", ":"),
}
SHARES = {
    "explored": ("explored items", "#1a936f", "-"),
    "new": ("new items", "#5b3df5", "-"),
    "fallback": ("fallback pages", "#c0392b", "-"),
}
# What the loop does at the end of a day, in the order of the picture from the top.
MARKS = {
    "noticed": ("a check failed", "#c9792b"),
    "retrain": ("decided to retrain", "#5b3df5"),
    "hold": ("decided to hold", "#8a8798"),
    "call a person": ("called a person", "#c0392b"),
    "refused": ("a gate said no", "#c9792b"),
    "pushed": ("models pushed", "#17171c"),
    "worse model": ("worse model planted", "#c0392b"),
    "start": ("roll-out started", "#8a8798"),
    "ramp": ("candidate's share raised", "#5b3df5"),
    "promote": ("candidate promoted", "#1a936f"),
    "take back": ("candidate taken back", "#c0392b"),
}
COLUMNS = {
    "date": "day", "sessions": "sessions", "pages": "pages", "loop": "loop", "frozen": "never trained again",
    "oracle": "oracle", "reward": "served", "best_reward": "best, told the mood",
    "popular_reward": "popular", "plays": "plays drawn", "calibration_kl": "KL to the mix", "explored": "explored",
    "new": "new", "fallback": "fallback", "actions": "then", "missing": "rows lost", "different": "other features",
}  # fmt: skip
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulation of {world}</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 0 auto; padding: 24px; color: #17171c; }}
  img {{ max-width: 100%; }} .table {{ overflow-x: auto; }}
  table {{ border-collapse: collapse; }}
  th, td {{ padding: 4px 10px; border-bottom: 1px solid #e3e2ea; text-align: right; }}
</style>
</head>
<body>
<h1>Simulation of {world}</h1>
<p>The true reward is the expected number of items played through on a page, exact under the world. The loop, the
first models and the oracle are asked for Home in the same moments of each day, as are other sites, which have their own
pages and so their own features; the oracle knows the listeners, but no
session's mood. Below are the pages that were served, on all surfaces, beside the best page for the session's mood.</p>
<p>{worth}</p>
<img alt="True reward, what the loop did, calibration and shares by day" src="data:image/png;base64,{image}">
<div class="table"><table>
<tr>{head}</tr>
{rows}
</table></div>
</body>
</html>
"""


def picture(days: Sequence[Mapping[str, Any]], drift: Mapping[str, Any], sites: Sequence[str] = ()) -> bytes:
    """Return the chart of some days as PNG.

    Args:
        days: The days, with their `figures`, `policies` and `actions`.
        drift: The planted `drift` with its `drift_day`; empty for none.
        sites: Names of other sites among the `policies`.
    """
    from matplotlib.figure import Figure

    did = [name for name in MARKS if any(name in marks(day) for day in days)]
    figure = Figure(figsize=(12, 11 + 0.25 * len(did)), layout="constrained")
    panels = figure.subplots(5, 1, sharex=True, height_ratios=(3, 0.1 + 0.3 * len(did), 2, 1, 1))
    rivals, actions, served, distance, shares = panels
    others = {name: (name, *look) for name, look in zip(sites, cycle(SITES), strict=False)}
    lines(rivals, days, POLICIES | others, "true reward of Home")
    for height, name in enumerate(reversed(did)):
        then = [day["day"] + 0.5 for day in days if name in marks(day)]  # at the end of the day
        actions.plot(then, [height] * len(then), "o", color=MARKS[name][1], markersize=5)
    actions.set_yticks(range(len(did)), [MARKS[name][0] for name in reversed(did)])
    actions.set_ylim(-0.6, max(len(did), 1) - 0.4)
    lines(served, days, REWARDS, "true reward served")
    lines(distance, days, {"calibration_kl": ("", "#5b3df5", "-")}, "KL to the hour's mix")
    lines(shares, days, SHARES, "share")
    shares.set_xlabel("day of the world")
    shares.xaxis.get_major_locator().set_params(integer=True)
    for axes in panels:
        axes.grid(alpha=0.25)
        if drift:
            axes.axvline(drift["drift_day"], color="#17171c", label=f"change of {drift['drift']}")
    for axes in (rivals, served, shares):
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def lines(axes: Any, days: Sequence[Mapping[str, Any]], drawn: Mapping[str, tuple[str, str, str]], title: str) -> None:
    """Draw figures of all days, which some days may lack, as lines over an axis from 0."""
    for name, (label, colour, line) in drawn.items():
        values = [flat(day).get(name) for day in days]
        if any(value is not None for value in values):
            heights = [float("nan") if value is None else value for value in values]
            axes.plot([day["day"] for day in days], heights, line, color=colour, label=label, marker="o", markersize=3)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(title)


def page(world: str, days: Sequence[Mapping[str, Any]], image: bytes, worth: str, sites: Sequence[str] = ()) -> str:
    """Return the page of a simulation, which needs no other file.

    Args:
        world: A line that names the world.
        days: The days, as for `picture`.
        image: The chart.
        worth: What the training was worth, in a sentence.
        sites: As for `picture`.
    """
    names = list(COLUMNS)
    names[names.index("oracle") : names.index("oracle")] = sites
    head = "".join(f"<th>{escape(COLUMNS.get(name, name))}</th>" for name in names)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell(flat(day).get(name)))}</td>" for name in names) + "</tr>" for day in days
    )
    return PAGE.format(
        world=escape(world), worth=escape(worth), image=base64.b64encode(image).decode(), head=head, rows=rows
    )


def flat(day: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a day without levels."""
    return {
        **day,
        **day["policies"],
        "missing": day["collected"]["missing"],
        "different": day["features"]["different"],
        "actions": ", ".join(marks(day)),
    }


def cell(value: Any) -> str:
    """Return a cell of the table."""
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def marks(day: Mapping[str, Any]) -> list[str]:
    """Return what the loop did at the end of a day, as names of `MARKS`."""
    return [action["kind"] for action in day["actions"] if action["kind"] in MARKS]
