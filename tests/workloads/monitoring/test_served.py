"""The features of an online store against the join of training: a store of yesterday agrees, an older one is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from events import dataset, schema
from events.importers.synthetic import generate, sized
from events.ingest import ingest
from events.journal.served import SCHEMA
from events.world.config import FIRST_DAY
from feature_repo.build import build
from feature_repo.feast_store import published_tables
from models.training_config import TrainingConfig
from monitoring.checks.skew import skew
from segue.settings import Home
from surfaces.hydrate import OnlineFeatures, as_text
from surfaces.request import Request
from workloads.monitoring.refresh import refresh_features
from workloads.monitoring.served import served_and_joined

pytestmark = pytest.mark.slow  # the imports of Feast and TFDV take 10 to 30 s
DAY = timedelta(days=1)
MIDNIGHT = datetime.combine(FIRST_DAY, datetime.min.time(), UTC) + 20 * DAY


@pytest.fixture(scope="module")
def world():
    """A nano world of 60 listeners and 28 days."""
    return generate(sized("nano"), 0)


@pytest.fixture
def pairs(world, tmp_path):
    """`pairs(days)`: each listener's first page of a day, served by a store of so many days before, and the join."""

    def compared(days: int, change=lambda features: features):
        events, before, home = world.events, MIDNIGHT - days * DAY, Home(tmp_path)
        dataset.write(home.data, replace(world, events=events.filter(pc.field("ts") < before)))
        ingest(home.data, tmp_path / "log", TrainingConfig().split)
        build(tmp_path / "log", published_tables(home), before)  # as a training does
        refresh_features(home, before)
        store = OnlineFeatures(home)
        today = events.filter((pc.field("ts") >= MIDNIGHT) & (pc.field("ts") < MIDNIGHT + DAY)).to_pylist()
        first = {}
        for row in today:
            first.setdefault(row["user_id"], row)
        known = set(events.filter(pc.field("ts") < before)["user_id"].to_pylist())
        pages = [
            {
                "request_id": row["request_id"],
                "user_id": user,
                "ts": row["ts"],
                "served": as_text(change(store.hydrate(Request(user, row["ts"], session_id=row["session_id"])))),
            }
            for user, row in first.items()
            if row["action"] == schema.IMPRESSION and user in known
        ]
        dataset.write(home.data, replace(world, served=pa.Table.from_pylist(pages, SCHEMA)))
        assert len(pages) > 5
        assert served_and_joined(home, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, MIDNIGHT + 9 * DAY) == ([], [])
        return served_and_joined(home, MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 9 * DAY)

    return compared


def test_a_store_of_the_day_before_serves_what_training_joins(pairs):
    served, joined = pairs(0)
    assert served == joined
    assert {"user_plays_28d", "history_items", "session_plays"} <= served[0].keys()
    assert skew(served, joined).verdict.passed


def test_a_store_that_is_a_day_older_is_named(pairs):
    check = skew(*pairs(1))
    failed = check.verdict.figures["failed_levels"]
    assert not check.verdict.passed
    assert {"user_plays_7d", "user_plays_28d", "genre_shares"} <= set(failed)
    assert "country" not in failed


def test_a_feature_that_serving_scales_is_named(pairs):
    def scaled(features):
        return {**features, "user_plays_28d": 100 * (features["user_plays_28d"] or 0.0)}

    check = skew(*pairs(0, scaled))
    assert check.verdict.figures["failed_levels"] == ["user_plays_28d"]
    assert check.verdict.figures["features"]["user_plays_28d"]["distance"] > 0.5
