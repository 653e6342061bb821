"""Add items: make items released since the last training recommendable, without training."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import pyarrow as pa

from events.importers import tabular
from events.importers.own.dialects import Dialect
from events.schema import EARLIEST
from feature_repo.engine import duckdb_engine
from feature_repo.transformations import item_content, item_profile
from models.saved.card import read_card
from segue.errors import InputError, SegueError
from segue.settings import Home
from serving.store import model_store


def add_items(
    home: Home, files: Sequence[Path], at: datetime | None, mapping: Mapping[str, str], dialect: Dialect
) -> dict:
    """Push the stable models with the items of files as a new stable version.

    Args:
        home: the home that holds the models.
        files: files and folders with a table of items, as an import takes them.
        at: the time at which the items' age is taken, UTC; None for the end of the imported log.
        mapping: our columns to those of the files.
        dialect: what the caller knows about text files.

    Returns:
        `version` in the model store, the ids that were `added` and `updated`, the number of items that still fit
        (`free`), and what the files' columns decided (`notes`).

    Raises:
        InputError: nothing is served yet, or the file breaks a rule.
        SegueError: another version became stable in the meantime.
    """
    saved = {model: model_store.served(home.models, model) for model in ("retrieval", "ranking", "sequence")}
    card = read_card(saved["retrieval"])
    items, notes = tabular.read_items(
        files, mapping, dialect
    )  # before TensorFlow is imported, so that an error in the file is reported at once
    from feature_repo.online import state
    from models.saved import added_items

    moment = at or datetime.fromisoformat(state(home)["last_event"]).astimezone(UTC)
    with TemporaryDirectory(prefix="segue-add-items-") as folder:
        copies = {model: Path(folder) / model for model in saved}
        result = added_items.add_items(saved, profiles(items, card), moment, copies)
        if any(model_store.served(home.models, model) != path for model, path in saved.items()):
            raise SegueError(
                "Items are added to the version that is stable. Another version became stable in the meantime.",
                "Run the command again.",
            )
        return {"version": model_store.push(home.models, copies), **result, "notes": notes}


def profiles(items: pa.Table, card: dict) -> pa.Table:
    """Compute the features of items that the models of a card take, and keep the titles.

    Raises:
        InputError: the card names no genres, because an older version exported the models.
    """
    if "genres" not in card:
        raise InputError(
            "New items need the genres of the served models. The models' card names none.",
            "Run `segue run training` to export models of this version.",
        )
    with duckdb_engine() as engine:
        table = ibis.memtable(items)
        features = item_profile(table, card["genres"], card["content_types"], EARLIEST).drop("event_timestamp")
        features = features.join(item_content(table), "item_id").join(table.select("item_id", "title"), "item_id")
        return engine.to_pyarrow(features.order_by("item_id"))
