"""Push: copy the models into the store that the server watches, all of them or none."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from events.dataset import identity
from models.saved.card import read_card
from segue.files import atomic_path, read_json, remove
from segue.settings import Home
from serving.protocol import prediction_log
from serving.store import model_store
from serving.store.split import read_split
from serving.store.versions import CANARY, STABLE
from stores import parts
from workloads.operating.agree import run_of
from workloads.operating.decisions import record_cut_off
from workloads.run import Run

NEWEST = 20  # windows of runs that stay without a version


def step(run: Run, models: dict[str, Path], requests: Path, reference: Path, window: Path) -> int:
    """Push one new version of all models, after the references that later runs are compared with.

    The push is the last write: once a label names the version, everything that belongs to the version is there. Its
    label is `stable`, or `canary` if a roll-out is to try the models first (`label_for`).

    Args:
        run: the pipeline run.
        models: the run's SavedModels by name.
        requests: the requests of infra validation. The server replays them before the version is available.
        reference: the newest span's schema and statistics, for data validation.
        window: the newest span's features and predictions, for drift.

    Returns:
        The version in the model store.
    """
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        home = run.home
        warmup = {model: prediction_log.read_inputs(requests / model) for model in models}
        baseline = home.baseline(identity(read_card(models["ranking"])) or "unknown")
        parts.change(home, parts.BASELINES, lambda: replace(baseline, reference))
        parts.change(home, parts.REPORTS, lambda: keep_window(home, run.id, window))

        def pushed() -> int:
            record_cut_off(home.models)
            label = label_for(run)
            earlier = pushed_before(home.models, models, run.id, label)
            return earlier or model_store.push(home.models, models, warmup=warmup, label=label)

        result["version"] = version = parts.change(home, parts.MODELS, pushed)
        labels = model_store.labels(home.models)["ranking"]
        result["label"] = next((label for label in (STABLE, CANARY) if labels.get(label) == version), None)
        return version


def label_for(run: Run) -> str | None:
    """Return the label that a run's models get; None if they wait, because a roll-out tries another candidate."""
    root, to = run.home.models, run.config.push
    if not model_store.stable(root) or to == STABLE:
        return STABLE
    split = read_split(root)
    if split is not None and split.open and split.phase != "draining":  # a drain may last until the next command
        return None
    ingest = run.folder.steps / "ingest.json"
    listened = ingest.is_file() and read_json(ingest)["result"].get("listened", False)
    return CANARY if listened or to == CANARY else STABLE


def pushed_before(root: Path, models: Iterable[str], run_id: str, label: str | None) -> int | None:
    """Return the version that an earlier attempt of this run pushed, which is not to be pushed again.

    A version without a label may be what a push left that was cut off, unless it is to wait without one.
    """
    labels = model_store.labels(root)

    def whole(model: str, version: int) -> bool:
        return run_of(root, model, version) == run_id and (label is None or version in labels.get(model, {}).values())

    candidates = reversed(model_store.versions(root, "ranking"))
    return next((version for version in candidates if all(whole(model, version) for model in models)), None)


def keep_window(home: Home, run_id: str, window: Path) -> None:
    """Keep the window of a run, and remove those of runs whose versions have left the store.

    The newest windows stay in any case: the run of one of them may be about to push its version.
    """
    replace(home.reference(run_id), window)
    root = home.models
    kept = {
        run_id,
        *(run_of(root, name, v) for name in model_store.models(root) for v in model_store.versions(root, name)),
    }
    by_age = sorted(home.references.glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns)
    for path in by_age[:-NEWEST]:
        if path.stem not in kept:
            remove(path)


def replace(target: Path, source: Path) -> None:
    """Copy a file or a folder to the place of an earlier one, as a whole."""
    with atomic_path(target) as temporary:
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, temporary)
