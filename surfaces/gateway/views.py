"""What a decision looks like in an answer: places with titles, creators and genres."""

from datetime import UTC, datetime
from typing import Any

from events.journal.records import Exposure
from surfaces.catalogue import EPOCH, UNKNOWN, Catalogue
from surfaces.engine.page import ShownItem
from surfaces.gateway import api
from surfaces.gateway.pages import Decision
from surfaces.home.layout_record import PREFIX
from surfaces.sources.new_releases import DAYS
from surfaces.sources.reasons import REASONS


def item(row: int, catalogue: Catalogue) -> api.Item:
    """An item of the catalogue."""
    return api.Item.model_validate(described(row, catalogue))


# Pages are plain values of the fields in `api`: to make and validate its models would cost 1 ms a page.


def shelves(decision: Decision, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The shelves of a page, each as an `api.Shelf`."""
    today = day_of(decision.at)
    return [
        {
            "id": shelf.id,
            "title": shelf.title,
            "reason": shelf.reason,
            "items": [placed(one, today, catalogue) for one in shelf.items],
        }
        for shelf in decision.page.shelves
    ]


def placed_items(decision: Decision, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The items of a page of one list, each as an `api.PlacedItem`."""
    today = day_of(decision.at)
    return [placed(one, today, catalogue) for one in decision.page.items]


def placed(shown: ShownItem, today: int, catalogue: Catalogue) -> dict[str, Any]:
    """An item at its place, on a day since 1970 UTC."""
    row = catalogue.index.get(shown.item_id, UNKNOWN)
    return {
        **described(row, catalogue, shown.item_id),
        "position": shown.position,
        "new": today - DAYS < catalogue.release_days.item(row) <= today,
        "explored": shown.explored,
    }


def day_of(at: datetime) -> int:
    """The day of an instant, in days since 1970 UTC."""
    return (at.astimezone(UTC).date() - EPOCH).days


def why(exposure: Exposure, catalogue: Catalogue) -> api.Why:
    """Why an item was shown, from what the journal keeps of the decision."""
    reasons = [f"It {REASONS.get(source, f'was found by {source}')}." for source in exposure.sources]
    return api.Why(
        request_id=exposure.request_id,
        item_id=exposure.item_id,
        title=catalogue.title(exposure.item_id),
        shelf=exposure.shelf,
        position=exposure.position,
        reasons=reasons,
        sources=list(exposure.sources),
        scores={name: value for name, value in exposure.scores.items() if not name.startswith(f"{PREFIX}/")},
        policy=f"{exposure.policy}@{exposure.policy_version}",
        propensity=exposure.chance,
        versions=exposure.model_versions,
        level=exposure.fallback,
        at=exposure.ts,
    )


def described(row: int, catalogue: Catalogue, item_id: str = "") -> dict[str, Any]:
    """The fields of `api.Item`; `item_id` names an item that the catalogue does not have."""
    card = catalogue.cards[row]
    return card if row >= 0 else {**card, "item_id": item_id, "title": item_id}
