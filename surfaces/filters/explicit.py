"""The filter `explicit`: a request may leave out the items that are marked as explicit."""

import numpy as np

from surfaces.candidates import Candidates
from surfaces.catalogue import UNKNOWN
from surfaces.engine.context import Context
from surfaces.filters.filter import Filter


def keep(context: Context, candidates: Candidates) -> np.ndarray:
    """Drop explicit items and items that the catalogue does not have yet, unless the request allows explicit ones."""
    if context.request.explicit:
        return np.ones(len(candidates.item_ids), bool)
    return ~context.catalogue.explicit[candidates.rows] & (candidates.rows != UNKNOWN)


explicit = Filter("explicit", keep)
