"""Titles of the items that can be recommended."""

from collections.abc import Mapping, Sequence

from segue.errors import InputError
from segue.files import read_json
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import served


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


def check_picks(picks: Sequence[str], titles: Mapping[str, str]) -> None:
    """Check that the items a new listener picked are in the catalogue.

    Raises:
        InputError: some items are not; the error names all of them.
    """
    unknown = [item for item in picks if item not in titles]
    if unknown:
        raise InputError(
            f"Picked items must be in the imported catalogue; not in it: {', '.join(map(repr, unknown))}.",
            "Take ids from the column `item_id` of `items.parquet` in the imported data.",
        )
