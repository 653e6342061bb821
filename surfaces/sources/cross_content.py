"""The source `cross_content`: the nearest items of the types that the listener does not play, e.g. podcasts."""

from typing import Any

import numpy as np

from surfaces.engine.context import Context
from surfaces.sources.source import ModelSource
from surfaces.versions import RETRIEVAL

CANDIDATES = 50


def ask(context: Context) -> dict[str, Any] | None:
    """The question; None for a listener without a history, and if the request or the catalogue has one type only.

    The listener's type is the most frequent one of the history.
    """
    types = context.catalogue.types
    played = context.catalogue.content_types[context.history].tolist()
    if context.request.content_types or len(types) < 2 or not played:
        return None
    if "content_types" not in context.versions.inputs(RETRIEVAL):  # an older export
        return None
    usual = types[int(np.argmax([played.count(name) for name in types]))]
    return {"k": CANDIDATES, "content_types": [name for name in types if name != usual]}


cross_content = ModelSource("cross_content", RETRIEVAL, ask)
