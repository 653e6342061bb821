"""Add items: make items released since the last training recommendable, without training."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import pyarrow as pa

from events import canonical, checks, schema
from events.importers import tabular
from events.schema import EARLIEST
from feature_repo.engine import duckdb_engine
from feature_repo.transformations import item_content, item_profile
from models.saved.card import read_card
from segue.errors import InputError, SegueError
from segue.settings import Home
from serving.store import model_store


def add_items(home: Home, file: Path, at: datetime | None) -> dict:
    """Push the stable models with the items of a file as a new stable version.

    Args:
        home: the home that holds the models.
        file: a file or folder that an import would read, with the columns of the imported items.
        at: the time at which the items' age is taken, UTC; None for the end of the imported log.

    Returns:
        `version` in the model store, the ids that were `added` and `updated`, and the number of items that still fit
        (`free`).

    Raises:
        InputError: nothing is served yet, or the file breaks a rule.
        SegueError: another version became stable in the meantime.
    """
    saved = {model: model_store.served(home.models, model) for model in ("retrieval", "ranking", "sequence")}
    card = read_card(saved["retrieval"])
    items = read_items(file)  # before TensorFlow is imported, so that an error in the file is reported at once
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
        return {"version": model_store.push(home.models, copies), **result}


def read_items(file: Path) -> pa.Table:
    """Read the items of a file and check them by the rules of an import. A row that breaks a rule refuses the file.

    Raises:
        InputError: a row breaks a rule; the error names file, row and rule.
    """
    table, source = tabular.read_file(file, tabular.CANONICAL)
    table = canonical.conform(table, schema.ITEMS, source)
    checks.stop_on_broken_table("items", table, source, latest=None)
    positions, reasons = checks.broken(checks.item_rules({"items": table}))
    if len(positions):
        checks.stop(
            source, positions[0], reasons[0], "Correct the row or leave it out: either all items are added, or none."
        )
    return table


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
