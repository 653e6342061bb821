"""The source `popular`: the items with the most plays of the last four weeks in the listener's market."""

from surfaces.candidates import SourceAnswer
from surfaces.engine.context import Context
from surfaces.sources.source import MemorySource, listed

CANDIDATES = 50


def most_played(context: Context, k: int) -> SourceAnswer:
    """The first `k` items; of all markets where nothing was played in the listener's market."""
    catalogue = context.catalogue
    rows = catalogue.popular(context.market)
    plays = catalogue.popularity.get(context.market, catalogue.popularity[""])
    return listed("popular", context, rows, plays[rows], k)


popular = MemorySource("popular", lambda context: [most_played(context, CANDIDATES)])
