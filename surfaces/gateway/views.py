"""What a decision looks like in an answer: places with titles, creators and genres."""

from datetime import UTC, date, datetime, timedelta

from surfaces.catalogue import NO_DAY, Catalogue
from surfaces.engine.page import ShownItem
from surfaces.gateway import api
from surfaces.gateway.pages import Decision
from surfaces.sources.new_releases import DAYS

EPOCH = date(1970, 1, 1)


def item(row: int, catalogue: Catalogue) -> api.Item:
    """An item of the catalogue."""
    return api.Item(**described(row, catalogue))


def shelves(decision: Decision, catalogue: Catalogue) -> list[api.Shelf]:
    """The shelves of a page."""
    return [
        api.Shelf(
            id=shelf.id,
            title=shelf.title,
            reason=shelf.reason,
            items=[placed(one, decision.at, catalogue) for one in shelf.items],
        )
        for shelf in decision.page.shelves
    ]


def placed_items(decision: Decision, catalogue: Catalogue) -> list[api.PlacedItem]:
    """The items of a page of one list."""
    return [placed(one, decision.at, catalogue) for one in decision.page.items]


def placed(shown: ShownItem, at: datetime, catalogue: Catalogue) -> api.PlacedItem:
    """An item at its place, as of an instant."""
    row = catalogue.index.get(shown.item_id, -1)
    today = (at.astimezone(UTC).date() - EPOCH).days
    return api.PlacedItem.model_construct(
        **described(row, catalogue) | {"item_id": shown.item_id, "title": catalogue.title(shown.item_id)},
        position=shown.position,
        new=today - DAYS < int(catalogue.release_days[row]) <= today,
        explored=shown.explored,
    )


def described(row: int, catalogue: Catalogue) -> dict:
    """The fields of `api.Item`."""
    day = int(catalogue.release_days[row])
    return {
        "item_id": str(catalogue.item_ids[row]),
        "title": str(catalogue.titles[row]) or str(catalogue.item_ids[row]),
        "creator": catalogue.creators[row],
        "content_type": catalogue.content_types[row],
        "genres": list(catalogue.genres[row]),
        "duration_ms": int(catalogue.durations_ms[row]) or None,
        "release_date": None if day == NO_DAY else (EPOCH + timedelta(days=day)).isoformat(),
    }
