"""Push: copy the models into the store that the server watches, all of them or none."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from events.dataset import identity
from models.saved.card import read_card
from segue.files import atomic_path, remove
from segue.settings import Home
from serving.protocol import prediction_log
from serving.store import model_store
from stores import parts
from workloads.operating.agree import run_of
from workloads.run import Run


def step(run: Run, models: dict[str, Path], requests: Path, reference: Path, window: Path) -> int:
    """Push one new version of all models, after the references that later runs are compared with.

    The push is the last write: once a label names the version, everything that belongs to the version is there.

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
        result["version"] = parts.change(
            home,
            parts.MODELS,
            lambda: pushed_before(home.models, models, run.id) or model_store.push(home.models, models, warmup=warmup),
        )
        return result["version"]


def pushed_before(root: Path, models: Iterable[str], run_id: str) -> int | None:
    """Return the stable version if an earlier attempt of this run pushed it, which is not to be pushed again."""
    served = model_store.stable(root)
    if not all(name in served and read_card(served[name]).get("run_id") == run_id for name in models):
        return None
    return max(int(served[name].name) for name in models)


def keep_window(home: Home, run_id: str, window: Path) -> None:
    """Keep the window of a run, and remove those of runs whose versions have left the store."""
    replace(home.reference(run_id), window)
    root = home.models
    kept = {
        run_id,
        *(run_of(root, name, v) for name in model_store.models(root) for v in model_store.versions(root, name)),
    }
    for path in home.references.glob("[!.]*"):
        if path.stem not in kept:
            remove(path)


def replace(target: Path, source: Path) -> None:
    """Copy a file or a folder to the place of an earlier one, as a whole."""
    with atomic_path(target) as temporary:
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, temporary)
