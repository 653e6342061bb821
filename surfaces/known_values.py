"""The values that a request may name: a typing error is refused, instead of answered as if it were a rare value."""

from collections.abc import Sequence
from typing import Any

from events import schema
from segue.files import read_json
from segue.near_names import check_known
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import served
from surfaces.request import Request


def check_values(home: Home, surface: str, content_types: Sequence[str], market: str | None) -> None:
    """Check the surface against the schema, and the filters against the card of the served retrieval model.

    A market may also be a country of the listeners: items without markets are available everywhere.

    Raises:
        InputError: a value is not known, or no retrieval model is served.
    """
    check_known("surface", surface, schema.SURFACES)
    path = served(home.models, "retrieval") / MODEL_CARD
    card: dict[str, Any] = read_json(path) if path.is_file() else {}
    if "content_types" in card:
        for content_type in content_types:
            check_known("content type", content_type, card["content_types"])
    if market is not None and "markets" in card:
        check_known("market", market, {*card["markets"], *card["axes"]["tokens"]["country"]})


def why_empty(request: Request) -> str:
    """Why a request's list is empty, in one sentence with all conditions that its items must meet."""
    conditions = [
        *([f"of the type {' or '.join(request.content_types)}"] if request.content_types else []),
        *([f"available in {request.market}"] if request.market else []),
        f"released by {request.at:%Y-%m-%d %H:%M} UTC",
    ]
    return f"The list for {request.user_id} is empty: no item of the served models is {', and '.join(conditions)}."
