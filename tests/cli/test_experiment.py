"""`segue experiment` from the command line, over a home with a log of the gateway's exposures."""

import json
import re
import sys
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
import yaml

import cli
from benchmarks.experiments.log import STARTED, Planted, event_files, write_log
from cli.experiments.command import end_of
from events import dataset
from events.imported import Imported
from events.journal.joins import EXPOSURE
from experiments.definition import parse
from experiments.page import render
from experiments.registry import Recorded, Registry
from experiments.reporting import Report
from segue.settings import Home
from tests.experiments.conftest import DAYS, PLAN, running
from tests.support.experiments import definition


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A home whose log has a planted lift."""
    base = tmp_path_factory.mktemp("planted")
    write_log(base, running(), 1500, DAYS, Planted(lift=0.4), seed=2)
    made = Home.at(base / "home")
    events = whole_exposures(pds.dataset(list(map(str, event_files(base)))).to_table())
    tables = [pq.read_table(base / f"{name}.parquet") for name in ("items", "users")]
    dataset.write(made.data, Imported("planted", *tables, pa.Table.from_batches(events.to_batches())))
    return made


def whole_exposures(events: pa.Table) -> pa.Table:
    """Events whose exposures have all fields of collected ones, and no scores."""
    given = events["exposure"].combine_chunks()
    values = {name: pc.struct_field(given, name) for name in ("arms", "fallback")}
    values["scores"] = pa.array(["{}"] * len(given))
    fields = [values.get(field.name, pa.nulls(len(given), field.type)) for field in EXPOSURE.type]
    whole = pa.StructArray.from_arrays(fields, fields=list(EXPOSURE.type), mask=given.is_null())
    return events.set_column(events.schema.get_field_index("exposure"), EXPOSURE, whole)


@pytest.fixture
def segue(monkeypatch, capsys, home):
    """A function that calls the command in the home and returns its exit code, stdout and stderr."""
    monkeypatch.setenv("SEGUE_HOME", str(home.root))

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segue", "experiment", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return call


def written(path, **parts):
    path.write_text(yaml.safe_dump(definition(plan=PLAN, **parts)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_from_the_plan_to_the_decision(segue, home, tmp_path):
    file = written(tmp_path / "e.yaml")
    code, out, _ = segue("plan", file, "--json")
    assert code == 0
    planned = json.loads(out)
    assert planned["units"] > 100
    (forecast,) = planned["forecasts"]  # the log's pages have no drawn layout
    assert (forecast["arm"], forecast["gain"], "the log has 0" in forecast["reason"]) == ("treatment", None, True)

    assert segue("start", file, "--at", "2026-03-02", "--by", "me")[0] == 0
    code, out, _ = segue("report", "more-new", "--page", tmp_path / "page.html", "--json")
    assert code == 0
    assert json.loads(out)["scorecard"]["verdict"] == "ship"
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<svg" in page
    assert "<script" not in page

    code, out, _ = segue("report", "more-new")
    assert (code, "SHIP: play_rate improved in treatment" in out) == (0, True)
    code, out, _ = segue("status")
    assert re.search(r"more-new.*home.*100%.*2026-03-02.*ship", out)
    assert segue("stop", "more-new", "--decision", "ship", "--reason", "It plays more.", "--by", "me")[0] == 0
    code, out, _ = segue("status", "more-new")
    assert "by me: ship. It plays more." in out
    code, out, _ = segue("status", "more-new", "--json")
    assert [record["kind"] for record in json.loads(out)["history"]] == ["start", "look", "stop"]

    code, _, err = segue("start", file)
    assert (code, "stays ended" in err) == (2, True)
    assert Registry(home.experiments).get("more-new").stop["decision"] == "ship"


def test_the_page_shows_texts_as_text():
    parsed = parse(definition(hypothesis="<script>alert(1)</script> & \x1b[2J"))
    look = {
        "look": 1, "at": "2026-03-03T00:00:00+00:00", "verdict": "keep going", "reason": "<b>", "units": {"<i>": 3},
        "information": 0.1, "alpha_spent": 0.0, "rows": [], "checks": {"<u>": 0.5}, "mixed": 0, "misassigned": 0,
        "slices": [], "unmeasured": {},
    }  # fmt: skip
    page = render(Report(Recorded(parsed, (), 1, STARTED, (look,)), look))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in page
    assert not re.search(r"<(script|b|i|u)>", page)
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["report", "nothing"], "There is no experiment 'nothing'"),
        (["stop", "nothing", "--decision", "ship", "--reason", "x"], "There is no experiment 'nothing'"),
        (["start", "absent.yaml"], "absent.yaml cannot be read"),
    ],
)
def test_bad_input_is_an_error_of_two_lines(segue, arguments, text):
    code, out, err = segue(*arguments)
    assert (code, out) == (2, "")
    assert text in err


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"metrics": {"success": {"play_rat": 0.02}}}, "no metric 'metrics.success.play_rat'"),
        ({"name": "second", "layer": {"name": "search"}}, "belongs to one layer"),
        ({"share": [0.9], "layer": {"name": "home", "holdback": 0.2}}, "at most 100 % of a layer"),
        ({"name": "second", "share": [0.6]}, "50.00% left"),
        ({"salt": "another"}, "keeps its salt"),
        ({"arms": [{"name": name, "share": 0.5} for name in ("control", "new")]}, "keeps the names and shares"),
        ({"arms": [{"name": name, "share": 0.5, "parameters": {"home.rws": 3}} for name in "ab"]}, "no parameter"),
        (
            {"arms": [{"name": name, "share": 0.5, "parameters": {"models.ranking": "canary"}} for name in "ab"]},
            "no label of ranking 'canary'",
        ),
    ],
)
def test_a_start_that_breaks_a_rule_is_an_error_and_loses_nothing(segue, monkeypatch, tmp_path, parts, text):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    experiments = Home(tmp_path / "home").experiments
    assert segue("start", written(tmp_path / "e.yaml", share=[0.5]))[0] == 0
    before = {path: path.read_bytes() for path in experiments.rglob("*.json")}
    code, out, err = segue("start", written(tmp_path / "bad.yaml", **{"share": [0.5], **parts}))
    assert (code, out) == (2, "")
    assert text in err
    assert {path: path.read_bytes() for path in experiments.rglob("*.json")} == before


def test_an_ended_experiment_is_not_started_again(segue, monkeypatch, tmp_path):
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    file, records = written(tmp_path / "e.yaml"), Home(tmp_path / "home").experiments
    assert segue("start", file)[0] == 0
    assert segue("stop", "more-new", "--decision", "stop", "--reason", "No effect.", "--by", "ann")[0] == 0
    before = {path: path.read_bytes() for path in records.rglob("*.json")}
    code, out, err = segue("start", file)
    assert (code, out, "stays ended" in err) == (2, "", True)
    assert {path: path.read_bytes() for path in records.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("collected", "end"),
    [
        (None, timedelta(hours=23, microseconds=1)),
        (timedelta(days=1), timedelta(days=1)),
        (timedelta(hours=23), timedelta(hours=23, microseconds=1)),
    ],
    ids=["imported", "collected after the last event", "collected at the last event"],
)
def test_a_log_ends_with_its_last_collection_or_its_last_event(tmp_path, collected, end):
    home = Home(tmp_path)
    items = pa.table({"item_id": ["i"], "title": ["Amber River"]})
    events = [
        {"event_id": f"e{hour}", "user_id": f"u{hour}", "item_id": "i", "ts": STARTED + timedelta(hours=hour),
         "action": "play"} for hour in (1, 23)
    ]  # fmt: skip
    until = {"until": (STARTED + collected).isoformat()} if collected else None
    users = pa.table({"user_id": ["u1", "u23"]})
    dataset.write(home.data, Imported("log", items, users, pa.Table.from_pylist(events), collected=until))
    assert end_of(home) == STARTED + end


@pytest.mark.slow
def test_latency_comes_from_a_file_of_requests(segue, home, tmp_path):
    users = dataset.load(home.data).users["user_id"].to_pylist()
    instants = [STARTED - timedelta(days=day) for day in range(-DAYS, DAYS)]
    rows = [
        {"user_id": user, "ts": at, "latency_ms": 20.0 + number % 7}
        for number, user in enumerate(users)
        for at in instants
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "requests.parquet")
    metrics = {"success": {"play_rate": 0.02}, "guardrails": {"latency": 0.05}}
    file = written(tmp_path / "e.yaml", metrics=metrics)
    _, out, _ = segue("plan", file, "--json")
    assert json.loads(out)["unmeasured"] == {"latency": "there is no log of requests"}
    _, out, _ = segue("plan", file, "--requests", tmp_path / "requests.parquet", "--json")
    (need,) = [each for each in json.loads(out)["needs"] if each["metric"] == "latency"]
    assert need["value"] == pytest.approx(23.0, abs=0.1)  # the mean of 20 to 26
    code, _, err = segue("plan", file, "--requests", file)
    assert (code, f"{file} cannot be read" in err) == (2, True)


def test_a_plan_needs_no_exposures_and_a_report_does(segue, monkeypatch, tmp_path, home):
    imported = Home(tmp_path / "home")
    tables = dataset.load(home.data)
    events = tables.events().drop_columns(["exposure"])
    dataset.write(imported.data, Imported("planted", tables.items, tables.users, events))
    monkeypatch.setenv("SEGUE_HOME", str(imported.root))
    file = written(tmp_path / "e.yaml")
    code, out, err = segue("plan", file, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["units"] > 100
    assert segue("start", file)[0] == 0
    code, _, err = segue("report", "more-new")
    assert (code, "reads exposures that the gateway logged" in err) == (2, True)
