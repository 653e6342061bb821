"""`segue settings` and `segue doctor` print what is in force and what works, and no secret."""

import json

import pytest
from click.testing import CliRunner

from cli import cli
from segue.errors import EXIT_RETRY


@pytest.fixture
def segue(tmp_path, monkeypatch):
    """Run a command in an empty folder without settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("SEGUE_PROFILE", "SEGUE_SETTINGS", "SEGUE_TRACKING", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_settings_are_printed_with_their_origins(segue, tmp_path, monkeypatch):
    """If this fails, nobody can tell why a setting has its value, or a password is printed."""
    (tmp_path / "segue.yaml").write_text("objects_region: eu-west-1\n")
    monkeypatch.setenv("SEGUE_TRACKING", "http://segue:hunter2@mlflow:5000")
    monkeypatch.setenv("SEGUE_REGISTRY_PASSWORD", "hunter3")
    printed = segue("settings").stdout
    assert f"objects_region: eu-west-1  ({tmp_path / 'segue.yaml'})" in printed
    assert "tracking: http://segue:***@mlflow:5000  (SEGUE_TRACKING)" in printed
    assert "registry_password: ***  (SEGUE_REGISTRY_PASSWORD)" in printed
    assert "profile: embedded  (default)" in printed
    as_json = segue("settings", "--json").stdout
    assert json.loads(as_json)["objects_region"] == ["eu-west-1", str(tmp_path / "segue.yaml")]
    assert "hunter" not in printed + as_json


def test_the_doctors_exit_code_says_what_to_do(segue, monkeypatch):
    """If this fails, a script takes a broken part for a working one."""
    assert (well := segue("doctor")).exit_code == 0
    assert well.stdout.startswith("ok  home")
    monkeypatch.setenv("SEGUE_TRACKING", "http://127.0.0.1:9")
    failed = segue("doctor")
    assert failed.exit_code == EXIT_RETRY
    assert "fault  tracking  http://127.0.0.1:9: MLflow" in failed.stdout
    parts = json.loads(segue("doctor", "--json").stdout)
    assert [(part["part"], part["exit_code"]) for part in parts] == [("home", 0), ("tracking", EXIT_RETRY)]
