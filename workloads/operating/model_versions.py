"""The versions of a model: labels, lineage from the data span to the label, and the figures of each version's run."""

from pathlib import Path
from typing import Any

from models.evaluation.report import flat_metrics
from models.saved.card import CARD, read_card
from segue.files import read_json
from segue.near_names import check_known
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import faults, pushed_at
from workloads.operating.decisions import decisions

# The metrics of an evaluation that belong to a model, by the beginning of their names.
OWN_METRICS = {
    "retrieval": "retrieval.candidate.",
    "sequence": "retrieval.sequence.",
    "ranking": "ranking.candidate.",
}
LONG = 20  # entries; a longer list on a card, such as a vocabulary, is said by its length


def version_entries(root: Path, model: str) -> list[dict[str, Any]]:
    """Return the versions of a model, the oldest first.

    Each has its `version`, its `labels`, when it was `pushed` (UTC), whether its files are `whole`, and their `faults`.

    Args:
        root: the model store.
        model: the model.
    """
    labels = model_store.labels(root).get(model, {})
    return [
        {
            "version": version,
            "labels": sorted(name for name, at in labels.items() if at == version),
            "pushed": (at := pushed_at(root, model, version)) and at.isoformat(timespec="seconds"),
            "whole": not (found := faults(root, model, version)),
            "faults": found,
        }
        for version in model_store.versions(root, model)
    ]


def model_detail(home: Home, model: str) -> dict[str, Any]:
    """Return a model with its versions, the oldest first, and the `decisions` on its labels.

    A version has the fields of `version_entries`, its `lineage` and `figures` as `lineage` and `figures` return them,
    and the `card` without its long lists.

    Raises:
        InputError: the store has no such model.
    """
    check_known("model", model, model_store.models(home.models))
    entries = version_entries(home.models, model)
    for entry in entries:
        folder = home.models / model / str(entry["version"])
        card = read_card(folder) if (folder / CARD).is_file() else {}
        entry["lineage"] = lineage(card)
        entry["figures"] = figures(home, model, card.get("run_id", ""))
        entry["card"] = shortened(card)
    return {
        "model": model,
        "versions": entries,
        "decisions": [each for each in decisions(home) if model in each["versions"]],
    }


def lineage(card: dict[str, Any]) -> dict[str, Any]:
    """Return where a version comes from: `dataset`, `sha256` of the log, the `split` of its span, and the `run`."""
    names = {"dataset": "dataset", "sha256": "sha256", "split": "split", "run_id": "run"}
    return {name: card.get(key) for key, name in names.items()}


def figures(home: Home, model: str, run: str) -> dict[str, float]:
    """Return the metrics of the run that trained a version; empty if the home has no evaluation of it."""
    evaluation = home.run(run).evaluation
    if not run or model not in OWN_METRICS or not evaluation.is_file():
        return {}
    start = OWN_METRICS[model]
    flat = flat_metrics(read_json(evaluation))
    return {name.removeprefix(start): value for name, value in flat.items() if name.startswith(start)}


def shortened(value: Any) -> Any:
    """Return JSON types with each long list replaced by its length in words."""
    if isinstance(value, dict):
        return {name: shortened(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > LONG else [shortened(entry) for entry in value]
    return value
