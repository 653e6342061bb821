"""A simulated day: it goes on after a kill as if nothing had been, and its figures and checks are the world's."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from events import schema
from events.importers.synthetic import sized
from events.journal.joins import EXPOSURE, ROWS, impression
from events.journal.records import Exposure
from events.world.day import HOME
from events.world.live.world import World
from workloads.simulation import chart
from workloads.simulation.check import COLUMNS, compared, compared_exposures, rows_of
from workloads.simulation.day import Moment, instant, replayed, serve
from workloads.simulation.figures import figures
from workloads.simulation.served import Record, Shown

DAY = 30


def without_attempts(events: Iterable[dict]) -> list[dict]:
    """The events with ids as if every page had been asked for once."""
    return [
        {**event, **{name: re.sub(r"\.\d+", "", event[name]) for name in ("event_id", "request_id")}}
        for event in events
    ]


class Killed(Exception):
    """The simulation was killed."""


class Shop:
    """Answers like a gateway: other pages for other requests, and for a listener who did something meanwhile.

    Args:
        world: The world.
        calls: After so many calls it kills its caller.
    """

    def __init__(self, world: World, calls: int = 10_000) -> None:
        self.world, self.calls = world, calls
        self.events: dict[str, dict] = {}
        self.asked: list[str] = []
        self.dislikes: list[tuple[str, str]] = []

    def page(self, user_id, request_id, session_id, surface, at, dislikes) -> Shown:
        self._call()
        assert surface != HOME or not dislikes
        self.dislikes += [(session_id, item_id) for item_id in dislikes]
        self.asked.append(request_id)
        done = sum(event["user_id"] == user_id for event in self.events.values())
        items = np.roll(self.world.item_ids[:100], int(request_id.split("-")[1].split(".")[0]) % 50 + done)[
            :10
        ].tolist()
        rows = [items[:5], items[5:]] if surface == HOME else [items]
        return Shown(request_id, rows, [[False] * (len(row) - 1) + [True] for row in rows], 0, {"ranking": 1})

    def tell(self, events) -> None:
        self._call()
        for event in events:
            self.events.setdefault(event["event_id"], event)

    def _call(self) -> None:
        self.calls -= 1
        if self.calls < 0:
            raise Killed


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(sized("nano", version=2), 0)


@pytest.fixture
def served(world, tmp_path) -> tuple[Shop, Record]:
    shop, record = Shop(world), Record.open(tmp_path / "day.jsonl")
    serve(world, DAY, shop, record)
    return shop, record


def test_every_page_is_asked_for_once_and_its_events_are_told(world, served):
    shop, record = served
    assert max(Counter(shop.asked).values()) == 1
    assert len(shop.asked) == len(record.pages) == len(record.told) > 5
    moments = replayed(world, DAY, record)
    assert [event for moment in moments for event in moment.events] == list(shop.events.values())


@pytest.mark.parametrize("calls", [0, 1, 2, 7, 12])
def test_a_killed_day_goes_on_as_if_nothing_had_been(world, served, tmp_path, calls):
    whole, record = served
    shop, path = Shop(world, calls), tmp_path / "killed.jsonl"
    with pytest.raises(Killed):
        serve(world, DAY, shop, Record.open(path))
    with path.open("ab") as file:
        file.write(b'{"request": 12, "pa')  # the line that the kill cut
    shop.calls = 10_000
    serve(world, DAY, shop, Record.open(path))
    again = [request for request in shop.asked if "." in request]  # asked for, and cut off before it was kept
    assert len(again) <= 1
    assert without_attempts(shop.events.values()) == list(whole.events.values())
    assert Record.open(path).pages.keys() == record.pages.keys()


def test_the_events_are_of_the_schema_and_in_order(served):
    events = list(served[0].events.values())
    assert {event["action"] for event in events} <= set(schema.ACTIONS)
    by_request: dict[str, list[dict]] = {}
    for event in events:
        by_request.setdefault(event["request_id"], []).append(event)
    for page in by_request.values():
        times = [datetime.fromisoformat(event["ts"]) for event in page]
        assert times == sorted(times)
        assert {event["item_id"] for event in page} == {e["item_id"] for e in page if e["action"] == "impression"}


def test_a_dislike_is_said_with_the_next_tracks_of_its_session(tmp_path):
    world = World.build(replace(sized("nano", version=2), users=400), 0)
    shop, record = Shop(world), Record.open(tmp_path / "day.jsonl")
    serve(world, DAY, shop, record)
    heard = [
        (f"sim-{moment.visit.session}", world.item_ids[item])
        for moment in replayed(world, DAY, record)
        for item in moment.page.item[moment.responses.disliked]
    ]
    assert shop.dislikes
    assert not Counter(shop.dislikes) - Counter(heard)


def test_the_figures_of_a_day(world, served):
    moments = replayed(world, DAY, served[1])
    found = figures(world, DAY, moments)
    assert found["pages"] == len(moments)
    assert found["date"] == "2026-02-04"
    assert 0 < found["reward"] < found["best_reward"]
    assert found["popular_reward"] < found["best_reward"]
    assert found["plays"] == pytest.approx(np.mean([moment.responses.played.sum() for moment in moments]))
    homes = sum(moment.visit.surface == HOME for moment in moments)
    assert found["explored"] == pytest.approx((homes + len(moments)) / (10 * len(moments)))
    assert found["fallback"] == 0
    assert found["calibration_kl"] > 0
    assert figures(world, DAY, [])["reward"] is None


def test_the_check_counts_what_is_missing_and_what_is_too_much(world, served):
    moments = replayed(world, DAY, served[1])
    rows = [
        {**dict(zip(COLUMNS, row, strict=False)), EXPOSURE.name: {"row": row[-2], "column": row[-1]}}
        for moment in moments
        for row in rows_of(moment)
    ]
    fields = pa.schema([*(schema.EVENTS.field(name) for name in COLUMNS), EXPOSURE])
    whole = pa.Table.from_pylist(rows, fields)
    assert compared(moments, whole) == {"expected": len(rows), "missing": 0, "unexpected": 0}
    assert compared(moments, whole.slice(1)) == {"expected": len(rows), "missing": 1, "unexpected": 0}
    for change in ({"position": 77}, {"ms_played": 1}, {EXPOSURE.name: {"row": 9, "column": 9}}, {EXPOSURE.name: None}):
        changed = pa.Table.from_pylist([{**rows[0], **change}, *rows[1:]], fields)
        assert compared(moments, changed) == {"expected": len(rows), "missing": 1, "unexpected": 1}
    assert compared(moments, pa.concat_tables([whole, whole.slice(0, 1)]))["unexpected"] == 1


def test_the_check_compares_every_exposure_and_what_was_collected_of_it(world, served):
    moments = replayed(world, DAY, served[1])
    pages = {moment.shown.request_id: exposures_of(moment) for moment in moments}
    count = sum(map(len, pages.values()))
    seen = pa.Table.from_pylist([impression(one) for page in pages.values() for one in page[:3]], ROWS)
    whole = {"expected": count, "missing": 0, "unexpected": 0, "changed": 0}
    assert compared_exposures(moments, seen, pages.__getitem__) == whole
    first = moments[0].shown.request_id
    for place, change, worse in (
        (-1, {"item_id": "other"}, {"missing": 1, "unexpected": 1}),  # nobody saw it
        (0, {"column": 7}, {"missing": 1, "unexpected": 1}),
        (1, {"propensity": 0.25}, {"changed": 1}),
        (2, {"scores": {"reward": 1.0}}, {"changed": 1}),
    ):
        page = list(pages[first])
        page[place] = page[place]._replace(**change)
        assert compared_exposures(moments, seen, {**pages, first: page}.__getitem__) == whole | worse


def exposures_of(moment: Moment) -> list[Exposure]:
    """The exposures of a page, as a gateway would write them."""
    shown, at = moment.shown, instant(moment.visit.at)
    places = [(row, column, item) for row, items in enumerate(shown.rows, 1) for column, item in enumerate(items, 1)]
    return [
        Exposure(shown.request_id, "u", None, at, "home", "", row, column, position, item, "p", "1", propensity=0.5)
        for position, (row, column, item) in enumerate(places, 1)
    ]


@pytest.mark.slow  # Matplotlib looks for fonts when it is imported for the first time
def test_the_chart_is_a_picture_and_a_page_of_its_own(world, served):
    day = figures(world, DAY, replayed(world, DAY, served[1]))
    day |= {
        "collected": {"expected": 10, "missing": 2, "unexpected": 0},
        "features": {"requests": 5, "different": 1},
    }
    day |= {"policies": {"loop": 3.0, "frozen": 2.5, "oracle": 4.0, "never": 2.25}, "actions": []}
    did = [{"kind": "retrain", "reason": "r"}, {"kind": "pushed", "reason": "r"}]
    days = [day, {**day, "day": DAY + 1, "reward": None, "actions": did}]
    image = chart.picture(days, {"drift": "genre", "drift_day": DAY + 1}, ["never"])
    assert image.startswith(b"\x89PNG")
    page = chart.page("a <world>", days, image, "Worth <1>.", ["never"])
    assert "Worth &lt;1&gt;." in page
    assert "a &lt;world&gt;" in page
    assert "http" not in page
    assert "<td>retrain, pushed</td>" in page
    assert "<th>never trained again</th><th>never</th><th>oracle</th>" in page
    assert "<td>2.500</td><td>2.250</td><td>4.000</td>" in page
    assert page.count("<tr>") == 3
