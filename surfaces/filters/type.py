"""The filter `type`: items must be of the content types of the request."""

from surfaces.filters.filter import Filter

content_type = Filter(
    "type", lambda context, found: context.catalogue.allowed(found.rows, "", context.request.content_types)
)
