"""The log of a world of version 2 follows the rules of the world, and that of version 1 keeps its bytes."""

import numpy as np
import pandas as pd
import pytest

from events import dataset, schema
from events.checks import check
from events.importers.synthetic import DRIFTS, generate, sized
from events.world.config import FIRST_DAY, FUTURE_DAYS, WorldConfig
from events.world.live.world import World
from segue.errors import InputError
from segue.files import tree_sha256

NANO = sized("nano", version=2)


@pytest.fixture(scope="module")
def imported():
    return generate(NANO, seed=0)


@pytest.fixture(scope="module")
def events(imported) -> pd.DataFrame:
    return imported.events.to_pandas()


@pytest.mark.parametrize(
    ("seed", "sha256", "by_avx_512"),  # NumPy's functions for AVX-512 round some values to the other neighbour
    [
        (
            0,
            "9a21def4bf7b0c68f56c9f0cec07bd10492f7921ab040a5818a9ecf5fcaab02d",
            "e01f22481dc0bdd333dee2ddd78a798ab65dc5beef4e51481327bf881373c46b",
        ),
        (
            7,
            "65cece7646e8a04d03b2147e1e5e25784fe4272d6b683cef898dd8660f173e88",
            "1c9cd38d442ace68f650007603590865a5d10c0dc800de90461f35f8e2537b83",
        ),
    ],
    ids=["0", "7"],
)
def test_version_1_keeps_its_bytes(tmp_path, seed, sha256, by_avx_512):
    dataset.write(tmp_path / "data", generate(sized("nano"), seed))
    assert tree_sha256(tmp_path / "data") in (sha256, by_avx_512)


def test_the_same_seed_gives_the_same_tables(imported):
    again = generate(NANO, seed=0)
    assert again.events.equals(imported.events)
    assert again.items.equals(imported.items)
    assert not generate(NANO, seed=1).events.equals(imported.events)


def test_the_tables_follow_the_contract_and_break_no_rule(imported):
    checked = check(imported)
    assert checked.quarantine.num_rows == 0
    assert checked.events.num_rows == imported.events.num_rows
    assert set(imported.events["action"].to_pylist()) == set(schema.ACTIONS)


def test_the_manifest_tells_the_world(tmp_path, imported):
    world = dataset.write(tmp_path / "data", imported)["world"]
    assert (world["version"], world["name"], world["seed"]) == (2, "nano", 0)
    assert dataset.load(tmp_path / "data").manifest["world"] == world


def test_a_data_set_that_is_changed_keeps_its_world(tmp_path, imported):
    world = dataset.write(tmp_path / "data", imported)["world"]
    changed = dataset.change(tmp_path / "data", lambda tables: dataset.continued(tables, tables.events(), None))
    assert changed["world"] == world


def test_a_listener_never_plays_an_item_of_a_disliked_creator(imported, events):
    creator = dict(zip(*(imported.items[name].to_pylist() for name in ("item_id", "creator_id")), strict=True))
    disliked = dict(zip(*(imported.users[name].to_pylist() for name in ("user_id", "disliked_creators")), strict=True))
    met = events[[creator[item] in disliked[user] for item, user in zip(events.item_id, events.user_id, strict=True)]]
    assert (met.action == "skip").sum() > 10
    assert not met.action.isin(schema.POSITIVE).any()


def test_interactions_follow_their_impression_and_a_slate_shows_an_item_once(events):
    shown = events[events.action == "impression"]
    done = events[events.action != "impression"]
    joined = done.merge(shown, on=["request_id", "item_id"], suffixes=("", "_shown"), validate="many_to_one")
    assert len(joined) == len(done)
    assert (joined.ts > joined.ts_shown).all()
    assert (
        joined[["position", "row", "column"]].to_numpy() == joined[["position_shown", "row_shown", "column_shown"]]
    ).all(None)
    assert shown.propensity.between(0, 1, inclusive="right").all()


def test_higher_rows_and_columns_are_examined_more_often(events):
    shown = events[(events.action == "impression") & (events.surface == "home")]
    done = events[["request_id", "item_id"]][events.action.isin(["play", "skip"])].drop_duplicates()
    rate = (
        (shown.merge(done, how="left", indicator=True)._merge == "both")
        .groupby([shown.row.values, shown.column.values])
        .mean()
    )
    assert rate[1, 1] == 1.0
    assert rate[1, 1] > rate[1, 3] > rate[1, 4]
    assert rate[1, 1] > rate[2, 1] > rate[2, 4]


def test_a_session_moves_between_surfaces(events):
    assert (events.groupby("session_id").surface.nunique() > 1).mean() > 0.15


def test_only_what_exists_by_the_end_of_the_log_is_imported(imported):
    world = World.build(NANO, 0)
    assert imported.items.num_rows == (world.items.release < NANO.days).sum() < len(world.items)
    assert imported.users.num_rows == (world.population.signup < NANO.days).sum() < len(world.population)
    assert max(world.items.release) < NANO.days + FUTURE_DAYS


@pytest.mark.parametrize("drift", DRIFTS)
def test_before_the_drift_day_the_events_are_those_of_the_world_without_drift(events, drift):
    drifted = generate(sized("nano", drift, 14, version=2), seed=0).events.to_pandas()
    start = pd.Timestamp(FIRST_DAY, tz="UTC") + pd.Timedelta(days=14)
    columns = [name for name in events if name != "event_id"]
    before = [frame[frame.ts < start][columns].reset_index(drop=True) for frame in (events, drifted)]
    pd.testing.assert_frame_equal(*before)
    assert not events[events.ts >= start][columns].equals(drifted[drifted.ts >= start][columns])


def test_a_day_beyond_the_world_and_an_unknown_version_are_refused():
    world = World.build(NANO, 0)
    assert world.day(NANO.days + FUTURE_DAYS).day == 56  # models that were made of all days are compared on it
    with pytest.raises(InputError, match=r"days of this world are 0 \.\. 56. Received 57"):
        world.day(NANO.days + FUTURE_DAYS + 1)
    with pytest.raises(InputError, match=r"version of a world is one of 1, 2. Received 3"):
        sized("nano", version=3)
    with pytest.raises(InputError, match=r"worlds of version 2. Received version 1"):
        World.build(sized("nano"), 0)
    with pytest.raises(InputError, match=r"one of version 1 does not go on. Received 60 days for version 1"):
        sized("nano", future_days=60)


def test_a_world_goes_on_as_long_as_it_is_told_and_without_a_word_for_28_days():
    longer = World.build(sized("nano", version=2, future_days=60), 0)
    assert longer.day(NANO.days + 59).day == longer.config.horizon - 1
    assert NANO.days + FUTURE_DAYS < max(longer.items.release) < NANO.days + 60
    told = {name: value for name, value in vars(NANO).items() if name != "future_days"}  # an older manifest
    assert WorldConfig(**told) == NANO


def test_content_follows_the_hour(imported, events):
    kind = dict(zip(*(imported.items[name].to_pylist() for name in ("item_id", "content_type")), strict=True))
    plays = events[events.action == "play"]
    content, hour = plays.item_id.map(kind), plays.ts.dt.hour
    share = {name: (content == name).groupby(hour < 10).mean() for name in ("podcast", "audiobook")}
    assert share["podcast"][True] > 1.3 * share["podcast"][False]
    late = (content == "audiobook").groupby(hour >= 21).mean()
    assert late[True] > 1.5 * late[False]
    assert np.isfinite(late).all()
