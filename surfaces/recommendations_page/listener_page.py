"""An answer as a person reads it: the listener's history and list with titles, creators and genres."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from segue.files import read_json
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import served
from surfaces.assembly import Answer
from surfaces.catalogue import Catalogue
from surfaces.recommendations_page.page import ItemCard, ListenerPage, Played, Suggested

HISTORY = 8  # entries of the history that are shown
SHOWN_HEADS = ("play", "like", "skip")  # predictions that are shown, if the model learned them


def item_ids(answers: Iterable[Answer]) -> set[str]:
    """The items of the histories and lists of some answers."""
    listed = {item.item_id for answer in answers for item in answer.items}
    return listed | {item for answer in answers for item in (answer.features.get("history_items") or [])[:HISTORY]}


def cards(catalogue: Catalogue, items: Iterable[str]) -> dict[str, ItemCard]:
    """What a person recognises some items by; an item that the catalogue does not have has its id as its title."""
    rows = {item: catalogue.index.get(item, -1) for item in items}
    return {
        item: ItemCard(
            item,
            catalogue.title(item),
            catalogue.creators[row],
            catalogue.content_types[row],
            catalogue.genres[row],
        )
        for item, row in rows.items()
    }


def learned_heads(home: Home) -> list[str]:
    """The heads that the served ranking model has learned: a head without labels has no weight in its reward."""
    card = served(home.models, "ranking") / MODEL_CARD
    reward = read_json(card)["reward"] if card.is_file() else {}
    return [head for head in SHOWN_HEADS if reward.get(head)]


def listener_page(answer: Answer, cards: Mapping[str, ItemCard], heads: Sequence[str]) -> ListenerPage:
    """An answer with the cards of its items.

    Args:
        answer: a request's list and the listener's features.
        cards: a card for each of `item_ids([answer])`.
        heads: the predictions to show, the most important first.
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
            {head: item.scores[head] for head in heads if head in item.scores},
            item.sources,
            item.explored,
        )
        for item in answer.items
    ]
    return ListenerPage(answer.request.user_id, history, suggestions)
