"""The stages between sources and ranking: the answers become one list, and the filters leave items out."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from surfaces.candidates import Candidates, SourceAnswer, merge
from surfaces.engine.context import Context
from surfaces.engine.stage import Stage, Trace
from surfaces.filters.filter import Filter

MERGE = "merge"


async def filtered(
    answers: Sequence[SourceAnswer],
    filters: Sequence[Filter],
    context: Context,
    trace: Trace,
    by: float,
    longest: int | None = None,
) -> Candidates:
    """The items of some answers that all filters keep; none if a stage fails, because it may be a matter of rights.

    Args:
        answers: of the sources; see `merge`.
        filters: what may not be shown.
        context: of the request.
        trace: of the request.
        by: the deadline of each stage.
        longest: how many items of a source's list become candidates; None for all.
    """
    merging: Stage[Sequence[SourceAnswer], Candidates] = Stage(
        MERGE,
        lambda answers: merge(answers, context.catalogue, longest),
        lambda answers: merge([], context.catalogue),
        by,
    )
    candidates = await merging(answers, trace)
    kept = np.ones(len(candidates.item_ids), bool)
    for one in filters:
        if one.name not in trace.off and candidates.item_ids:
            stage: Stage[Candidates, np.ndarray] = Stage(
                f"filter {one.name}",
                partial(one.keep, context),
                lambda found: np.zeros(len(found.item_ids), bool),
                by,
            )
            kept &= await stage(candidates, trace)
    return candidates if kept.all() else candidates.keep(kept)
