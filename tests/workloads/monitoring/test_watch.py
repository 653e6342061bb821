"""The reports of a home whose listeners, catalogue or collection change."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from events import dataset, schema
from events.importers.synthetic import SIZES, generate
from events.journal.joins import EXPOSURE
from events.world.config import DRIFTS, FIRST_DAY
from models.sequence.codes import CODES, Codebook
from monitoring.report import Report
from segue.errors import InputError
from serving.store import model_store
from workloads.monitoring.watch import cells, served, step

DRIFT_DAY = 26
MIDNIGHT = datetime.combine(FIRST_DAY, datetime.min.time(), UTC)


def mature(day: int) -> datetime:
    """The instant at which the outcomes of a day of the world are mature."""
    return MIDNIGHT + timedelta(days=day + 1, hours=2)


def world(home, drift: str | None = None) -> None:
    """Import a log of 200 listeners and 28 days, of a drift from day 26 on if one is named."""
    config = replace(SIZES["nano"], users=200, sessions=0.5, drift=drift, drift_day=DRIFT_DAY if drift else None)
    dataset.write(home.data, generate(config, 0))


@pytest.mark.slow
@pytest.mark.parametrize("drift", DRIFTS)
def test_the_first_window_of_a_change_names_its_cause(home, drift):
    world(home, drift)
    assert step(home, mature(DRIFT_DAY - 1)).cause is None
    report = step(home, mature(DRIFT_DAY))
    assert report.cause == drift
    assert (drift == "outage") == any(check.response == "alert" for check in report.failed)


@pytest.mark.slow
def test_a_window_has_one_report_and_the_next_one_does_not_overlap_it(home):
    world(home)
    first = step(home, mature(24))
    assert step(home, mature(24) + timedelta(hours=23, minutes=59)) == first
    second = step(home, mature(25))
    assert second.current[0] == first.current[1]
    paths = sorted(home.check_reports.iterdir())
    assert [path.name for path in paths] == ["20260130T000000.json", "20260131T000000.json"]
    assert len(list(home.drift_snapshots.iterdir())) == 2
    assert "ms_played" in home.window_page.read_text(encoding="utf-8")
    assert not home.drift_page.exists()  # that of `segue drift`, whose verdict stands beside it on the operator's page
    assert Report.from_dict(json.loads(paths[1].read_text())) == second


@pytest.mark.slow
def test_a_report_of_another_log_or_of_a_later_day_is_not_that_of_the_window(home):
    world(home)
    later = step(home, mature(25))
    earlier = step(home, mature(23))
    assert earlier.current[1] < later.current[0]
    assert step(home, mature(25)) == later
    dataset.write(home.data, generate(replace(SIZES["nano"], users=200, sessions=0.5), 1))
    of_another_log = step(home, mature(25))
    assert of_another_log.current == later.current
    assert of_another_log.log not in (None, later.log)
    assert of_another_log.checks != later.checks


@pytest.mark.slow
def test_a_log_that_stops_is_an_outage(home):
    world(home)
    report = step(home, mature(29))
    assert report.cause == "outage"
    assert {check.name for check in report.failed} == {"volume", "freshness"}


def test_only_what_the_journal_collected_is_compared_once_it_collected_something():
    times = [MIDNIGHT, MIDNIGHT, MIDNIGHT]
    imported = pa.table({"ts": pa.array(times, schema.TIMESTAMP)})
    assert served(imported) == imported
    collected = imported.append_column(EXPOSURE, pa.array([None, {"fallback": 0}, None], EXPOSURE.type))
    collected = collected.append_column(schema.RECEIVED, pa.array([None, None, MIDNIGHT], schema.TIMESTAMP))
    assert served(collected).num_rows == 2  # an impression, and feedback whose page is lost
    none = collected.set_column(1, EXPOSURE, pa.nulls(3, EXPOSURE.type))
    assert served(none).num_rows == 3


@pytest.mark.slow
def test_a_young_log_is_not_judged(home):
    world(home)
    report = step(home, mature(13))
    assert (report.checks, report.cause) == ((), None)
    assert "15 whole days" in report.reason
    assert step(home, mature(15)).checks


def test_a_home_without_a_log_is_refused(home):
    with pytest.raises(InputError, match="No data set"):
        step(home, mature(24))


def test_cells_are_those_of_the_stable_sequence_model(home, tmp_path):
    items = pa.table({"item_id": ["c", "new", "a", "b"]})
    assert cells(home, items) is None
    near, far = [0.0, 0.0], [9.0, 9.0]
    model = tmp_path / "sequence"
    (model / CODES).parent.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    Codebook([np.array([near, far])], np.array([[0, 0], [0, 1], [1, 0]]), ["a", "b", "c"]).write(model / CODES)
    model_store.push(home.models, {"sequence": model})
    assert cells(home, items).tolist() == [1, -1, 0, 0]
