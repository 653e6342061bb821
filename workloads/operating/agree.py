"""What follows the labels of the model store, which are the truth: MLflow's aliases and the drift reference."""

import fcntl
from pathlib import Path
from typing import Any

from models.evaluation.report import flat_metrics
from models.saved.card import CARD, read_card
from segue.files import read_json, write_json
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from stores.settings import shown
from tracking.address import tracking_uri
from tracking.aliases import CHALLENGER, CHAMPION, set_aliases
from tracking.client import connect, text_of
from tracking.outbox import track
from tracking.runs import EXPERIMENT, text_tags

ALIASES = {CHAMPION: STABLE, CHALLENGER: CANARY}


def stable_reference(home: Home) -> Path:
    """Return the file with the features and predictions of the test span of the stable models' run.

    Raises:
        InputError: nothing is stable.
    """
    return home.reference(read_card(model_store.served(home.models, "ranking")).get("run_id", ""))


def agree(home: Home) -> str | None:
    """Let MLflow's aliases name what the labels name, and return why they do not yet; None if they do.

    A run that was cut off after its push is recorded first. What was done is noted in the home, so MLflow is asked
    again only after a label has moved. The call is safe to repeat.
    """
    runs = labelled_runs(home.models)
    aliases = {
        model: {alias: of[label] for alias, label in ALIASES.items() if label in of} for model, of in runs.items()
    }
    address = tracking_uri(home)
    done = {"tracking": shown(address), "aliases": aliases}
    evaluated = {run for of in runs.values() for run in of.values() if home.run(run).evaluation.is_file()}
    unsent = {run for run in evaluated if home.run(run).unsent.is_file()}
    if not unsent and home.aliases.is_file() and read_json(home.aliases) == done:
        return None
    if address == home.own_tracking_uri and not home.tracking_database.is_file() and not evaluated:
        return None  # no run of this home has reached its registration
    try:
        missing = set_aliases(connect(address), aliases)
        cut_off = unsent | (missing & evaluated)
        if cut_off and not at_work(home):  # a run that is at work records itself
            for run in sorted(cut_off):
                versions = model_store.versions(home.models, "ranking")
                pushed = next(each for each in versions if run_of(home.models, "ranking", each) == run)
                track(home, home.run(run), record_of(home, run, pushed))
            missing = set_aliases(connect(address), aliases)
    except Exception as error:  # MLflow raises whatever its transport raises
        return f"MLflow's aliases do not follow the labels yet: {text_of(error)}"
    if missing:
        return f"MLflow's aliases do not follow the labels yet: it has no version of {', '.join(sorted(missing))}."
    home.mlflow.mkdir(parents=True, exist_ok=True)
    write_json(home.aliases, done)
    return None


def at_work(home: Home) -> bool:
    """Return whether a run works in the home."""
    try:
        with home.lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def labelled_runs(root: Path) -> dict[str, dict[str, str]]:
    """Return model -> label -> the run that trained its version, for `stable` and for the `canary` of a candidate."""
    runs: dict[str, dict[str, str]] = {}
    for model, labels in model_store.labels(root).items():
        named = {label: version for label, version in labels.items() if label in (STABLE, CANARY)}
        if named.get(CANARY) == named.get(STABLE):
            named.pop(CANARY, None)
        trained = {label: run_of(root, model, version) for label, version in named.items()}
        runs[model] = {label: run for label, run in trained.items() if run}
    return runs


def run_of(root: Path, model: str, version: int) -> str:
    """Return the run that trained a version; empty if its card does not say so."""
    card = Path(root) / model / str(version) / CARD
    return str(read_json(card).get("run_id", "")) if card.is_file() else ""


def record_of(home: Home, run: str, version: int) -> dict[str, Any]:
    """Return what MLflow gets of a run that has pushed its models as `version`; see `tracking.outbox.track`."""
    folder = home.run(run)
    card = read_card(home.models / "ranking" / str(version))
    return {
        "experiment": EXPERIMENT,
        "params": read_json(folder.request)["config"] if folder.request.is_file() else {},
        "metrics": flat_metrics(read_json(folder.evaluation)),
        "tags": text_tags({name: card[name] for name in ("dataset", "sha256", "split", "run_id")}),
        "files": [path.name for path in (folder.evaluation, folder.evaluation_page, folder.validation)],
        "failed": False,
        "trials": [],
        "version": version,
    }
