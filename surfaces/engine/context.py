"""What every stage after hydration may read of a request."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from surfaces.arms.assigned import NO_ARMS, Arms
from surfaces.catalogue import Catalogue
from surfaces.hydrate import Features
from surfaces.request import Request
from surfaces.versions import VersionSet


@dataclass(frozen=True)
class Context:
    """A request with its features, the catalogue, the model versions that all of its calls use, and its arms."""

    request: Request
    features: Features
    catalogue: Catalogue
    versions: VersionSet
    arms: Arms = NO_ARMS

    @cached_property
    def market(self) -> str:
        """The market of the request, or else the listener's country; '' if neither is known."""
        return self.request.market or self.features.get("country") or ""

    @cached_property
    def history(self) -> np.ndarray:
        """Rows of the items in the listener's history, newest first, int32 `[h]`; -1 for items of no catalogue."""
        return self.catalogue.rows(self.features.get("history_items") or [])

    @cached_property
    def actions(self) -> list[str]:
        """The action of each entry of `history`."""
        return self.features.get("history_actions") or []
