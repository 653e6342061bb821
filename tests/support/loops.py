"""Homes as a loop leaves them, without any training: a log's manifest, runs, models, and drift verdicts."""

from pathlib import Path
from typing import Any

from segue.files import write_json, write_text
from segue.settings import MODEL_CARD, Home
from serving.store import model_store
from workloads.run import Run

TRAINED, STOPPED, COMPARED = "training-20260301T120000", "training-20260302T120000", "monitoring-20260303T120000"
LIMITS = {"share": 0.3, "distance": 0.1}


def looped(home: Home, models: tuple[str, ...] = ("ranking", "retrieval")) -> Home:
    """Fill an empty home: a run that passed, one that a gate stopped, a drift verdict, and three versions, a canary."""
    span = {"first": "2026-01-05T06:00:00+00:00", "last": "2026-03-05T23:00:00+00:00"}
    manifest = {"dataset": "a <b>log</b>", "counts": {"events": 89_700, "items": 10, "users": 3}, "span": span}
    write_json(home.data / "manifest.json", manifest)
    yes = {"passed": True, "reason": "all is well", "figures": {}, "limits": {}}
    steps = {"validate-data": yes, "evaluate": yes, "infra-validate": yes, "push": {"version": 1}}
    leave_run(home, TRAINED, steps)
    write_json(home.run(TRAINED).evaluation, evaluation(auc=0.61))
    write_text(home.run(TRAINED).evaluation_page, "# Blessed\n")
    leave_run(home, STOPPED, {"validate-data": yes, "evaluate": {**yes, "passed": False, "reason": "AUC is low"}})
    drifted = drift_verdict(share=0.4)
    leave_run(home, COMPARED, {"detect-drift": drifted})
    write_json(home.drift_verdict, drifted)
    write_text(home.drift_page, "<script>document.title = 'report'</script>")
    for label in ("stable", "stable", "canary"):
        push(home, models, label)
    return home


def leave_run(home: Home, name: str, results: dict[str, dict[str, Any]]) -> None:
    """Leave the records of a run's steps."""
    run = Run(home, name, {})
    for step, result in results.items():
        with run.step(step) as record:
            record.update(result)
    write_json(run.folder.request, {"pipeline": name.partition("-")[0], "home": str(home.root), "config": {}})
    write_text(run.folder.log, "the log\n")


def push(home: Home, models: tuple[str, ...], label: str = "stable") -> int:
    """Push a version of each model that no server could load, with a card."""
    source = home.root / "exported"
    write_text(source / "saved_model.pb", "graph")
    split = {"start": "2026-01-05T06:00:00+00:00", "train_end": "2026-02-22", "end": "2026-03-05T23:00:00+00:00"}
    write_json(source / MODEL_CARD, {"run_id": TRAINED, "dataset": "a", "sha256": "6" * 64, "split": split})
    return model_store.push(home.models, dict.fromkeys(models, Path(source)), label=label)


def drift_verdict(share: float) -> dict[str, Any]:
    """A drift verdict over one prediction and one feature, as `monitoring.drift.compare` writes it."""
    column = {"score": 0.2, "method": "wasserstein", "threshold": 0.1, "drifted": True}
    figures = {
        "share_drifted": share,
        "columns": {"tempo": column, "prediction_play": {**column, "score": 0.05, "drifted": False}},
        "predictions_drifted": [],
        "skipped": {},
        "rows": {"reference": 5000, "current": 5000},
    }
    return {"passed": share < 0.3, "reason": f"{share:.0%} drifted.", "figures": figures, "limits": LIMITS}


def evaluation(auc: float) -> dict[str, Any]:
    """An evaluation with one head and one slice."""
    head = {"auc": auc, "auc_low": auc - 0.01, "auc_high": auc + 0.01, "log_loss": 0.5, "ece": 0.02, "label_mean": 0.3}
    lists = {"recall_at_10": 0.1, "recall_at_100": 0.4, "ndcg_at_10": 0.05}
    gain = {"mean": 0.1, "low": 0.05, "high": 0.15}
    return {
        "retrieval": {
            "models": {"popularity": lists, "candidate": {**lists, "recall_at_10": None}},
            "recall_at_100_over_popularity": gain,
            "sequence_as_a_source": {},
            "slices": {},
        },
        "ranking": {"candidate": {"play": head}},
        "analysis": {"head": "play", "slices": {"overall": {"examples": 100, "auc": auc, "calibration": 1.0}}},
        "calibration": {},
    }
