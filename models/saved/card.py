"""The card beside a SavedModel: what its inputs mean and what it was made from."""

from pathlib import Path

from segue.files import read_json
from segue.settings import MODEL_CARD

CARD = MODEL_CARD
FORMAT = 3  # rises when signatures change, so that only models of one format are compared


def read_card(saved_model: Path) -> dict:
    """The card of a SavedModel: `axes`, `dataset`, `run_id` and what else its lineage says."""
    return read_json(Path(saved_model) / CARD)
