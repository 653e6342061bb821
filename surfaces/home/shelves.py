"""From the answers of the sources to shelves with a title and a reason."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from surfaces.home.context import HomeContext
from surfaces.home.page import Shelf
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules

GENRES = 2  # shelves of one genre each that the retrieval model's answer gives
TYPE_NAMES = {"podcast": "podcasts", "audiobook": "audiobooks", "movie": "movies"}


@dataclass(frozen=True)
class Found:
    """The items of the pool that one source found.

    Args:
        source: name of the source, e.g. `retrieval`.
        items: rows of the pool, `[m]`.
        about_id: what the source started from, e.g. the id of an item that was played; '' if from nothing.
        about: its name for people, e.g. the item's title or the market.
    """

    source: str
    items: np.ndarray
    about_id: str = ""
    about: str = ""


def build_shelves(found: Sequence[Found], pool: Pool, context: HomeContext, rules: HomeRules) -> list[Shelf]:
    """The shelves that may be shown, each with enough items.

    A source fills one shelf. The answer of `retrieval` fills one of everything, one for each content type other than
    the most frequent, and one for each of its two most frequent genres. A source that `WORDS` does not name has a shelf
    titled after it.

    Args:
        found: the answers of the sources.
        pool: the items of all answers.
        context: of the request.
        rules: how many items a shelf needs.
    """
    shelves = []
    for answer in found:
        shelves += for_you(answer, pool, context) if answer.source == "retrieval" else [shelf_of(answer, pool, context)]
    return [shelf for shelf in shelves if len(shelf.items) >= rules.fewest_items]


def shelf_of(answer: Found, pool: Pool, context: HomeContext) -> Shelf:
    """The shelf that the answer of one source fills."""
    kind = "next_up" if answer.source == "sequence" else answer.source
    title, reason = WORDS.get(kind, named_after_source)(answer, pool, context)
    return Shelf(f"{kind}:{answer.about_id}" if answer.about_id else kind, title, reason, answer.items)


def for_you(answer: Found, pool: Pool, context: HomeContext) -> list[Shelf]:
    """The shelves that the answer of the retrieval model fills."""
    lately = "what you played lately" if context.plays else "this hour of the day"
    types = pool.content_type[answer.items]
    counts = Counter(types.tolist())
    shelves = [Shelf("for_you", "Picked for you", f"A mix to fit {lately}.", answer.items)]
    for content_type in sorted(counts.keys() - most_frequent(counts, 1)):
        name = capitalised(type_name(content_type))
        items = answer.items[types == content_type]
        shelves.append(Shelf(f"for_you:{content_type}", f"{name} for you", f"Chosen to fit {lately}.", items))
    genres = Counter(genre for i in answer.items.tolist() for genre in pool.genres[i])
    for genre in most_frequent(genres, GENRES):
        items = answer.items[[genre in pool.genres[i] for i in answer.items.tolist()]]
        title = f"{capitalised(genre)} for you"
        shelves.append(Shelf(f"for_you:genre:{genre}", title, f"Chosen to fit {lately}.", items))
    return shelves


def most_frequent(counts: Counter[str], number: int) -> list[str]:
    """The names with the highest counts, at most `number`; of equal counts the first by name."""
    return sorted(counts, key=lambda name: (-counts[name], name))[:number]


def capitalised(name: str) -> str:
    """A name with a capital first letter; the others stay as they are."""
    return name[:1].upper() + name[1:]


def type_name(content_type: str) -> str:
    """A content type as people say it, e.g. `podcasts`."""
    return TYPE_NAMES.get(content_type, content_type)


Words = tuple[str, str]  # the title and the reason


def next_up(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for the sequence model's items."""
    return "Up next", "Often follows what you just played." if context.plays else "Often played first."


def new_releases(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for new items; the reason names the age of the oldest that is known."""
    ages = pool.age_days[answer.items]  # a model may know an item before the catalogue does
    days = max(1, math.ceil(ages[np.isfinite(ages)].max(initial=0)))
    return "New releases", "Out since yesterday." if days == 1 else f"Out in the last {days} days."


def jump_back_in(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for items that the listener played."""
    return "Jump back in", "You played these lately."


def because_you_listened(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for items like one that the listener played."""
    return f"Because you listened to {answer.about}", f"Listeners of {answer.about} play these too."


def popular(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for popular items, in a market if the answer is about one."""
    if answer.about:
        return f"Popular in {answer.about}", f"What listeners in {answer.about} play most."
    return "Popular now", "What listeners play most."


def cross_content(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for items of other types than the one that the listener plays most at this hour."""
    mix = context.content_mix
    usual = type_name(min(mix, key=lambda name: (-mix[name], name)))
    return f"Beyond {usual}", f"You mostly play {usual} at this hour; this may fit too."


def named_after_source(answer: Found, pool: Pool, context: HomeContext) -> Words:
    """Words for a source that has none of its own."""
    return capitalised(answer.source.replace("_", " ")), "Chosen for you."


# The words of each kind of shelf. A new source is one more line here.
WORDS: dict[str, Callable[[Found, Pool, HomeContext], Words]] = {
    words.__name__: words
    for words in (next_up, new_releases, jump_back_in, because_you_listened, popular, cross_content)
}
KINDS = ("for_you", *WORDS)
