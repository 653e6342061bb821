"""Tell MLflow and people of decisions: each once, and again at the next call if it could not be delivered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from monitoring.alerts import alerting, send
from monitoring.retraining import Decision
from monitoring.state_file import State, change, read
from segue.errors import SegueError
from segue.settings import Home
from stores import parts
from stores.settings import settings
from tracking.decisions import log_decisions
from workloads.monitoring.decide import REPORT_NAME, report_of

Say = Callable[[str], None]


def track(home: Home) -> str:
    """Record the decisions that MLflow does not have yet; return why it has not all of them, or nothing."""
    state = read(home.retraining)
    unsent = [record(home, place, state.history[place]) for place in range(state.tracked, len(state.history))]
    if not unsent:
        return ""
    sent, reason = log_decisions(home, unsent)
    note(home, lambda newer: replace(newer, tracked=state.tracked + sent))
    return reason


def record(home: Home, place: int, decision: Decision) -> dict[str, Any]:
    """Return a decision as MLflow records it, with the effect of each check of the report that it saw."""
    tags = {name: value for name, value in decision.to_dict().items() if value is not None}
    path = decision.until and home.check_reports / f"{decision.until:{REPORT_NAME}}.json"
    checks = report_of(path).checks if path and path.is_file() else ()
    effects = {f"effect.{check.name}": check.effect for check in checks if check.effect is not None}
    return {"name": f"decision-{place + 1:05}", "tags": tags, "metrics": effects}


def alert(home: Home, say: Say) -> str:
    """Say and send the alerts that were not delivered yet; return why one could not be sent, or nothing."""
    state = read(home.retraining)
    webhook = settings().alerts_webhook
    for place in alerting(state.history):
        if place < state.alerted:
            continue
        decision = state.history[place]
        say(f"alert: {decision.action}. {decision.reason}")
        try:
            if webhook:
                send(webhook.get_secret_value(), decision)
        except SegueError as error:
            return str(error)
        note(home, lambda newer, done=place + 1: replace(newer, alerted=done))  # type: ignore[misc]
    return ""


def note(home: Home, edit: Callable[[State], State]) -> None:
    """Change the state of the loop in the home, so that what was delivered is not sent again."""
    parts.change(home, parts.REPORTS, lambda: change(home.retraining, edit))
