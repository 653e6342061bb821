"""The filter `market`: items must be available in the market of the request."""

from surfaces.filters.filter import Filter

market = Filter("market", lambda context, found: context.catalogue.allowed(found.rows, context.request.market, ()))
