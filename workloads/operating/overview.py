"""The state of a home in a few hundred words: data, runs, gates, labels, drift and experiments."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from events.dataset import MANIFEST
from experiments.registry import Registry, summary
from segue.files import read_json
from segue.settings import Home, RunFolder
from serving.store import model_store
from workloads.outcome import GATES

RUNS = 20  # that are shown, the newest first

# Says how a run is doing: `pipelines.run_state.state`, which this room must not import.
StateOf = Callable[[RunFolder], dict[str, Any]]


def overview(home: Home, state_of: StateOf) -> dict[str, Any]:
    """Return the state of a home as JSON types. Parts that do not exist yet are None or empty.

    Args:
        home: the home.
        state_of: says how a run is doing.

    Returns:
        `home`, its folder; `data`, the manifest of the imported log; `last_run`, with `run`, `status` and `reason`;
        `served`, model -> label -> version; `drift` and `drifted`, the last drift verdict; `runs`, the newest first,
        each as `brief`; `gates`, the verdicts of the newest training run, as `gates`; `drift_history`, as
        `drift_history`; and `experiments`, as `summary`.
    """
    manifest = home.data / MANIFEST
    drift = read_json(home.drift_verdict) if home.drift_verdict.is_file() else None
    folders = home.run_folders()[::-1]
    states = [state_of(folder) for folder in folders[:RUNS]]
    trained = next((state for state in states if state["run"].startswith("training-")), None)
    return {
        "home": str(home.root),
        "data": read_json(manifest) if manifest.is_file() else None,
        "last_run": {name: states[0][name] for name in ("run", "status", "reason")} if states else None,
        "served": model_store.labels(home.models) or None,
        "drift": drift["reason"] if drift else None,
        "drifted": not drift["passed"] if drift else None,
        "runs": [brief(state) for state in states],
        "gates": gates(trained) if trained else [],
        "drift_history": drift_history(states),
        "experiments": [summary(each) for each in Registry(home.experiments).all()],
    }


def brief(state: dict[str, Any]) -> dict[str, Any]:
    """Return a run in a line: `run`, `status`, `reason`, `version`, when it `started` (UTC), and its `seconds`."""
    steps = state["steps"].values()
    return {name: state[name] for name in ("run", "status", "reason", "version")} | {
        "started": started(state),
        "seconds": sum(step.get("seconds") or 0 for step in steps),
    }


def started(state: dict[str, Any]) -> str | None:
    """When the first step of a run began, UTC in ISO 8601; None if no step did, or an older version wrote the run."""
    times = [step["started"] for step in state["steps"].values() if "started" in step]
    return datetime.fromtimestamp(min(times), UTC).isoformat(timespec="seconds") if times else None


def gates(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the gates of a run: `gate`, `step`, `passed` (None before its verdict), and the `reason`."""
    results = {step: state["steps"].get(step, {}).get("result", {}) for step in GATES}
    return [
        {
            "gate": gate,
            "step": step,
            "passed": results[step].get("passed"),
            "reason": results[step].get("reason", "no verdict"),
        }
        for step, gate in GATES.items()
    ]


def drift_history(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the drift verdicts of monitoring runs, the oldest first.

    Each has `run`, `started`, `drifted`, the `reason`, the `share` of drifted feature columns with its `limit`, and the
    number of drifted `predictions`.
    """
    verdicts = [(state, state["steps"].get("detect-drift", {}).get("result", {})) for state in reversed(states)]
    return [
        {
            "run": state["run"],
            "started": started(state),
            "drifted": not result["passed"],
            "reason": result["reason"],
            "share": result["figures"]["share_drifted"],
            "limit": result["limits"]["share"],
            "predictions": len(result["figures"]["predictions_drifted"]),
        }
        for state, result in verdicts
        if "passed" in result
    ]
