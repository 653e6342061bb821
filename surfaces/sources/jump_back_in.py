"""The source `jump_back_in`: what the listener played lately and did not skip, newest first."""

import numpy as np

from events.schema import SKIP
from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.sources.source import MemorySource, listed

CANDIDATES = 20


def find(context: Context) -> list[SourceAnswer]:
    """One list; an item is judged by its newest interaction."""
    newest: dict[int, str] = {}
    for row, action in zip(context.history.tolist(), context.actions, strict=True):
        newest.setdefault(row, action)
    rows = np.array([row for row, action in newest.items() if action != SKIP], np.int32)
    scores = 1.0 / (1.0 + np.arange(len(rows)))
    return [listed("jump_back_in", context, rows, scores, CANDIDATES)]


jump_back_in = MemorySource("jump_back_in", find)
