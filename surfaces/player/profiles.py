"""A listener as the player shows them: history, taste, and the items that a new listener may pick."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from surfaces.catalogue import EPOCH, NO_DAY, UNKNOWN, Catalogue
from surfaces.gateway.api import Item
from surfaces.gateway.views import day_of, described
from surfaces.hydrate import Features
from surfaces.player import api

ENTRIES = 30  # of a history that are shown
TASTES = 6  # shares that are shown
PICKS = 24
PER_GENRE = 3  # picks of one first genre, so that no genre fills the list


def entries(features: Features) -> Iterator[tuple[str, str, datetime]]:
    """The item, action and time of each entry of a history, newest first."""
    columns = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    for item, action, seconds in zip(*columns, strict=True):
        yield item, action, datetime.fromtimestamp(seconds, UTC)


def named(item_id: str, catalogue: Catalogue) -> Item:
    """An item, also one that the catalogue does not have any more."""
    return Item(**described(catalogue.index.get(item_id, UNKNOWN), catalogue, item_id))


def summary(user_id: str, features: Features, catalogue: Catalogue) -> dict[str, Any]:
    """The fields of `ListenerSummary`."""
    history = list(entries(features))
    return {
        "user_id": user_id,
        "country": features.get("country") or "",
        "last_seen": history[0][2] if history else None,
        "genres": [share.name for share in shares(features, catalogue)[0]],
    }


def profile(user_id: str, features: Features, catalogue: Catalogue) -> api.Profile:
    """A listener with history and taste."""
    taste, types = shares(features, catalogue)
    history = [
        api.Entry(item=named(item, catalogue), action=action, at=at)
        for item, action, at in list(entries(features))[:ENTRIES]
    ]
    return api.Profile(**summary(user_id, features, catalogue), history=history, taste=taste, types=types)


def shares(features: Features, catalogue: Catalogue) -> tuple[list[api.Share], list[api.Share]]:
    """The largest shares of genres, and of content types, among the entries of a history that are no skips."""
    genres: Counter[str] = Counter()
    types: Counter[str] = Counter()
    for item, action, _ in entries(features):
        row = catalogue.index.get(item, UNKNOWN)
        if action != "skip" and row != UNKNOWN:
            genres.update(catalogue.genres[row])
            types.update([catalogue.content_types[row]] if catalogue.content_types[row] else [])
    return largest(genres), largest(types)


def largest(counts: Counter[str]) -> list[api.Share]:
    """The largest counts as shares of all counts."""
    return [api.Share(name=name, share=count / counts.total()) for name, count in counts.most_common(TASTES)]


def newest_release(catalogue: Catalogue, at: datetime) -> str | None:
    """The day of the newest release until an instant, in ISO 8601; None if no date is known."""
    days = catalogue.release_days[:-1]
    out = days[(days != NO_DAY) & (days <= day_of(at))]
    return (EPOCH + timedelta(days=int(out.max()))).isoformat() if out.size else None


def picks(catalogue: Catalogue, market: str) -> list[int]:
    """Rows of items that a new listener may know: the most played in a market, of many genres and creators."""
    of_genre: Counter[str] = Counter()
    creators: set[str] = set()
    chosen: list[int] = []
    popular = catalogue.popular(market)
    for row in popular[catalogue.allowed(popular, market, ())].tolist():
        first, creator = (catalogue.genres[row] or ("",))[0], str(catalogue.creator_ids[row])
        if of_genre[first] < PER_GENRE and creator not in creators and not catalogue.explicit[row]:
            of_genre[first] += 1
            creators |= {creator} - {""}
            chosen.append(row)
        if len(chosen) == PICKS:
            break
    return chosen
