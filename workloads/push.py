"""Push: copy the models into the store that the server watches, all of them or none."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from events.dataset import identity
from models.saved.card import read_card
from segue.files import atomic_path
from serving.protocol import prediction_log
from serving.store.model_store import push, stable
from stores import parts
from workloads.run import Run


def step(run: Run, models: dict[str, Path], requests: Path, reference: Path, window: Path) -> int:
    """Push one new version of all models, and keep the references that later runs are compared with.

    Args:
        run: the pipeline run.
        models: the run's SavedModels by name.
        requests: the requests of infra validation. The server replays them before the version is available.
        reference: the newest span's schema and statistics, for data validation.
        window: the newest span's features and predictions, for drift.

    Returns:
        The version in the model store.
    """
    with run.step(__name__) as result:
        home = run.home
        warmup = {model: prediction_log.read_inputs(requests / model) for model in models}
        baseline = home.baseline(identity(read_card(models["ranking"])) or "unknown")
        result["version"] = parts.change(
            home,
            parts.MODELS,
            lambda: pushed_before(home.models, models, run.id) or push(home.models, models, warmup=warmup),
        )
        parts.change(home, parts.BASELINES, lambda: replace(baseline, reference))
        parts.change(home, parts.REPORTS, lambda: replace(home.reference_window, window))
        return result["version"]


def pushed_before(root: Path, models: Iterable[str], run_id: str) -> int | None:
    """Return the stable version if an earlier attempt of this run pushed it, which is not to be pushed again."""
    served = stable(root)
    if not all(name in served and read_card(served[name]).get("run_id") == run_id for name in models):
        return None
    return max(int(served[name].name) for name in models)


def replace(target: Path, source: Path) -> None:
    """Copy a file or a folder to the place of an earlier one, as a whole."""
    with atomic_path(target) as temporary:
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, temporary)
