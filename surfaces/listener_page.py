"""An answer as a person reads it: the listener's history and list with titles, creators and genres."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from surfaces.assembly import Answer
from surfaces.page import ItemCard, ListenerPage, Played, Suggested

HISTORY = 8  # entries of the history that are shown
HEADS = ("play", "skip", "like")  # predictions that are shown


def item_ids(answers: Iterable[Answer]) -> set[str]:
    """The items of the histories and lists of some answers."""
    listed = {item.item_id for answer in answers for item in answer.items}
    return listed | {item for answer in answers for item in (answer.features.get("history_items") or [])[:HISTORY]}


def listener_page(answer: Answer, cards: Mapping[str, ItemCard]) -> ListenerPage:
    """An answer with the cards of its items.

    Args:
        answer: a request's list and the listener's features.
        cards: a card for each of `item_ids([answer])`.
    """
    features = answer.features
    columns = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    history = [
        Played(cards[item], action, datetime.fromtimestamp(seconds, UTC))
        for item, action, seconds in list(zip(*columns, strict=True))[:HISTORY]
    ]
    suggestions = [
        Suggested(
            cards[item.item_id],
            {head: item.scores[head] for head in HEADS if head in item.scores},
            item.sources,
            item.explored,
        )
        for item in answer.items
    ]
    return ListenerPage(answer.request.user_id, history, suggestions)
