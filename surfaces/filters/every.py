"""All filters, in the order in which they are applied."""

from surfaces.filters.dislikes import dislikes
from surfaces.filters.explicit import explicit
from surfaces.filters.filter import Filter
from surfaces.filters.heard import heard
from surfaces.filters.market import market
from surfaces.filters.type import content_type

FILTERS: tuple[Filter, ...] = (heard, market, explicit, dislikes, content_type)
