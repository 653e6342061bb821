"""Stage 5, score: the ranking model scores the candidates of one request in one call."""

import numpy as np

from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.model_inputs import model_inputs
from surfaces.versions import RANKING, Models


async def score(models: Models, context: Context, candidates: Candidates) -> dict[str, np.ndarray]:
    """The outputs of the ranking model, each `[n]`: `reward`, the heads, and `uncertainty` if the model has it.

    Args:
        models: of the model server.
        context: of the request.
        candidates: `n` items, at least 1.
    """
    signature = context.versions.inputs(RANKING)
    # A model that was not asked scores 0, as in training: new releases ask retrieval alone.
    not_asked = {name: np.zeros(len(candidates.item_ids)) for name in signature if name.endswith("_scores")}
    inputs = model_inputs({**context.features, **not_asked, **candidates.features()}, signature)
    outputs = await models.predict(context.versions, RANKING, inputs)
    return {name: values[0, : len(candidates.item_ids)] for name, values in outputs.items()}


def by_sources(candidates: Candidates) -> dict[str, np.ndarray]:
    """A reward that keeps the order in which the sources found the items: what stands in for the ranking model.

    The first item of every source has the reward 1, the second 1/2, and so on; an item has its best one.
    """
    reward = np.zeros(len(candidates.item_ids), np.float32)
    for found in candidates.lists:
        np.maximum.at(reward, found.places, 1 / (1 + np.arange(len(found.places), dtype=np.float32)))
    return {"reward": reward}
