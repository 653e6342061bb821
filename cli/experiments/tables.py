"""Tables of experiments on the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.output import print_table
from segue.terminal import say

if TYPE_CHECKING:
    from experiments.definition import Definition
    from experiments.planning import Outlook
    from experiments.registry import Recorded
    from experiments.reporting import Report
    from workloads.training.arm_value import Forecast


def show_plan(outlook: "Outlook", definition: "Definition") -> None:
    """Print what each metric needs, and what the experiment needs."""
    from experiments.planning import units_of

    units = units_of(definition)
    print_table(
        f"Plan of {definition.name}",
        ("metric", "role", "value", "to find", units, "variance removed"),
        [
            (
                each.metric,
                each.role,
                each.value,
                f"{each.change:.1%}",
                f"{each.units:,}",
                f"{each.variance_removed:.0%}",
            )
            for each in outlook.needs
        ],
    )
    for name, reason in outlook.unmeasured.items():
        say(f"not measured: {name}, {reason}")
    days = "they never come" if outlook.days is None else f"{outlook.days} days"
    say(f"{outlook.units:,} {units} are needed: {days} at {definition.share[-1]:.0%} of the layer.")
    say(f"In the definition: `plan: {{units: {outlook.units}, days: {outlook.days or definition.plan.days}}}`.")


def show_forecasts(forecasts: "list[Forecast]") -> None:
    """Print what each arm would bring by the log, or why the log cannot say."""
    for each in forecasts:
        if each.gain is None:
            say(f"{each.arm}: no estimate before the start, because {each.reason}.")
        else:
            gain = each.gain
            say(
                f"{each.arm}: by the log a Home page would bring {gain.value:+.3f} plays ({gain.low:+.3f} to "
                f"{gain.high:+.3f}) beside {each.plays:.3f}; {gain.effective_sample_size:,.0f} pages of equal weight "
                "say so."
            )


def show_list(rows: "list[dict[str, Any]]") -> None:
    """Print the experiments, one a line."""
    columns = ("name", "layer", "share", "started", "looks", "verdict", "decision")
    shown = [{**row, "share": f"{row['share']:.0%}", "started": row["started"][:10]} for row in rows]
    print_table("Experiments", columns, [[row[column] for column in columns] for row in shown])


def show_state(state: "Recorded") -> None:
    """Print an experiment's state as recorded."""
    definition = state.definition
    say(f"{definition.name}, owned by {definition.owner}: {definition.hypothesis}")
    share = definition.share[state.stage - 1]
    say(f"Started {state.started:%Y-%m-%d %H:%M} UTC in layer {definition.layer.name}, now {share:.2%} of it.")
    for card in state.looks:
        say(f"Look {card['look']} at {card['at'][:16]}: {card['verdict']}. {card['reason']}")
    if state.stop:
        say(f"Ended {state.stop['at'][:16]} by {state.stop['by']}: {state.stop['decision']}. {state.stop['why']}")


def show_report(report: "Report") -> None:
    """Print a scorecard: metrics, checks, slices and the verdict."""
    card = report.card
    arms = ", ".join(f"{arm} {count:,}" for arm, count in card["units"].items())
    several = len(card["units"]) > 2  # arms
    columns = ("metric", "role", "arm", "control", "treatment", "lift", "result")
    rows = [dict(zip(columns, metric_row(row), strict=True)) for row in card["rows"]]
    shown = [column for column in columns if several or column != "arm"]
    print_table(
        f"{card['experiment']}, look {card['look']}: {arms}", shown, [[row[column] for column in shown] for row in rows]
    )
    unlike = [row for row in card["slices"] if row["p_same"] < 0.05]
    for row in unlike:
        say(
            f"{row['metric']} differs where {row['column']} is {row['value']}: lift {percent(row['lift'])} in "
            f"{row['units']:,} listeners (corrected p = {row['p_same']:.3f})."
        )
    for name, reason in card["unmeasured"].items():
        say(f"not measured: {name}, {reason}")
    checks = ", ".join(f"{name.replace('_', ' ')} p = {p:.3g}" for name, p in card["checks"].items())
    say(f"Checks: {checks}; in several arms {card['mixed']}, in another arm than the bucket's {card['misassigned']}.")
    say(f"{card['information']:.0%} of the planned information; {card['alpha_spent']:.0%} of alpha spent.")
    say(f"{card['verdict'].upper()}: {card['reason']}")


def metric_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of the scorecard's table."""
    from experiments.reporting import result

    interval = "" if row["lift_low"] is None else f" ({percent(row['lift_low'])} to {percent(row['lift_high'])})"
    return (
        row["metric"],
        row["role"],
        row["arm"],
        f"{row['control']:.4g}",
        f"{row['treatment']:.4g}",
        percent(row["lift"]) + interval,
        result(row),
    )


def percent(share: float | None) -> str:
    """Format a relative difference; empty if there is none."""
    return "" if share is None else f"{share:+.1%}"
