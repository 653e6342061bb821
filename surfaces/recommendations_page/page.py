"""Recommendations as a page for people: what a listener played, and what should play next.

The page is one file: no script, nothing from another host. Catalogue text is escaped by the template engine, and its
control characters are made visible.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from segue.terminal import visible
from surfaces.sources.reasons import EXPLORED, NEW_LISTENER_REASONS, REASONS

TASTES = 5  # genres that a listener's taste shows


@dataclass(frozen=True)
class ItemCard:
    """What a person recognises an item by."""

    item_id: str
    title: str
    creator: str = ""
    content_type: str = ""
    genres: Sequence[str] = ()

    @property
    def cover(self) -> tuple[int, int, int]:
        """Two hues and an angle, in degrees, drawn from the id: the same item always has the same cover."""
        digest = hashlib.sha256(self.item_id.encode()).digest()
        return digest[0] * 360 // 256, digest[1] * 360 // 256, digest[2] * 360 // 256

    @property
    def initials(self) -> str:
        """The first letters of the title's first two words."""
        return "".join(word[0] for word in self.title.split()[:2]).upper()


@dataclass(frozen=True)
class Played:
    """One entry of a listener's history: the item, the action (`play`, `skip`, `like`, `add`), and when."""

    item: ItemCard
    action: str
    at: datetime


@dataclass(frozen=True)
class Suggested:
    """One recommended item: the probabilities of the heads, the sources that found it, and whether it is explored."""

    item: ItemCard
    heads: Mapping[str, float]
    sources: Sequence[str]
    explored: bool


@dataclass(frozen=True)
class ListenerPage:
    """One listener on the page: the history, most recent first, and the list in the order to show."""

    listener: str
    history: Sequence[Played]
    suggestions: Sequence[Suggested]

    def reasons(self, suggestion: Suggested) -> list[str]:
        """Why an item is on the list, in words."""
        words = REASONS if self.history else NEW_LISTENER_REASONS
        reasons = [words.get(source, source) for source in suggestion.sources]
        return [*reasons, EXPLORED] if suggestion.explored else reasons

    @property
    def taste(self) -> list[tuple[str, float]]:
        """The genres of what the listener did not skip, with their shares, largest first."""
        genres = Counter(g for entry in self.history if entry.action != "skip" for g in entry.item.genres)
        total = sum(genres.values())
        return [(genre, count / total) for genre, count in genres.most_common(TASTES)]


@dataclass(frozen=True)
class Figures:
    """A table of figures below the lists."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    sentences: Sequence[str] = field(default=())


def render(
    listeners: Sequence[ListenerPage],
    surface: str,
    at: datetime,
    figures: Sequence[Figures] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML.

    Args:
        listeners: one section each.
        surface: where the items would be shown.
        at: the time of the request, UTC.
        figures: tables below the lists.
        links: label -> address of other reports, shown at the end.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("recommendations.html")
    return template.render(listeners=listeners, surface=surface, at=at, figures=figures, links=links or {})
