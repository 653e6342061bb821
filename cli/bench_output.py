"""Tables of the benchmarks: figures with intervals, and targets beside their limits."""

from typing import Any

from cli.output import print_table
from segue.terminal import say


def print_retrieval(title: str, measured: dict[str, Any]) -> None:
    """Print a split's figures: quality and cost of each model, and recall on the slices of the time split."""
    models = {name: figures for name, figures in measured.items() if "train_seconds" in figures}
    first: dict[str, Any] = next(iter(models.values()), {})
    intervals = [name for name, value in first.items() if isinstance(value, dict) and "low" in value]
    quality, cost = [], []
    for name, figures in models.items():
        quality.append([name, *(with_interval(figures[figure]) for figure in intervals)])
        speed = f"{figures['examples_per_second']:,.0f}"
        cost.append([name, figures["coverage"], f"{figures['train_seconds']:,.1f}", speed])
    print_table(title, ("", *(figure.replace("_", " ") for figure in intervals)), quality)
    print_table("", ("", "coverage", "training s", "examples/s"), cost)
    for name in ("new_items", "new_users"):
        part = measured.get(name, {"examples": 0})
        if part["examples"]:
            recalls = {model: figures["recall@100"] for model, figures in part.items() if isinstance(figures, dict)}
            random = {"random": part["random_recall@100"]} if "random_recall@100" in part else {}
            each = ", ".join(f"{model} {recall:.4f}" for model, recall in {**recalls, **random}.items())
            say(f"{name.replace('_', ' ')}: recall@100 of {part['examples']:,} requests: {each}")
    for name, reason in measured["left_out"].items():
        say(f"{name} is left out: {reason}")


def print_experiments(result: dict[str, Any]) -> None:
    """Print what simulated tests found, the peers and the scorecard's speed."""
    columns = ("obrien_fleming", "pocock", "always_valid", "peeked", "rows", "interval_covers", "removed")
    print_table(
        f"{result['tests']:,} tests of each kind: share found, share covered, share of the variance removed",
        ("", *(name.replace("_", " ") for name in columns)),
        [
            [name, *(result[kind][column] for column in columns)]
            for name, kind in (("no effect", "aa"), ("no effect, world", "world_aa"), ("lift", "ab"))
        ],
    )
    say(f"interleaving needs {result['interleaving']['speed_up']:.1f} times fewer listeners than an A/B test")
    say(f"three experiments cost a Home page {result['page_cpu_ms']:.3f} ms of processor time")
    if card := result["scorecard"]:
        say(
            f"a scorecard over {card['rows']:,} exposed rows: {card['segue']['seconds']:.1f} s and "
            f"{card['segue']['peak_memory_mb']:,.0f} MiB; pandas {card['pandas']['seconds']:.1f} s and "
            f"{card['pandas']['peak_memory_mb']:,.0f} MiB"
        )


def with_interval(figure: dict[str, float]) -> str:
    """Format a mean with half of its 95 % interval: `0.322 ±0.034`."""
    return f"{figure['mean']:.3f} ±{(figure['high'] - figure['low']) / 2:.3f}"


def print_targets(targets: dict[str, dict[str, Any]], digits: int = 2) -> None:
    """Print figures beside their limits; print nothing if there are none."""
    if not targets:
        return
    rows = []
    for name, figure in targets.items():
        limit = f"at least {figure['at_least']:g}" if "at_least" in figure else f"at most {figure['at_most']:g}"
        holds = "yes" if figure["holds"] else "NO"
        rows.append((name.replace("_", " "), f"{figure['value']:,.{digits}f}", limit, holds))
    print_table("targets", ("", "measured", "limit", "holds"), rows)
