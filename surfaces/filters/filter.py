"""What a filter is: a rule that says which candidates may stay."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surfaces.candidates import Candidates
from surfaces.engine.context import Context


@dataclass(frozen=True)
class Filter:
    """A rule for candidates.

    Args:
        name: of the rule, its switch and its metric.
        keep: which candidates stay, bool `[n]`.
    """

    name: str
    keep: Callable[[Context, Candidates], np.ndarray]
