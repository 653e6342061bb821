"""The outcome of a run, read from the records of its steps."""

from typing import Any

from segue.files import read_json
from segue.settings import RunFolder
from serving.store.versions import CANARY, STABLE

LABELLED = {STABLE: "", CANARY: ", the canary", None: ", which waits without a label"}
GATES = {"validate-data": "data validation", "evaluate": "the blessing", "infra-validate": "infra validation"}


def outcome(run: RunFolder) -> dict[str, Any]:
    """Read the outcome of a run.

    Args:
        run: the run's folder.

    Returns:
        `run`, the run's name; `status`: `pushed`, `compared` (monitoring), `searched` (search), `stopped` (by a gate),
        `failed` or `incomplete`; `reason`, one sentence; `version`, the pushed version or None; `failed_step`, its name
        or None, also of a run that pushed; `steps`, the record of each step by name; `not_tracked`, why MLflow does not
        have the run yet, or None.
    """
    # A record of an earlier version of Segue has no `started`; all of its run have none.
    read = [read_json(path) for path in sorted(run.steps.glob("*.json"))]
    records = sorted(read, key=lambda record: record.get("started", ""))
    steps = {record["step"]: record for record in records if record["step"] != "report"}
    not_tracked = read_json(run.unsent)["not_tracked"] if run.unsent.is_file() else None
    common: dict[str, Any] = {
        "run": run.path.name,
        "steps": steps,
        "version": None,
        "failed_step": (failed := next((name for name, record in steps.items() if record["status"] == "failed"), None)),
        "not_tracked": not_tracked,
    }
    # The push comes before a failure: a step that fails beside it or later does not take it back.
    if "version" in steps.get("push", {}).get("result", {}):
        version, label = steps["push"]["result"]["version"], steps["push"]["result"].get("label", STABLE)
        reason = f"every gate passed; this is version {version}{LABELLED[label]}"
        if failed:
            reason = f"{reason}; but {failed} failed: {steps[failed]['cause']}"
        return {**common, "status": "pushed", "version": version, "reason": reason}
    if failed:
        return {**common, "status": "failed", "reason": f"{failed}: {steps[failed]['cause']}"}
    for name, gate in GATES.items():
        result = steps.get(name, {}).get("result", {})
        if result.get("passed") is False:
            return {**common, "status": "stopped", "reason": f"{gate} said no: {result['reason']}"}
    if "reason" in steps.get("detect-drift", {}).get("result", {}):
        return {**common, "status": "compared", "reason": steps["detect-drift"]["result"]["reason"]}
    search = steps.get("choose-trial", {}).get("result", {})
    if "best" in search:
        best = search["best"]
        reason = f"trial {best['trial']} of {len(search['trials'])} is best: {search['metric']} {best['objective']:.4f}"
        return {**common, "status": "searched", "reason": reason}
    done = [name for name, record in steps.items() if record["status"] == "done"]
    cut = "".join(f", during {name}" for name, record in steps.items() if record["status"] == "running")
    return {**common, "status": "incomplete", "reason": f"ended after {done[-1] if done else 'no step'}{cut}"}


def verdict(record: dict[str, Any]) -> str:
    """Return what the record of a step says of its outcome: its verdict, the cause of its failure, or nothing."""
    if record["status"] == "failed":
        return str(record["cause"])
    result = record["result"]
    if "passed" in result:
        return f"{'passed' if result['passed'] else 'said no'}: {result['reason']}"
    if "decision" in result:
        return f"{result['decision']['action']}: {result['decision']['reason']}"
    if "skipped" in result:
        return f"skipped: {result['skipped']}"
    return "outputs of an earlier run with the same inputs" if "reused" in result else ""
