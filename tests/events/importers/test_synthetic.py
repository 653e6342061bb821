"""The synthetic world: the same seed gives the same bytes, and the log follows the rules of the world."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from events import dataset, schema
from events.checks import check
from events.importers.synthetic import DRIFTS, SIZES, generate, sized
from events.world.config import FIRST_DAY
from segue.errors import InputError
from segue.files import tree_sha256

NANO = SIZES["nano"]
DAY = 14


@pytest.fixture(scope="module")
def world():
    return generate(NANO, seed=0)


@pytest.fixture(scope="module")
def events(world) -> pd.DataFrame:
    return world.events.to_pandas()


@pytest.fixture(scope="module")
def shown(events) -> pd.DataFrame:
    return events[events.action == "impression"]


@pytest.fixture(scope="module")
def interactions(events) -> pd.DataFrame:
    return events[events.action != "impression"]


def test_nano_has_its_configured_size(world):
    assert (world.users.num_rows, world.items.num_rows) == (60, 150)
    assert 5_000 < world.events.num_rows < 8_000
    assert set(world.events["action"].to_pylist()) == set(schema.ACTIONS)
    assert set(world.events["surface"].to_pylist()) == set(schema.SURFACES)


def test_the_tables_follow_the_contract_and_break_no_rule(world):
    assert (world.events.schema, world.items.schema, world.users.schema) == (
        schema.EVENTS,
        schema.ITEMS,
        schema.USERS,
    )
    assert check(world).quarantine.num_rows == 0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        dataset.write(tmp_path / name, generate(NANO, seed))
    assert tree_sha256(tmp_path / "first") == tree_sha256(tmp_path / "again")
    assert tree_sha256(tmp_path / "first") != tree_sha256(tmp_path / "other")


def test_event_ids_are_in_order_of_time_and_times_lie_in_the_log(events):
    assert events.ts.is_monotonic_increasing
    assert events.event_id.iloc[0] == "e0000001"
    assert events.event_id.is_monotonic_increasing
    start = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)
    assert events.ts.min() >= start
    assert events.ts.max() < start + timedelta(days=NANO.days)


def test_only_released_items_and_signed_up_listeners_appear(world, events):
    released = world.items.to_pandas().set_index("item_id").release_date
    day = events.ts.dt.date
    assert (events.item_id.map(released) <= day).all()
    signup = world.users.to_pandas().set_index("user_id").signup_ts
    assert (events.user_id.map(signup) <= events.ts).all()


def test_new_items_are_released_every_week(world):
    released = {date for date in world.items["release_date"].to_pylist() if date > FIRST_DAY}
    assert released == {FIRST_DAY + timedelta(days=7 * week) for week in (1, 2, 3)}


def test_a_slate_shows_different_items_at_positions_from_one(shown):
    slates = shown.groupby("request_id")
    assert not shown.duplicated(["request_id", "item_id"]).any()
    assert (slates.position.max() == slates.size()).all()
    assert (slates.position.min() == 1).all()


def test_interactions_follow_their_impression(shown, interactions):
    keys = ["request_id", "item_id"]
    joined = interactions.merge(shown, on=keys, how="left", suffixes=("", "_shown"), validate="many_to_one")
    assert joined.ts_shown.notna().all()
    assert (joined.ts > joined.ts_shown).all()
    for name in ("user_id", "session_id", "surface", "position"):
        assert (joined[name] == joined[f"{name}_shown"]).all()


def test_an_impression_is_played_or_skipped_at_most_once_and_only_plays_are_liked_or_added(interactions):
    first = interactions[interactions.action.isin(["play", "skip"])]
    assert not first.duplicated(["request_id", "item_id"]).any()
    after = interactions[interactions.action.isin(["like", "add"])].merge(
        first, on=["request_id", "item_id"], suffixes=("", "_first"), validate="many_to_one"
    )
    assert (after.action_first == "play").all()
    assert (after.ts > after.ts_first).all()


def test_a_skip_ends_within_30_seconds_and_a_play_does_not(interactions):
    assert interactions[interactions.action == "skip"].ms_played.lt(schema.PLAY_THROUGH_MS).all()
    assert interactions[interactions.action == "play"].ms_played.ge(schema.PLAY_THROUGH_MS).all()
    assert interactions[interactions.action.isin(["like", "add"])].ms_played.isna().all()


def test_impressions_have_a_propensity_and_interactions_have_none(shown, interactions):
    assert shown.propensity.between(0, 1, inclusive="right").all()
    assert (shown.policy == "epsilon-popular-taste").all()
    assert interactions.propensity.isna().all()


def test_only_searches_have_queries(events):
    assert ((events.surface == "search") == events["query"].notna()).all()


def test_higher_positions_are_examined_more_often(shown, interactions):
    seen = shown.merge(interactions[["request_id", "item_id"]].drop_duplicates(), how="left", indicator=True)
    rate = (seen._merge == "both").groupby(seen.position).mean()
    assert rate[1] == 1.0
    assert rate[1] > rate[2] > rate[4] > rate[8]


def test_a_listener_is_in_one_session_at_a_time(events):
    sessions = events.groupby("session_id").agg(user=("user_id", "first"), a=("ts", "min"), z=("ts", "max"))
    ordered = sessions.sort_values(["user", "a"])
    same = ordered.user == ordered.user.shift()
    assert (ordered.a > ordered.z.shift())[same].mean() > 0.99


@pytest.mark.parametrize("drift", DRIFTS)
def test_before_the_drift_day_the_events_have_the_bytes_of_the_world_without_drift(tmp_path, world, drift):
    dataset.write(tmp_path / "plain", world)
    dataset.write(tmp_path / "drifted", generate(sized("nano", drift, DAY), seed=0))
    parts = {
        name: {p.parent.name: p.read_bytes() for p in (tmp_path / name / "events").rglob("*.parquet")}
        for name in ("plain", "drifted")
    }
    days = [f"day={FIRST_DAY + timedelta(days=day)}" for day in range(NANO.days)]
    assert all(parts["plain"][day] == parts["drifted"][day] for day in days[:DAY])
    assert parts["plain"][days[DAY]] != parts["drifted"][days[DAY]]
    assert (tmp_path / "plain/users.parquet").read_bytes() == (tmp_path / "drifted/users.parquet").read_bytes()


@pytest.fixture(scope="module")
def drifted():
    """`after(drift)`: the world with that drift, and its events from the drift day on."""
    start = pd.Timestamp(FIRST_DAY, tz="UTC") + pd.Timedelta(days=DAY)

    def after(drift: str | None):
        made = generate(sized("nano", drift, DAY if drift else None), seed=0)
        frame = made.events.to_pandas()
        return made, frame[frame.ts >= start]

    return after


def test_a_genre_drift_moves_plays_to_a_few_genres(drifted):
    def shares(drift):
        world, events = drifted(drift)
        genre = {row["item_id"]: row["genres"][0] for row in world.items.to_pylist()}
        return events[events.action == "play"].item_id.map(genre).value_counts(normalize=True)

    moved = shares("genre").subtract(shares(None), fill_value=0)
    assert moved.nlargest(3).sum() > 0.15


def test_a_catalogue_drift_floods_one_content_type(drifted):
    (world, events), (plain, _) = drifted("catalogue"), drifted(None)
    added = world.items.slice(plain.items.num_rows).to_pylist()
    assert len(added) == 45  # 0.3 * 150
    assert {item["content_type"] for item in added} == {"podcast"}
    assert {item["release_date"] for item in added} == {FIRST_DAY + timedelta(days=DAY)}
    assert world.items.slice(0, plain.items.num_rows).equals(plain.items)
    shown = events[events.action == "impression"]
    assert shown.item_id.isin([item["item_id"] for item in added]).mean() > 0.1


def test_an_outage_loses_the_plays_and_play_times_of_home_only(drifted):
    (_, events), (_, plain) = drifted("outage"), drifted(None)
    lost = (plain.action == "play") & (plain.surface == "home")
    columns = ["ts", "user_id", "item_id", "action"]
    assert (events[columns].to_numpy() == plain[~lost][columns].to_numpy()).all()
    assert events[events.surface == "home"].ms_played.isna().all()
    assert events[(events.surface != "home") & (events.action == "play")].ms_played.notna().all()


def test_a_behaviour_drift_doubles_skips_and_shortens_plays(drifted):
    def figures(drift):
        _, events = drifted(drift)
        plays, skips = events[events.action == "play"], events[events.action == "skip"]
        return len(skips) / (len(plays) + len(skips)), plays.ms_played.median()

    (rate, length), (plain_rate, plain_length) = figures("behaviour"), figures(None)
    assert 1.5 < rate / plain_rate < 2.2
    assert length < plain_length / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huge",), "Size is one of nano, demo, small, large. Received 'huge'"),
        (("nano", "weather", 3), "Drift is one of genre, catalogue, outage, behaviour. Received 'weather'"),
        (("nano", "genre", None), r"drift day lies in 1 \.\. 27. Received None"),
        (("nano", "genre", 28), r"drift day lies in 1 \.\. 27. Received 28"),
        (("nano", None, 3), "Received None"),
    ],
)
def test_wrong_sizes_and_drifts_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        sized(*arguments)


@pytest.mark.slow
def test_small_is_large_enough_and_its_tastes_can_be_learned():
    world = generate(SIZES["small"], seed=0)
    assert (world.users.num_rows, world.items.num_rows) == (2_200, 5_200)
    assert world.events.num_rows >= 320_000
    events = world.events.to_pandas()
    plays = events[events.action == "play"]
    repeats = 1 - len(plays.drop_duplicates(["user_id", "item_id"])) / len(plays)
    assert 0.02 < repeats < 0.25
    # Taste predicts better than popularity: the three creators that a listener played most so far have more than three
    # times as many of the listener's next plays as the three creators that all listeners played most.
    creator = dict(zip(world.items["item_id"].to_pylist(), world.items["creator_id"].to_pylist(), strict=True))
    plays = plays.assign(creator=plays.item_id.map(creator))
    cut = plays.ts.quantile(0.9)
    before, after = plays[plays.ts < cut], plays[plays.ts >= cut]
    popular = before.creator.value_counts().index[:3]
    own = before.groupby("user_id").creator.agg(lambda names: set(names.value_counts().index[:3]))
    hits = [name in own.get(user, ()) for user, name in zip(after.user_id, after.creator, strict=True)]
    assert np.mean(hits) > 3 * after.creator.isin(popular).mean()


def test_a_world_of_another_size_can_be_configured():
    world = generate(replace(NANO, name="tiny", users=10, items=60, days=8), seed=3)
    assert world.dataset == "synthetic-tiny"
    assert world.users.num_rows == 10
