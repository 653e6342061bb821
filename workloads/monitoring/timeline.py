"""The loop over time: reports of windows, and what was decided, trained, pushed and moved."""

from datetime import datetime
from typing import Any

from monitoring.report import Report
from monitoring.state_file import read
from segue.settings import Home
from serving.store import versions as store
from workloads.monitoring.decide import report_files, report_of, trainings
from workloads.operating.decisions import decisions
from workloads.operating.overview import StateOf

REPORTS = 60  # the newest


def timeline(home: Home, state_of: StateOf) -> dict[str, Any]:
    """Return the loop over time as JSON types.

    Args:
        home: the home.
        state_of: says how a run is doing.

    Returns:
        `reports`, the newest 60, oldest first, as `window`; `decision`, the last one, or None; and `events` since the
        first of these windows, oldest first: `at` (UTC), `kind` (`decision`, `training`, `push` or `labels`), `what`
        (the action, the status, the version or the label), and `said`, why; empty where nobody said so.
    """
    reports = [report_of(path) for path in report_files(home)[-REPORTS:]]
    history = read(home.retraining).history
    events = [event(each.at, "decision", each.action, each.reason) for each in history]
    events += [event(each.started, "training", each.status, "") for each in trainings(home, state_of)]
    events += [event(at, "push", f"version {version}", "") for version, at in pushes(home).items()]
    events += [
        event(
            datetime.fromisoformat(each["at"]),
            "labels",
            each["label"],
            f"{each['action']}, by {each['by']}: {each['why']}",
        )
        for each in decisions(home)
    ]
    since = reports[0].current[0].isoformat() if reports else ""
    return {
        "reports": [window(each) for each in reports],
        "decision": history[-1].to_dict() if history else None,
        "events": sorted((each for each in events if each["at"] >= since), key=lambda each: each["at"]),
    }


def newest(home: Home) -> dict[str, Any]:
    """Return the last `decision` of a home, and when the newest window was checked `until`; None for what is not."""
    files, history = report_files(home), read(home.retraining).history
    return {
        "decision": history[-1].to_dict() if history else None,
        "until": report_of(files[-1]).current[1].isoformat() if files else None,
    }


def window(report: Report) -> dict[str, Any]:
    """Return a report in the form of a time line: `from`, `until`, `cause`, `reason`, and `checks` with their sizes."""
    return {
        "from": report.current[0].isoformat(),
        "until": report.current[1].isoformat(),
        "cause": report.cause,
        "reason": report.reason,
        "checks": [
            {
                "name": check.name,
                "kind": check.kind,
                "response": check.response,
                "effect": check.effect,
                "limit": check.limit,
                "passed": check.verdict.passed,
                "reason": check.verdict.reason,
            }
            for check in report.checks
        ],
    }


def event(at: datetime, kind: str, what: str, said: str) -> dict[str, str]:
    """Return something that happened."""
    return {"at": at.isoformat(timespec="seconds"), "kind": kind, "what": what, "said": said}


def pushes(home: Home) -> dict[int, datetime]:
    """Return when each version was pushed, UTC; a version of several models counts once."""
    return {
        version: at
        for model in store.models(home.models)
        for version in store.versions(home.models, model)
        if (at := store.pushed_at(home.models, model, version))
    }
