"""A run in full, at each point of its life."""

import pytest

from pipelines.run_state import state
from segue.errors import InputError
from segue.files import read_json, write_json, write_text
from tests.support.loops import COMPARED, STOPPED, TRAINED, looped
from workloads.operating.run_detail import report_file, run_detail, run_named


def test_a_run_has_its_steps_gates_tables_and_reports(home):
    detail = run_detail(looped(home).run(TRAINED), state)
    assert (detail["status"], detail["version"], detail["pipeline"]) == ("pushed", 1, "training")
    assert list(detail["steps"]) == ["validate-data", "evaluate", "infra-validate", "push"]
    assert [gate["passed"] for gate in detail["gates"]] == [True, True, True]
    ranking = next(table for table in detail["tables"] if table["title"].startswith("Ranking"))
    assert ranking["rows"][0][:3] == ["candidate", "play", 0.61]
    assert detail["sentences"] == ["recall@100 over popularity: +0.1000 (95 % interval +0.0500 to +0.1500)"]
    assert detail["reports"] == ["evaluation", "log"]


def test_a_run_says_why_it_was_started(home):
    run = looped(home).run(TRAINED)
    write_json(run.request, {**read_json(run.request), "why": "a week of new plays"})
    assert run_detail(run, state)["why"] == "a week of new plays"


def test_a_run_that_a_gate_stopped_has_no_tables(home):
    detail = run_detail(looped(home).run(STOPPED), state)
    assert (detail["status"], detail["tables"], detail["reports"]) == ("stopped", [], ["log"])


def test_a_run_that_has_just_begun_has_no_step_and_no_request(home):
    home.run("training-20260305T120000").path.mkdir(parents=True)
    detail = run_detail(run_named(home, "training-20260305T120000"), state)
    assert (detail["steps"], detail["gates"], detail["started"], detail["why"]) == ({}, [], None, "")


def test_a_monitoring_run_has_evidentlys_page(home):
    run = looped(home).run(COMPARED)
    page = run.artifacts / "monitoring-1" / "detect-drift" / "page"
    write_text(page, "<html>")
    assert report_file(run, "drift") == page
    assert run_detail(run, state)["reports"] == ["log", "drift"]
    assert run_detail(run, state)["gates"] == []


@pytest.mark.parametrize("name", ["training-other", "", "..", "../models"])
def test_a_run_that_is_not_there_is_refused(home, name):
    with pytest.raises(InputError, match="There is no run"):
        run_named(looped(home), name)


def test_a_report_of_another_name_is_refused(home):
    with pytest.raises(InputError, match="evaluation, log or drift"):
        report_file(looped(home).run(TRAINED), "../request.json")
