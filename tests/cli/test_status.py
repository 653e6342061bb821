"""`segue status` on a home that a loop has left, and on an empty one."""

import json

import pytest
from click.testing import CliRunner

from cli.status import status
from tests.support.loops import STOPPED, looped


@pytest.fixture
def call(home, monkeypatch):
    """Call `segue status` on the home."""
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    return lambda *arguments: CliRunner().invoke(status, arguments, catch_exceptions=False).output


def test_an_empty_home_has_nothing_yet(call):
    assert call().count("nothing yet") == 4
    assert json.loads(call("--json"))["runs"] == []


def test_json_has_what_the_operators_page_shows(call, home):
    looped(home)
    state = json.loads(call("--json"))
    assert [run["run"] for run in state["runs"]][1] == STOPPED
    assert [gate["passed"] for gate in state["gates"]] == [True, False, None]
    assert state["drift_history"][0]["drifted"] is True
    table = call()
    assert "89,700 events" in table
    assert "canary 3" in table
