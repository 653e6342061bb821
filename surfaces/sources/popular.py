"""The source `popular`: the items with the most plays of the last four weeks in the listener's market."""

from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.sources.source import MemorySource, listed

CANDIDATES = 50


def find(context: Context) -> list[SourceAnswer]:
    """One list; of all markets where nothing was played in the listener's market."""
    catalogue = context.catalogue
    rows = catalogue.popular(context.market)
    plays = catalogue.popularity.get(context.market, catalogue.popularity[""])
    return [listed("popular", context, rows, plays[rows], CANDIDATES)]


popular = MemorySource("popular", find)
