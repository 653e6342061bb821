"""The step that learns a layout policy: what it reads from the log, and when a policy may serve."""

import json
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import dataset, quarantine, schema
from events.imported import Imported
from events.journal.joins import EXPOSURE
from models.training_config import TrainingConfig
from segue.files import read_json, write_json
from segue.settings import Home
from surfaces.home.layout import LayoutPolicy
from surfaces.home.learning import fit
from surfaces.home.serving_policy import serving_policy
from tests.support.home_pages import KINDS, SATURDAY, context_of, logged
from workloads.run import Run
from workloads.training import learn_layout
from workloads.training.layout_value import decisions, down_to, gain, overlap, value
from workloads.training.learn_layout import composed_events, learned, logged_pages, parted, too_few, unconfirmed_pages

EVEN = LayoutPolicy(temperature=1e6)
WORTH = (0.2, 1.2, 0.6, 0.3)
ITEMS = pa.table({"item_id": ["a", "b", "c"], "duration_ms": [100_000] * 3})


def log_of(*rows: dict) -> pa.Table:
    """Events of one listener and request, seconds apart."""
    defaults = {"user_id": "u1", "request_id": "r1", "surface": "home", "action": "impression"}
    complete = [
        defaults | {"event_id": f"e{number}", "ts": SATURDAY + timedelta(seconds=number)} | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(complete, schema.EVENTS.append(EXPOSURE))


def exposure(shelf: str, row: int, column: int, scores=None, fallback: int = 0, confirmed: bool = True) -> dict:
    return {
        "shelf": shelf, "row": row, "column": column, "scores": json.dumps(scores or {}), "fallback": fallback,
        "confirmed": confirmed,
    }  # fmt: skip


@pytest.fixture
def record():
    """A drawn layout of two of four shelves."""
    return EVEN.draw(KINDS, np.zeros((4, 3)), context_of().features, 2, 2, np.random.default_rng(0))


def test_the_rewards_of_a_page_by_hand(record):
    # Shelf `second` was played through (1) to its end (0.5) and liked (2), and an item of it was skipped (-0.5).
    first, second = (KINDS[number] for number in record.drawn)
    pages = logged_pages(
        log_of(
            {"item_id": "a", "exposure": exposure(first, 1, 1, record.to_scores())},
            {"item_id": "b", "exposure": exposure(second, 2, 1, record.to_scores())},
            {"item_id": "c", "exposure": exposure(second, 2, 2)},
            {"item_id": "b", "exposure": exposure(second, 2, 1), "action": "play", "ms_played": 95_000},
            {"item_id": "b", "exposure": exposure(second, 2, 1), "action": "like"},
            {"item_id": "c", "exposure": exposure(second, 2, 2), "action": "skip", "ms_played": 2_000},
        ),
        ITEMS,
        TrainingConfig().ranking.reward,
    )
    assert [(page.listener, page.rewards.tolist()) for page in pages] == [("u1", [0.0, 3.0])]
    assert pages[0].record.to_scores() == record.to_scores()


@pytest.mark.parametrize("how", ["fallback", "another surface", "no record"])
def test_pages_without_a_drawn_layout_are_left_out(record, tmp_path, how):
    scores = {} if how == "no record" else record.to_scores()
    event = {"item_id": "a", "exposure": exposure("popular", 1, 1, scores, fallback=int(how == "fallback"))}
    event["surface"] = "search" if how == "another surface" else "home"
    pq.write_table(log_of(event), tmp_path / "log.parquet")
    assert logged_pages(composed_events([str(tmp_path / "log.parquet")]), ITEMS, {"play": 1.0}) == []


def test_a_page_that_was_decided_without_features_is_left_out(record):
    first = exposure(KINDS[record.drawn[0]], 1, 1, record.to_scores())
    blind = {"item_id": "a", "request_id": "r2", "exposure": {**first, "degraded": ["features"]}}
    assert logged_pages(log_of(blind), ITEMS, {"play": 1.0}) == []
    assert len(logged_pages(log_of({"item_id": "a", "exposure": first}, blind), ITEMS, {"play": 1.0})) == 1


def test_a_page_that_nobody_confirmed_is_left_out_and_counted(record, tmp_path):
    seen = {"item_id": "a", "exposure": exposure(KINDS[record.drawn[0]], 1, 1, record.to_scores())}
    unsure = {**seen, "exposure": {**seen["exposure"], "confirmed": False}}
    old = {**seen, "exposure": {**seen["exposure"], "confirmed": None}}
    log = log_of(seen, *({**one, "request_id": f"r{n}"} for n, one in enumerate((unsure, unsure, old), 2)))
    pq.write_table(log, tmp_path / "log.parquet")
    files = [str(tmp_path / "log.parquet")]
    assert set(composed_events(files)["request_id"].to_pylist()) == {"r1"}
    assert unconfirmed_pages(files) == 3


@pytest.mark.parametrize("columns", [["exposure"], []], ids=["imported", "imported before a collection"])
def test_an_imported_log_has_no_pages(tmp_path, columns):
    pq.write_table(log_of({"item_id": "a"}).drop_columns(columns), tmp_path / "log.parquet")
    files = [str(tmp_path / "log.parquet")]
    assert (composed_events(files).num_rows, unconfirmed_pages(files)) == (0, 0)


@pytest.mark.slow
def test_the_step_pushes_what_it_learned(tmp_path):
    ingested, home = tmp_path / "log", Home(tmp_path / "home")
    dataset.write(ingested, imported(logged(EVEN, (0.2, 1.6, 0.6, 0.2), 400, 2, seed=6)))
    assert learn_layout.step(Run(home, "r1", {}), ingested)
    pushed = read_json(home.run("r1").steps / "learn-layout.json")["result"]
    assert pushed["passed"]
    assert serving_policy(home).version == 1
    assert serving_policy(home).logits(KINDS, np.zeros((4, 3)), context_of().features).argmax() == 1


def imported(pages) -> Imported:
    """Pages as the journal's collection stores them: the first item of each shelf was seen, and liked for 2 a time."""
    rows = []
    for number, page in enumerate(pages):
        for row, (shelf, reward) in enumerate(zip(page.record.drawn, page.rewards, strict=True), 1):
            shown = {
                "event_id": f"{number}-{row}", "user_id": page.listener, "request_id": f"r{number}",
                "item_id": f"i{row}", "ts": SATURDAY + timedelta(minutes=number), "surface": "home", "position": row,
                "exposure": exposure(KINDS[shelf], row, 1, page.record.to_scores()),
            }  # fmt: skip
            rows.append(shown | {"action": "impression"})
            if reward:
                rows.append(shown | {"action": "like", "event_id": f"{number}-{row}-like"})
    items = pa.table({"item_id": ["i1", "i2", "i3"], "title": ["a", "b", "c"], "duration_ms": [200_000] * 3})
    events = pa.Table.from_pylist(rows, schema.EVENTS.append(EXPOSURE))
    users = pa.table({"user_id": sorted({page.listener for page in pages})})
    return Imported("journal", items, users, events, quarantine.empty())


def test_the_chance_down_to_a_row():
    assert down_to(np.array([0.5, 0.4]), 3) == pytest.approx([0.5, 0.2, 0.2])  # the page ended
    assert down_to(np.array([0.5, 0.4, 0.1]), 3) == pytest.approx([0.5, 0.2, 0.02])


def test_the_policy_of_the_log_has_its_value():
    pages = logged(EVEN, WORTH, 30, 3, seed=0)
    log = decisions(pages, EVEN, fit(logged(EVEN, WORTH, 30, 3, seed=1)), seed=0)
    mean = np.mean([page.reward for page in pages])
    assert value(log, 0)["ips"].value == pytest.approx(mean)
    assert value(log, 0)["snips"].value == pytest.approx(mean)
    assert gain(log, 0).low < 0 < gain(log, 0).high
    assert overlap(pages, EVEN) == pytest.approx(1)


def test_a_better_policy_serves():
    policy, verdict = learned(logged(EVEN, WORTH, 250, 3, seed=2), EVEN)
    assert verdict.passed, verdict.reason
    assert verdict.figures["gain"]["low"] > 0
    assert policy.version == 1
    logits = policy.logits(KINDS, np.zeros((4, 3)), context_of().features)
    assert logits.argmax() == 1


def test_a_step_that_the_log_cannot_judge_is_shortened():
    _, verdict = learned(logged(EVEN, (0.01, 3.0, 0.01, 0.01), 250, 3, seed=2), EVEN)
    assert verdict.figures["step"] < 1


def test_a_policy_that_may_be_worse_does_not_serve():
    # All shelves are alike, so the log teaches noise, and few pages cannot show that noise does no harm.
    _, verdict = learned(logged(EVEN, (0.1,) * 4, 150, 3, seed=5), EVEN)
    assert not verdict.passed
    assert "at 95 %" in verdict.reason


def test_a_policy_that_is_better_than_the_log_and_worse_than_what_serves_does_not_serve(monkeypatch):
    # Most pages are of an earlier policy.
    serving = LayoutPolicy(version=1, temperature=1.0).raised({"jump_back_in": 2.0})
    worse = LayoutPolicy(version=2, temperature=1.0).raised({"jump_back_in": 0.7})
    pages = logged(EVEN, WORTH, 240, 4, seed=1) + logged(serving, WORTH, 240, 1, seed=2)
    monkeypatch.setattr(learn_layout, "longest_step", lambda *_: (0.1, worse))
    _, verdict = learned(pages, serving)
    drawn = (logged(policy, WORTH, 4000, 1, seed=3) for policy in (serving, worse))
    best, second = (np.mean([page.reward for page in pages]) for pages in drawn)
    assert verdict.figures["logged_value"] < second < best
    assert not verdict.passed, verdict.reason
    assert verdict.figures["gain"]["low"] < second - best < verdict.figures["gain"]["high"] < 0


def test_too_few_pages_are_a_sentence():
    assert too_few([]) == "a layout policy needs 200 pages to learn and as many to judge; the log has 0 confirmed ones"
    assert "the log has 20" in too_few(logged(EVEN, WORTH, 10, 2, seed=0))


def test_pages_that_brought_no_reward_teach_nothing():
    # Of no reward every layout is worth as much: an even choice would pass, and serve.
    none, some = (logged(EVEN, worth, 250, 3, seed=2) for worth in ((0.0,) * 4, WORTH))
    learn, judge = parted(none)
    for pages in (none, [*learn, *parted(some)[1]], [*parted(some)[0], *judge]):
        assert "on one side no page of the log's 750 confirmed ones has any" in too_few(pages)
    assert too_few(some) == ""


def test_a_listener_is_on_one_side_and_stays_there():
    pages = logged(EVEN, WORTH, 20, 2, seed=0)
    one, other = ({page.listener for page in side} for side in parted(pages))
    assert one
    assert other
    assert not one & other
    assert [len(side) for side in parted(pages[::-1])] == [len(side) for side in parted(pages)]


def test_the_serving_policy_is_the_one_that_was_pushed(tmp_path):
    home = Home(tmp_path)
    assert serving_policy(home).to_dict() == LayoutPolicy().to_dict()
    pushed = LayoutPolicy(version=4, temperature=0.25)
    write_json(home.layout_policy, pushed.to_dict())
    assert serving_policy(home).to_dict() == pushed.to_dict()
