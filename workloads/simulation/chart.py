"""The chart of a simulation: a picture, and a page that holds it beside the figures."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from typing import Any

REWARDS = {
    "reward": ("served", "#5b3df5", "-"),
    "best_reward": ("best page, told the mood", "#8a8798", "--"),
    "popular_reward": ("popular items", "#c9792b", ":"),
}
SHARES = {
    "explored": ("explored items", "#1a936f"),
    "new": ("new items", "#5b3df5"),
    "fallback": ("fallback pages", "#c0392b"),
}
COLUMNS = {
    "date": "day", "sessions": "sessions", "pages": "pages", "reward": "true reward", "best_reward": "best",
    "popular_reward": "popular", "plays": "plays drawn", "calibration_kl": "KL to the mix", "explored": "explored",
    "new": "new", "fallback": "fallback", "trained": "trained", "missing": "rows lost", "different": "other features",
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
<p>The true reward is the expected number of items played through on a page, exact under the world. The best page is
told the mood of the session, which the gateway has to guess. A vertical line is a push of models trained on what was
served.</p>
<p>{worth}</p>
<img alt="True reward, calibration and shares by day" src="data:image/png;base64,{image}">
<div class="table"><table>
<tr>{head}</tr>
{rows}
</table></div>
</body>
</html>
"""


def picture(days: Sequence[dict[str, Any]]) -> bytes:
    """Return the chart of some days (`figures`, with `training` where models were trained) as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
    x = [day["day"] for day in days]
    for name, (label, colour, line) in REWARDS.items():
        top.plot(x, values(days, name), line, color=colour, label=label, marker="o", markersize=3)
    top.set_ylabel("true reward of a page")
    middle.plot(x, values(days, "calibration_kl"), color="#5b3df5", marker="o", markersize=3)
    middle.set_ylabel("KL to the mix of the hour")
    for name, (label, colour) in SHARES.items():
        bottom.plot(x, values(days, name), color=colour, label=label, marker="o", markersize=3)
    bottom.set_ylabel("share")
    bottom.set_xlabel("day of the world")
    for axes in (top, middle, bottom):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        for day in days:
            if pushed(day):
                axes.axvline(day["day"] + 0.5, color="#17171c", alpha=0.3)
    top.legend(frameon=False)
    bottom.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def page(world: str, days: Sequence[dict[str, Any]], image: bytes, worth: str) -> str:
    """Return the page of a simulation, which needs no other file.

    Args:
        world: A line that names the world.
        days: The days, as for `picture`.
        image: The chart.
        worth: What the training was worth, in a sentence.
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in COLUMNS.values())
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell(day, name))}</td>" for name in COLUMNS) + "</tr>" for day in days
    )
    return PAGE.format(
        world=escape(world), worth=escape(worth), image=base64.b64encode(image).decode(), head=head, rows=rows
    )


def cell(day: dict[str, Any], name: str) -> str:
    """Return a cell of the table."""
    if name == "trained":
        return day["training"]["status"] if day.get("training") else ""
    if name == "different":
        return str(day["features"]["different"])
    value = day["collected"]["missing"] if name == "missing" else day[name]
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def values(days: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Return a figure of all days; a day without it leaves a gap."""
    return [float("nan") if day[name] is None else day[name] for day in days]


def pushed(day: dict[str, Any]) -> bool:
    """Return whether new models were pushed at the end of a day."""
    return bool(day.get("training")) and day["training"]["status"] == "pushed"
