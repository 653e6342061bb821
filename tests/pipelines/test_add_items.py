"""An item that came out an hour ago is recommended without training, to those whose taste it is."""

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
    """A file with one new item, by the creator with the most, out on the day on which the log ends.

    Besides: the ids of that creator's items, and as many that have no genre in common with the new one.
    """
    items = pq.read_table(trained.home.data / "items.parquet").to_pylist()
    creator, _ = Counter(item["creator_id"] for item in items).most_common(1)[0]
    like = next(item for item in items if item["creator_id"] == creator)
    day = date.fromisoformat(state(trained.home)["last_event"][:10])
    song = {**like, "item_id": "brand-new", "title": "Brand New", "release_date": day, "markets": None}
    pq.write_table(pa.Table.from_pylist([song], schema.ITEMS), tmp_path / "release.parquet")
    own = [item["item_id"] for item in items if item["creator_id"] == creator]
    others = [item["item_id"] for item in items if not set(item["genres"]) & set(like["genres"])]
    return tmp_path / "release.parquet", own, others[: len(own)]


@pytest.fixture
def ask():
    """Ask a home's retrieval model for items of the last day, or for all, on behalf of who liked some items."""

    def answer(home, picks, lately):
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
        known = {**cold_start(picks, now), "request_ts": now, "surface": "home", "heard": "include"}
        wish = {"k": 200} | ({"released_after": now - 86_400} if lately else {})
        found = call(signature, model_inputs({**known, **wish}, specs))
        return [item.decode() for item in found["item_ids"][0] if item]

    return answer


def test_a_release_is_found_without_training(branch, release, ask):
    segue, (file, likes, others) = branch(), release
    assert ask(segue.home, likes, lately=True) == []
    assert "brand-new" not in ask(segue.home, likes, lately=False)

    result = segue.json("models", "add-items", "--items", str(file))

    assert (result["version"], result["added"], result["updated"]) == (2, ["brand-new"], [])
    assert labels(segue.home.models) == {model: {"stable": 2} for model in MODELS}
    assert all(verify(segue.home.models, model, 2) for model in MODELS)
    assert ask(segue.home, likes, lately=True) == ["brand-new"]
    place = {
        who: ask(segue.home, picks, lately=False).index("brand-new")
        for who, picks in (("fan", likes), ("other", others))
    }
    assert place["fan"] < place["other"]

    picks = [part for item in likes for part in ("--pick", item)]
    answer = segue.json("recommend", "--user", "newcomer", *picks, "-k", "200")["recommendations"]["newcomer"]
    (found,) = (item for item in answer if item["item_id"] == "brand-new")
    assert found["title"] == "Brand New"
    assert "new_releases" in found["source"]
    assert found["uncertainty"] == pytest.approx(1.0)
    assert np.isfinite(found["reward"])


def test_a_newcomer_is_recommended_what_they_picked_not_an_error(trained):
    done = trained("recommend", "--user", "nobody", "--new", "--json")

    assert done.returncode == 0, done.stderr
    assert "no features but surface and time" in done.stderr
    assert "--new" in trained("recommend", "--user", "nobody").stderr
