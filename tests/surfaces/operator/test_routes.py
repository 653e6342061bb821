"""The operator's endpoints and pages, over a gateway in this process."""

import re
from datetime import UTC, datetime

import httpx
import pytest

from experiments.definition import parse
from experiments.registry import Registry
from monitoring.rules import Rules
from pipelines.run_state import state
from surfaces.operator.alone import operator_app
from surfaces.operator.operator import Operator
from surfaces.operator.routes import STATIC
from surfaces.player.routes import STATIC as PLAYER
from tests.support.experiments import definition
from tests.support.loops import TRAINED
from tests.support.reports import day, leave_report, report
from tests.surfaces.gateway import conftest as gateway
from workloads.monitoring.decide import step
from workloads.monitoring.timeline import timeline
from workloads.operating.decisions import decisions

WHY = {"why": "better skips"}
PATHS = ("/", "/operator/", "/player/base.css", "/v1/operator/overview", "/v1/home", "/player/")
OWN = "http://127.0.0.1:8700"


def test_the_overview_has_the_home_and_the_gateway(visit, home):
    async def conversation(client):
        before = (await client.get("/v1/operator/overview")).json()
        await client.post("/v1/home", json={"user_id": "u1"})
        return before, (await client.get("/v1/operator/overview")).json()

    before, after = visit(conversation, links={"MLflow": lambda: None})
    assert (before["data"], before["runs"], before["served"]) == (None, [], None)  # an empty home
    assert (before["gateway"]["pages"], before["gateway"]["fallbacks"]) == (0, None)
    assert after["gateway"]["pages"] == 1
    assert after["gateway"]["levels"]["home"] == {"0": 1}
    assert {"features", "rank"} & {one["stage"] for one in after["gateway"]["stages"]}
    assert [one["endpoint"] for one in after["gateway"]["endpoints"]] == ["/v1/home"]
    assert (after["links"], after["read_only"]) == (["MLflow"], False)


@pytest.mark.parametrize("part", ["models", "reads of the online store"])
def test_what_does_not_answer_is_in_the_overview(visit, world, part):
    async def conversation(client):
        if part == "models":
            world.server.failing = True
        else:
            world.online.failing = True
        await client.post("/v1/home", json={"user_id": "u1"})
        return (await client.get("/v1/operator/overview")).json()["gateway"]

    gateway = visit(conversation)
    if part == "models":
        assert gateway["fallbacks"] == 1
    else:
        assert part in gateway["down"]


def test_a_run_a_model_and_the_drift_are_shown(get):
    run = get(f"/v1/operator/runs/{TRAINED}").json()
    recall = {row[0]: row[1] for row in run["tables"][0]["rows"]}
    assert (run["status"], recall) == ("pushed", {"popularity": 0.1, "candidate": None})  # None was not measured
    assert [one["version"] for one in get("/v1/operator/models/ranking").json()["versions"]] == [1, 2, 3]
    drift = get("/v1/operator/drift").json()
    assert (drift["verdict"]["passed"], drift["page"]) == (False, True)


def test_the_loop_over_time_is_that_of_the_command(get, home):
    leave_report(home, report(1, "volume", cause="outage"))
    step(home, Rules(), day(1), state)
    assert get("/v1/operator/monitoring").json() == timeline(home, state)
    assert get("/v1/operator/overview").json()["monitoring"]["decision"]["action"] == "hold"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/operator/runs/other", "/v1/operator/models/..", "/v1/operator/models/other", "/operator/experiments/other",
        f"/operator/runs/{TRAINED}/drift", f"/operator/runs/{TRAINED}/request", "/operator/open/other",
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(get, path):
    answer = get(path)
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/operator/drift/report", f"/operator/runs/{TRAINED}/evaluation"])
def test_reports_of_libraries_run_in_a_sandbox_without_network(get, path):
    policy = get(path).headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "default-src 'none'" in policy
    assert "allow-same-origin" not in policy


def test_the_pages_are_bound_to_the_gateway(get):
    policy = get("/operator/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_no_page_names_another_host_or_has_an_inline_script_or_style():
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not set(re.findall(r"https?://([\w.]+)", text)), path.name
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|<style|\bstyle=", text)
        assert "innerHTML" not in text


def test_every_file_that_a_page_names_is_there():
    for path in STATIC.iterdir():
        for name in re.findall(r'(?:from |href=|src=)"((?:\.\.?/)?[\w/.-]+\.(?:js|css|svg))"', path.read_text()):
            assert (STATIC / name).exists() or (PLAYER / name.removeprefix("../player/")).exists(), (path.name, name)


def test_promote_and_roll_back_do_as_the_commands_and_record_why(send, home):
    answer = send("/v1/operator/promote", WHY).json()
    assert answer["versions"] == {"ranking": 3, "retrieval": 3}
    assert decisions(home)[0]["why"] == "better skips"
    assert send("/v1/operator/promote", {**WHY, "version": 1}).json()["versions"]["ranking"] == 1


def test_a_rollback_takes_the_candidate_back(send, home):
    answer = send("/v1/operator/rollback", WHY).json()
    assert (answer["label"], answer["versions"]) == ("canary", {"ranking": 2, "retrieval": 2})


def test_a_training_is_started_with_its_reason(send, trainings):
    assert send("/v1/operator/train", WHY).status_code == 202
    assert trainings.reasons == ["better skips"]


@pytest.mark.parametrize(
    "body", [{}, {"why": ""}, {"why": "  "}, {"why": "a\x1b[2J"}, {"why": "x" * 501}, {**WHY, "versoin": 1}]
)
def test_a_decision_needs_a_reason(send, home, body):
    assert send("/v1/operator/promote", body).status_code == 422
    assert not decisions(home)


@pytest.mark.parametrize("path", ["promote", "rollback", "train"])
def test_read_only_and_other_sites_change_nothing(send, home, trainings, path):
    address = f"/v1/operator/{path}"
    assert send(address, WHY, read_only=True).status_code == 403
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert send(address, WHY, headers=headers).status_code == 403
    assert not decisions(home)
    assert not trainings.reasons


def test_a_refusal_of_the_store_says_the_fix(send):
    answer = send("/v1/operator/promote", {**WHY, "version": 9})
    assert answer.status_code == 422
    assert "The versions are" in answer.json()["fix"]


def test_a_link_opens_another_server_once_it_answers(get):
    starting = get("/operator/open/MLflow", links={"MLflow": lambda: None})
    assert (starting.status_code, starting.headers["refresh"]) == (200, "1")
    there = get("/operator/open/MLflow", links={"MLflow": lambda: "http://127.0.0.1:5000/"})
    assert there.headers["location"] == "http://127.0.0.1:5000/"


def test_a_home_without_models_has_the_operators_page_alone(operations):
    app = operator_app(Operator(operations), read_only=False)

    async def conversation():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OWN) as client:
            return [await client.get(path) for path in PATHS]

    root, page, style, overview, home, player = gateway.asyncio.run(conversation())
    assert root.headers["location"] == "/operator/"
    assert (page.status_code, style.status_code) == (200, 200)
    assert (home.status_code, player.status_code) == (404, 404)
    assert overview.json()["gateway"] is None


def test_a_scorecard_that_is_not_there_is_no_look(get, home):
    registry = Registry(home.experiments)
    registry.start(parse(definition()), datetime(2026, 3, 1, tzinfo=UTC), "me")
    answer = get("/operator/experiments/more-new")
    assert (answer.status_code, "segue experiment report" in answer.json()["fix"]) == (422, True)
    assert registry.get("more-new").records == 1
