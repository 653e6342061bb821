"""A new item is recommended without training, first to the listeners whose taste it matches."""

from collections import Counter
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import schema
from feature_repo.online import state
from serving.store.model_store import labels
from serving.store.versions import verify

pytestmark = pytest.mark.slow
MODELS = ("retrieval", "ranking", "sequence")


@pytest.fixture
def release(trained, tmp_path):
    """A file with one new item, released on the day on which the log ends by the creator with the most items.

    With it come the ids of the creator's items, and as many ids of items that share no genre with the new item.
    """
    items = pq.read_table(trained.home.data / "items.parquet").to_pylist()
    creator, _ = Counter(item["creator_id"] for item in items).most_common(1)[0]
    template = next(item for item in items if item["creator_id"] == creator)
    day = date.fromisoformat(state(trained.home)["last_event"][:10])
    song = {**template, "item_id": "brand-new", "title": "Brand New", "release_date": day, "markets": None}
    pq.write_table(pa.Table.from_pylist([song], schema.ITEMS), tmp_path / "release.parquet")
    creator_items = [item["item_id"] for item in items if item["creator_id"] == creator]
    unrelated_items = [item["item_id"] for item in items if not set(item["genres"]) & set(template["genres"])]
    return tmp_path / "release.parquet", creator_items, unrelated_items[: len(creator_items)]


@pytest.fixture
def ask():
    """A function that asks a home's retrieval model for a list, on behalf of a listener who picked some items.

    With `last_day`, the list holds only items that were released in the last day of the log."""

    def retrieve(home, picks, last_day):
        import tensorflow as tf

        from models.saved.saved_model import call
        from surfaces.hydrate import cold_start
        from surfaces.model_inputs import model_inputs

        loaded = tf.saved_model.load(str(home.models / "retrieval" / str(labels(home.models)["retrieval"]["stable"])))
        signature = loaded.signatures["serving_default"]
        specs = {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in signature.structured_input_signature[1].items()
        }
        now = int(datetime.fromisoformat(state(home)["last_event"]).timestamp())
        query = {**cold_start(picks, now), "request_ts": now, "surface": "home", "heard": "include"}
        filters = {"k": 200} | ({"released_after": now - 86_400} if last_day else {})
        answer = call(signature, model_inputs({**query, **filters}, specs))
        return [item.decode() for item in answer["item_ids"][0] if item]

    return retrieve


def test_a_release_is_found_without_training(branch, release, ask):
    segue, (file, creator_items, unrelated_items) = branch(), release
    assert ask(segue.home, creator_items, last_day=True) == []
    assert "brand-new" not in ask(segue.home, creator_items, last_day=False)

    result = segue.json("models", "add-items", "--items", str(file))

    assert (result["version"], result["added"], result["updated"]) == (2, ["brand-new"], [])
    assert labels(segue.home.models) == {model: {"stable": 2} for model in MODELS}
    assert all(verify(segue.home.models, model, 2) for model in MODELS)
    assert ask(segue.home, creator_items, last_day=True) == ["brand-new"]
    fan_rank, other_rank = (
        ask(segue.home, picks, last_day=False).index("brand-new") for picks in (creator_items, unrelated_items)
    )
    assert fan_rank < other_rank

    picks = [part for item in creator_items for part in ("--pick", item)]
    answer = segue.json("recommend", "--user", "newcomer", *picks, "-k", "200")["recommendations"]["newcomer"]
    (new_item,) = (item for item in answer if item["item_id"] == "brand-new")
    assert new_item["title"] == "Brand New"
    assert "new_releases" in new_item["source"]
    assert new_item["uncertainty"] == pytest.approx(1.0)
    assert np.isfinite(new_item["reward"])


def test_a_newcomer_is_recommended_what_they_picked_not_an_error(trained):
    done = trained("recommend", "--user", "nobody", "--new", "--json")

    assert done.returncode == 0, done.stderr
    assert "no features but surface and time" in done.stderr
    assert "--new" in trained("recommend", "--user", "nobody").stderr
