"""`segue models` and what `segue serve` refuses."""

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from segue.errors import InputError
from serving import store


@pytest.fixture
def run(home, monkeypatch):
    """Call a `segue` command on an empty home."""
    from segue.cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    return lambda *args: CliRunner().invoke(cli, args, catch_exceptions=False)


@pytest.fixture
def two_versions(home, tmp_path):
    """Versions 1 and 2 of `a`; 1 is corrupt."""
    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")
    for _ in range(2):
        store.push(home.models, {"a": source})
    (home.models / "a" / "1" / "saved_model.pb").write_bytes(b"other")


def test_list_shows_versions_labels_and_faults(run, two_versions):
    entries = json.loads(run("models", "list", "--json").output)["models"]["a"]

    assert [(entry["version"], entry["labels"], entry["whole"]) for entry in entries] == [
        (1, [], False),
        (2, ["stable"], True),
    ]
    assert entries[0]["faults"] == ["saved_model.pb has changed"]
    table = run("models", "list").output
    assert "corrupt" in table
    assert "stable" in table


def test_list_of_an_empty_store(run):
    assert json.loads(run("models", "list", "--json").output)["models"] == {}


def test_promote_and_rollback(run, home, two_versions, tmp_path):
    store.push(home.models, {"a": tmp_path / "exported"})

    assert run("models", "promote", "2", "--label", "canary").output == "canary is version 2 of a\n"
    assert json.loads(run("models", "rollback", "--json").output) == {"label": "stable", "version": 2}
    with pytest.raises(InputError, match="no older whole version"):
        run("models", "rollback")


def test_serve_without_a_model_says_how_to_get_one(run):
    with pytest.raises(InputError, match="does not exist") as caught:
        run("serve")
    assert "segue run training" in caught.value.fix


def test_serve_takes_the_models_from_one_place(run, tmp_path):
    with pytest.raises(InputError, match="Received both"):
        run("serve", "--model_config_file", str(tmp_path / "c"), "--model_base_path", str(tmp_path))


def test_serve_rejects_a_bad_monitoring_config(run, tmp_path):
    bad = tmp_path / "monitoring.config"
    bad.write_text("prometheus {")

    with pytest.raises(InputError, match="MonitoringConfig"):
        run("serve", "--model_base_path", str(tmp_path), "--monitoring_config_file", str(bad))


def test_help_answers_without_tensorflow():
    code = (
        "import sys; from segue.cli import cli; cli(['serve', '--help'], standalone_mode=False); "
        "sys.exit('tensorflow' in sys.modules or 'grpc' in sys.modules)"
    )
    began = time.monotonic()

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert "--model_config_file_poll_wait_seconds" in result.stdout
    assert time.monotonic() - began < 5  # half a second when the machine is idle
