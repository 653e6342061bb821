"""Titles, creators and genres of items, for people."""

from collections.abc import Iterable, Mapping, Sequence

from segue.errors import InputError
from segue.files import read_json
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import served
from surfaces.page import ItemCard


def read_titles(home: Home) -> dict[str, str]:
    """Titles by item id: of the imported catalogue, and of the items that were added to the served models since.

    Raises:
        InputError: no retrieval model is served yet.
    """
    import pyarrow.parquet as pq

    card = served(home.models, "retrieval") / MODEL_CARD
    added = read_json(card).get("added", []) if card.is_file() else []
    titles = {item: title for batch in added for item, title in batch["items"].items()}
    catalogue = home.data / "items.parquet"
    if catalogue.is_file():
        columns = pq.read_table(catalogue, columns=["item_id", "title"])
        titles |= dict(zip(columns["item_id"].to_pylist(), columns["title"].to_pylist(), strict=True))
    return titles


def read_cards(home: Home, titles: Mapping[str, str], item_ids: Iterable[str]) -> dict[str, ItemCard]:
    """What a person recognises some items by, from the imported catalogue; an item that is not in it has its title."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = sorted(set(item_ids))
    cards = {item: ItemCard(item, titles.get(item, item)) for item in wanted}
    catalogue = home.data / "items.parquet"
    if catalogue.is_file():
        columns = ["item_id", "title", "creator", "content_type", "genres"]
        table = pq.read_table(
            catalogue, columns=columns, filters=pc.field("item_id").isin(pa.array(wanted, pa.string()))
        )
        for row in table.to_pylist():
            cards[row["item_id"]] = ItemCard(
                row["item_id"],
                row["title"],
                row["creator"] or "",
                row["content_type"] or "",
                tuple(row["genres"] or ()),
            )
    return cards


def check_picks(picks: Sequence[str], titles: Mapping[str, str]) -> None:
    """Check that the items a new listener picked are in the catalogue.

    Raises:
        InputError: some items are not in the catalogue; the error names all of them.
    """
    unknown = [item for item in picks if item not in titles]
    if unknown:
        raise InputError(
            f"Picked items must be in the imported catalogue; not in it: {', '.join(map(repr, unknown))}.",
            "Take ids from the column `item_id` of `items.parquet` in the imported data.",
        )
