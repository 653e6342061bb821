"""`segue rollout`: each command on a store with a canary."""

import asyncio
import json
import os
import time
from datetime import timedelta

import pytest
from click.testing import CliRunner

from rollout import rollout as rollouts
from segue.errors import InputError, UnavailableError
from serving.rollouts.kept_counts import FileCounts
from serving.store import model_store
from surfaces.cohorts.counts import SHADOW, CohortCounts
from tests.rollout.conftest import AT


@pytest.fixture
def segue(home, monkeypatch, tmp_path):
    """A function that calls `segue rollout` on a store where 1 is stable and 2 the canary; a drain takes no time."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.delenv("SEGUE_MODEL_SERVER", raising=False)
    monkeypatch.setattr(rollouts, "DRAIN", timedelta(0))
    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")
    for label in ("stable", "canary"):
        model_store.push(home.models, {"ranking": source}, label=label)
    return lambda *args: CliRunner().invoke(cli, ["rollout", *args], catch_exceptions=False)


def test_a_roll_out_that_a_person_ends(segue, home):
    assert segue("status").output == "No roll-out was started.\n"
    assert "Roll-out 1 of ranking 2 beside ranking 1: running.\nIn the shadow, since " in segue("start").output
    held = segue("hold", "--reason", "It is Friday.", "--by", "ann").output
    assert "held." in held
    assert "hold, by ann: It is Friday." in held
    segue("resume", "--reason", "It is Monday.")
    assert "taken back" in segue("abort", "--reason", "Listeners complain.").output
    assert model_store.labels(home.models) == {"ranking": {"stable": 1, "canary": 1}}
    lines = segue("history").output.splitlines()
    assert len(lines) == 7
    assert lines[4].endswith("Listeners complain.")


def test_status_changes_nothing_and_prints_what_the_gateway_needs(segue, home):
    segue("start", "2")
    before = (home.models / "rollout.json").read_bytes()
    state = json.loads(segue("status", "--json").output)
    assert (home.models / "rollout.json").read_bytes() == before
    assert state["rollout"]["salt"] == "rollout/1"
    assert (state["rollout"]["share"], state["rollout"]["candidate"]) == (0.0, {"ranking": 2})
    assert [record["action"] for record in json.loads(segue("history", "--json").output)] == ["start", "running"]


def test_status_says_what_gateways_counted(segue, home):
    segue("start")
    counts = CohortCounts()
    for seconds, error in ((0.02, False), (0.3, True)):
        counts.by_number[1][SHADOW].add(error, seconds, AT, overlap=0.5)
    asyncio.run(counts.write(FileCounts(home.rollout_counts)))
    said = segue("status").output.splitlines()[-1]
    assert said == "shadow candidate: 2 requests, 1 errors, 1 slow, 160 ms on average, overlap 50%"
    assert json.loads(segue("status", "--json").output)["answers"][SHADOW]["errors"] == 1


def test_status_takes_the_counts_of_a_caller_that_has_begun(segue, home):
    segue("start")
    (home.rollout_counts / "1").mkdir(parents=True)
    answers = {"control": {"requests": 0, "errors": 0, "slow": 0}, "candidate": {"requests": 2, "errors": 0, "slow": 1}}
    (home.rollout_counts / "1" / "caller.json").write_text(json.dumps(answers))
    assert segue("status").output.splitlines()[-2:] == [
        "candidate: 2 requests, 0 errors, 1 slow",
        "control: 0 requests, 0 errors, 0 slow",
    ]


@pytest.mark.parametrize("command", [("start",), ("hold", "--reason", "It is Friday.")])
def test_a_refused_command_finishes_what_a_killed_one_left(segue, home, monkeypatch, command):
    segue("start")
    segue("abort", "--reason", "x")
    asked = []
    monkeypatch.setattr("rollout.reconcile.agree", asked.append)
    with pytest.raises(InputError):
        segue(*command)
    assert [each.root for each in asked] == [home.root]


def test_a_look_decides_and_says_why(segue, home):
    assert "Roll-out 1 of ranking 2 beside ranking 1: running." in segue("look").output  # the canary waited
    assert "wait, by segue: The shadow needs 100 requests; it has 0." in segue("look").output
    (home.rollout_counts / "1").mkdir()
    counted = {"requests": 30, "errors": 30, "slow": 0, "newest": "2026-03-02T10:00:00Z"}
    answers = {"shadow_stable": counted | {"errors": 0}, "shadow_candidate": counted}
    (home.rollout_counts / "1" / "caller.json").write_text(json.dumps(answers))
    assert json.loads(segue("look", "--json").output)["last"]["action"] == "take back"
    segue("look")
    assert "taken back" in segue("status").output


def test_looks_go_on_after_one_that_failed(segue, home, monkeypatch):
    segue("start")
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt
        (home.rollout_counts / "1").mkdir(parents=True, exist_ok=True)
        (home.rollout_counts / "1" / "caller.json").write_text("{" if len(slept) == 1 else "{}")

    monkeypatch.setattr(time, "sleep", sleep)
    output = segue("look", "--every", "5").output
    assert slept == [5, 5, 5]
    assert (output.count("wait, by segue"), output.count("must be JSON")) == (2, 1)


def test_looks_go_by_what_they_have_if_the_object_store_dies(segue, home, monkeypatch):
    segue("start")
    lock, ended, brought = home.rollout_counts / "controller.lock", [], []

    def bring_newer(_, seen, *parts):
        brought.append(parts)
        if len(brought) in (1, 3):
            raise UnavailableError("The object store does not answer.", "")
        seen["data"] = 1

    def sleep(_):
        ended.append(lock.stat().st_mtime)
        os.utime(lock, (0, 0))
        if len(ended) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("stores.parts.bring_newer", bring_newer)
    monkeypatch.setattr(time, "sleep", sleep)
    output = segue("look", "--every", "5").output
    assert output.count("does not answer") == 2
    assert output.count("wait, by segue") == 2  # not the first look, which had nothing
    assert min(ended) > 0  # a probe sees that it goes on


def test_a_plan_in_a_file(segue, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("shadow: 0\nstages: [0.004, 0.2]\n")
    assert "Share 0.4%, stage 1 of 2" in segue("start", "--plan", str(path)).output
    assert "running, share 0.4%" in segue("history").output
    assert json.loads(segue("status", "--json").output)["rollout"]["share"] == 0.004


def test_a_promotion_by_a_person(segue, home):
    segue("start")
    assert "promote, by " in segue("promote", "--reason", "Legal asks for it.").output
    assert model_store.labels(home.models) == {"ranking": {"stable": 2, "canary": 2}}


def test_the_labels_move_in_a_server_first(segue, monkeypatch):
    from serving.store import relabel

    calls = []
    monkeypatch.setattr(relabel, "move_labels", lambda *arguments: calls.append(arguments[0]))
    segue("start", "--server", "127.0.0.1:9")
    assert calls == []  # the canary had its label already
    segue("promote", "--reason", "x", "--server", "127.0.0.1:9")
    assert calls == ["127.0.0.1:9"]


@pytest.mark.parametrize("command", ["hold", "resume", "promote", "abort"])
def test_a_person_says_why(segue, command):
    assert "Missing option '--reason'" in segue(command).output
    with pytest.raises(InputError, match="A decision says why"):
        segue(command, "--reason", " ")
    with pytest.raises(InputError, match="There was none yet"):
        segue(command, "--reason", "x")
