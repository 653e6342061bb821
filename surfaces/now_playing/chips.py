"""Chips: what a listener may ask of Now Playing, as wishes."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date

from segue.errors import InputError
from segue.near_names import check_known
from surfaces.catalogue import Catalogue
from surfaces.now_playing.moods import MOODS
from surfaces.now_playing.state import Chip
from surfaces.now_playing.wishes import Wishes, total

# The weight of a chip: e^3.5, an item that it names is 33 times as likely. Measured: see docs/now-playing.md.
STRENGTH = 3.5
ALIKE = 2.1  # of the genres of "more like this"; the creator and the neighbours share the rest of a chip's strength
RARER, NEWER = 1.4, 1.4
ERA = re.compile(r"(?:(19|20)?(\d0)s|(\d{4})(?:-(\d{4}))?)")
CENTURY_TURNS = 30  # "20s" are the 2020s, "30s" the 1930s
EPOCH = date(1970, 1, 1).toordinal()


def wishes_of(chip: Chip, catalogue: Catalogue) -> Wishes:
    """What a chip wishes for.

    Raises:
        InputError: the kind or the value is not known; the fix names the nearest known ones.
    """
    check_known("kind of chip", chip.kind, KINDS)
    return KINDS[chip.kind](chip.value, catalogue)


def all_wishes(chips: Sequence[Chip], catalogue: Catalogue) -> Wishes:
    """What the chips of a session wish for together; a chip that a newer catalogue no longer knows adds nothing."""
    wishes = []
    for chip in chips:
        with suppress(InputError):
            wishes.append(wishes_of(chip, catalogue))
    return total(wishes)


def genre(value: str, catalogue: Catalogue) -> Wishes:
    """More of a genre."""
    check_known("genre", value, catalogue.genre_names)
    return Wishes(genres={value: STRENGTH})


def content_type(value: str, catalogue: Catalogue) -> Wishes:
    """More of a content type."""
    check_known("content type", value, catalogue.types)
    return Wishes(types={value: STRENGTH})


def mood(value: str, catalogue: Catalogue) -> Wishes:
    """What the table of moods says of a word."""
    check_known("mood", value, MOODS)
    row = MOODS[value]
    known = {name: STRENGTH * share for name, share in row.genres.items() if name in catalogue.genre_names}
    if not known and not row.newer and not row.rarer:
        raise InputError(
            f"A mood needs a genre that the catalogue has. It has none of {', '.join(row.genres)}, which stand for "
            f"{value!r}.",
            "Choose a genre.",
        )
    types = {name: STRENGTH * share for name, share in row.types.items()}
    return Wishes(genres=known, types=types, newer=STRENGTH * row.newer, rarer=STRENGTH * row.rarer)


def era(value: str, catalogue: Catalogue) -> Wishes:
    """More of the releases of a decade (`90s`, `1990s`), a year (`1999`), or some years (`1994-1999`)."""
    match = ERA.fullmatch(value)
    if match is None:
        raise InputError(f"An era is like 90s, 1990s, 1999 or 1994-1999. Received {value!r}.", "Write it so.")
    century, decade, year, until = match.groups()
    if decade:
        first = int((century or ("20" if int(decade) < CENTURY_TURNS else "19")) + decade)
        last = first + 9
    else:
        first, last = int(year), int(until or year)
    if not 1 <= first <= last < 9999:
        raise InputError(f"An era ends after it begins. Received {value!r}.", "Write the earlier year first.")
    days = date(first, 1, 1).toordinal() - EPOCH, date(last + 1, 1, 1).toordinal() - EPOCH - 1
    return Wishes(eras=((*days, STRENGTH),))


def more_like_this(value: str, catalogue: Catalogue) -> Wishes:
    """More of an item's genres, of its creator, and of what the same listeners played."""
    row = catalogue.index.get(value)
    if row is None:
        raise InputError(f"An item of the catalogue is needed. {value!r} is not one.", "Give an item_id.")
    genres, creator = catalogue.genres[row], str(catalogue.creator_ids[row])
    near = catalogue.similar[row]
    shares = catalogue.similarity[row] / (catalogue.similarity[row].max(initial=0.0) or 1.0)
    return Wishes(
        genres={name: ALIKE / len(genres) for name in genres},
        creators={creator: (STRENGTH - ALIKE) / 2} if creator else {},
        near={
            str(catalogue.item_ids[other]): STRENGTH * float(share)
            for other, share in zip(near, shares, strict=True)
            if other >= 0
        },
    )


def something_new(value: str, catalogue: Catalogue) -> Wishes:
    """Rarer and newer items that the listener has not heard."""
    return Wishes(rarer=RARER, newer=NEWER, unheard=True)


KINDS: dict[str, Callable[[str, Catalogue], Wishes]] = {
    "genre": genre,
    "era": era,
    "mood": mood,
    "more_like_this": more_like_this,
    "something_new": something_new,
    "content_type": content_type,
}
