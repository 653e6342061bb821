"""Add items: copy the served models with items that were released since the last training, without training."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from events.importers import tabular
from events.importers.own.dialects import Dialect
from events.schema import EARLIEST
from feature_repo.engine import duckdb_engine
from feature_repo.transformations import item_content, item_profile
from models.saved.card import read_card
from segue.errors import InputError
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import CANARY, STABLE
from workloads.training_set import MODELS

Copies = dict[str, dict[str, Path]]  # label -> model -> folder


def copy_with_items(
    home: Home,
    candidate: Mapping[str, int],
    files: Sequence[Path],
    at: datetime | None,
    mapping: Mapping[str, str],
    dialect: Dialect,
    out: Path,
) -> tuple[Copies, dict[str, Any]]:
    """Copy the stable models and the candidate's with the items of files.

    Args:
        home: the home that holds the models.
        candidate: the versions of the candidate, by model; empty without one. Its other models are the stable ones.
        files: files and folders with a table of items, as an import takes them.
        at: the time at which the items' age is taken, UTC; None for the end of the imported log.
        mapping: our columns to those of the files.
        dialect: what the caller knows about text files.
        out: an empty folder for the copies.

    Returns:
        The copies under the labels `stable` and `canary`, the candidate's without the models that are stable; and the
        ids that were `added` to what is stable and those that were `updated`, the number of items that still fit
        (`free`), and what the files' columns decided (`notes`).

    Raises:
        InputError: nothing is served yet, or the file breaks a rule.
    """
    stable = {model: model_store.served(home.models, model) for model in MODELS}
    tried = {model: home.models / model / str(version) for model, version in candidate.items() if model in MODELS}
    saved = {STABLE: stable} | ({CANARY: stable | tried} if tried else {})
    items, notes = tabular.read_items(
        files, mapping, dialect
    )  # before TensorFlow is imported, so that an error in the file is reported at once
    rows = {label: profiles(items, read_card(models["retrieval"])) for label, models in saved.items()}
    from feature_repo.online import state
    from models.saved import added_items

    moment = at or datetime.fromisoformat(state(home)["last_event"]).astimezone(UTC)
    copies, results = {}, {}
    for label, models in saved.items():
        (out / label).mkdir()
        copies[label] = {model: out / label / model for model in models}
        results[label] = added_items.add_items(models, rows[label], moment, copies[label])
    copies[CANARY] = {model: copies[CANARY][model] for model in tried}
    free = min(result["free"] for result in results.values())
    return copies, {**results[STABLE], "free": free, "notes": notes}


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
