"""The card beside a SavedModel: how its inputs are encoded and from which run and data it comes."""

from pathlib import Path

from segue.files import read_json
from segue.settings import MODEL_CARD

CARD = MODEL_CARD
FORMAT = 3  # the version of the signatures; only models of the same format are compared with each other


def read_card(saved_model: Path) -> dict:
    """Read the card of a SavedModel: `format`, `axes`, `markets` and the model's lineage, such as `dataset`."""
    return read_json(Path(saved_model) / CARD)
