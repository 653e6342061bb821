"""What a source is: a question to a model, or a look into the catalogue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context

DAY_SECONDS = 86_400
BLOCK = 1_000  # rows that are filtered at once: the first often hold as many items as are asked for


@dataclass(frozen=True)
class ModelSource:
    """A question to a model that finds candidates. All questions of a request to one model share a call.

    Args:
        name: the source's name in the answer and of its switch.
        model: the model that is asked.
        ask: the inputs that the question adds to the features, e.g. `{"k": 200}`; None if there is nothing to ask.
    """

    name: str
    model: str
    ask: Callable[[Context], Mapping[str, Any] | None]


@dataclass(frozen=True)
class MemorySource:
    """A source that needs no server.

    Args:
        name: the source's name in the answer and of its switch.
        find: the lists that it finds.
    """

    name: str
    find: Callable[[Context], list[SourceAnswer]]


Source = ModelSource | MemorySource


def listed(name: str, context: Context, rows: np.ndarray, scores: np.ndarray, k: int, anchor: str = "") -> SourceAnswer:
    """The first `k` items that may be shown in the request's market and are of its types, as a source's answer.

    Args:
        name: the source.
        context: of the request.
        rows: rows of the catalogue, best first, int32 `[n]`; -1 is left out.
        scores: `[n]`.
        k: how many items to answer.
        anchor: see `SourceAnswer`.
    """
    request, catalogue = context.request, context.catalogue
    chosen: list[int] = []
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        allowed = (block >= 0) & catalogue.allowed(block, request.market, request.content_types)
        # An item of a future release is not in the catalogue yet.
        allowed &= catalogue.release_days[block] <= request.timestamp // DAY_SECONDS
        chosen += (start + allowed.nonzero()[0][: k - len(chosen)]).tolist()
        if len(chosen) == k:
            break
    return SourceAnswer(name, catalogue.item_ids[rows[chosen]], scores[chosen].astype(np.float32), "", anchor)
