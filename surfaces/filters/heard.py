"""The filter `heard`: sources that promise something new do not bring what the listener's history holds.

Retrieval and the sequence model have a rule of their own (films are not recommended twice, songs are), and
`jump_back_in` brings what was heard on purpose.
"""

import numpy as np

from surfaces.candidates import Candidates
from surfaces.catalogue import UNKNOWN
from surfaces.engine.context import Context
from surfaces.filters.filter import Filter

DISCOVERY = frozenset({"because_you_listened", "popular", "cross_content"})


def keep(context: Context, candidates: Candidates) -> np.ndarray:
    """Drop an item of the history that only sources of discovery found."""
    heard = set(context.history.tolist()) - {UNKNOWN}
    kept = np.ones(len(candidates.item_ids), bool)
    for place, row in enumerate(candidates.rows.tolist()):
        if row in heard and DISCOVERY.issuperset(candidates.sources[place]):
            kept[place] = False
    return kept


heard = Filter("heard", keep)
