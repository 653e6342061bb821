"""The served models that a candidate starts from or is compared with."""

from collections.abc import Callable
from pathlib import Path

from events.dataset import identity
from models.fitting.loop import Model
from models.fitting.warm_start import warm_start
from models.saved.card import FORMAT, read_card
from segue.files import read_json
from serving.store.model_store import stable
from workloads.run import Run
from workloads.training_set import MODELS


def warm_start_of(run: Run, model: str, training_set: Path) -> Path | None:
    """The served model that a step of a run starts from; None if the configuration or the data set rules it out."""
    return warm_champion(stable(run.home.models), model, training_set) if run.config.warm_start else None


def warm_starter(champion: Path | None) -> Callable[[Model], object]:
    """The function that prepares a new model: it copies the champion's weights, if there is a champion."""
    return lambda model: warm_start(model, champion) if champion else None


def warm_champion(served: dict[str, Path], name: str, training_set: Path) -> Path | None:
    """The served model, if it has the current format and was made from the same data set; None otherwise."""
    if name not in served:
        return None
    card = read_card(served[name])
    same = card.get("format") == FORMAT and identity(card) == identity(read_json(training_set / "manifest.json"))
    return served[name] if same else None


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
