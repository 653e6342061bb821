"""The source `new_releases`: the nearest items of the last two weeks, which have few plays and rank low elsewhere."""

from typing import Any

from segue.candidates import NEW_RELEASE_CANDIDATES
from surfaces.engine.context import Context
from surfaces.sources.source import DAY_SECONDS, ModelSource
from surfaces.versions import RETRIEVAL

DAYS = 14


def ask(context: Context) -> dict[str, Any] | None:
    """The question; None for an older export, which has no input `released_after`."""
    if "released_after" not in context.versions.inputs(RETRIEVAL):
        return None
    return {"k": NEW_RELEASE_CANDIDATES, "released_after": context.request.timestamp - DAYS * DAY_SECONDS}


new_releases = ModelSource("new_releases", RETRIEVAL, ask)
