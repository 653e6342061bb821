"""The served models that a candidate starts from or is compared with."""

from collections.abc import Callable
from pathlib import Path

from events.dataset import identity
from events.splits import Split
from models.fitting.loop import Model
from models.fitting.warm_start import warm_start
from models.saved.card import FORMAT, read_card
from segue.files import read_json
from serving.store.model_store import stable
from workloads.run import Run
from workloads.training_set import MODELS


def warm_start_of(run: Run, model: str, training_set: Path) -> tuple[Path | None, str]:
    """The served model that a step of a run starts from, or None, and which version it is, or why there is none."""
    if not run.config.warm_start:
        return None, "none: the configuration says so"
    return warm_champion(stable(run.home.models), model, training_set)


def warm_starter(champion: Path | None) -> Callable[[Model], object]:
    """The function that prepares a new model: it copies the champion's weights, if there is a champion."""
    return lambda model: warm_start(model, champion) if champion else None


def warm_champion(served: dict[str, Path], name: str, training_set: Path) -> tuple[Path | None, str]:
    """The served model, if a new one can start from it, and which version it is, or why it cannot.

    It has the current format, comes from the same log, and has seen nothing of the spans that judge the new one: its
    weights are of its train span, and the best epoch and the choice head are of its validation span. With another
    split, or after the newest days of a log were removed, these may end later than the new ones.
    """
    if name not in served:
        return None, "none: nothing is served"
    card, manifest = read_card(served[name]), read_json(training_set / "manifest.json")
    version = served[name].name
    if card.get("format") != FORMAT:
        return None, f"none: version {version} has another format"
    if identity(card) != identity(manifest):
        return None, f"none: version {version} is of another log"
    seen, ours = Split.from_dict(card["split"]), Split.from_dict(manifest["split"])
    if seen.train_end > ours.train_end or seen.validation_end > ours.validation_end:
        return None, f"none: version {version} was trained or chosen on later days"
    return served[name], f"version {version}"


def served_champion(served: dict[str, Path], candidate: Path) -> dict[str, Path] | None:
    """The served models, if they can be compared with the candidate; None otherwise.

    Models compare if they were made from the same data set and hold the same genres and content types at the same
    places of their vectors.
    """
    if not set(MODELS) <= set(served):
        return None
    ours, champion = read_card(candidate), {name: served[name] for name in MODELS}
    cards = [read_card(path) for path in champion.values()]
    comparable = all(
        card.get("format") == FORMAT
        and identity(card) == identity(ours)
        and all(card.get(name) == ours.get(name) for name in ("genres", "content_types"))
        for card in cards
    )
    return champion if comparable else None
