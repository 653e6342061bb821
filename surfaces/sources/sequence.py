"""The source `sequence`: the likeliest next items after the listener's history, by the sequence transformer."""

from typing import Any

from segue.candidates import SEQUENCE_CANDIDATES
from surfaces.engine.context import Context
from surfaces.sources.source import ModelSource
from surfaces.versions import RANKING, SEQUENCE


def ask(context: Context) -> dict[str, Any] | None:
    """The question; None if the ranking model was not trained with this source."""
    inputs = context.versions.signatures.get(RANKING, {}).get("serving_default", {})
    return {"k": SEQUENCE_CANDIDATES} if "sequence_scores" in inputs else None


sequence = ModelSource("sequence", SEQUENCE, ask)
