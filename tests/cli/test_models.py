"""`segue models`: commands list versions, and move labels in the file and in a running server."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from segue.errors import SegueError
from serving.store import model_store, relabel
from serving.store.versions import CHECKSUMS


@pytest.fixture
def run(home, monkeypatch):
    """A function that calls a `segue` command on an empty home."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    monkeypatch.delenv("SEGUE_MODEL_SERVER", raising=False)
    return lambda *args, **env: CliRunner().invoke(cli, args, catch_exceptions=False, env=env)


@pytest.fixture
def root(home, tmp_path):
    """A store with `a` and `b`: 2 is stable, 3 is the canary."""
    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")
    for label in ("stable", "stable", "canary"):
        model_store.push(home.models, {"a": source, "b": source}, label=label)
    return home.models


def test_list_shows_the_canary_and_when_each_version_was_pushed(run, root):
    (root / "b" / "2" / CHECKSUMS).unlink()

    listing = json.loads(run("models", "list", "--json").output)["models"]

    assert [entry["labels"] for entry in listing["a"]] == [[], ["stable"], ["canary"]]
    pushed = datetime.fromisoformat(listing["a"][0]["pushed"])
    assert 0 <= (datetime.now(UTC) - pushed).total_seconds() < 60
    assert (listing["b"][1]["pushed"], listing["b"][1]["whole"]) == (None, False)
    table = run("models", "list").output
    assert f"{pushed:%Y-%m-%d}" in table
    assert "canary" in table


def test_promote_without_a_version_takes_the_canary(run, root):
    assert run("models", "promote").output == "stable is version 3 of a, b\n"
    assert model_store.labels(root) == {"a": {"stable": 3}, "b": {"stable": 3}}

    assert run("models", "promote", "1", "--label", "best").output == "best is version 1 of a, b\n"


def test_rollback_drops_the_canary_then_moves_stable(run, root):
    assert run("models", "rollback").output == "canary of a, b is dropped\n"
    assert json.loads(run("models", "rollback", "--json").output) == {"label": "stable", "models": {"a": 1, "b": 1}}
    with pytest.raises(SegueError, match="no older whole version"):
        run("models", "rollback")


@pytest.mark.parametrize("address_source", ["option", "environment"])
def test_labels_move_in_a_server_first(run, root, monkeypatch, address_source):
    calls = []
    monkeypatch.setattr(relabel, "move_labels", lambda *arguments: calls.append(arguments))
    before = (root / model_store.CONFIG).read_text()

    if address_source == "option":
        run("models", "promote", "--server", "127.0.0.1:9")
    else:
        run("models", "promote", SEGUE_MODEL_SERVER="127.0.0.1:9")

    assert calls == [("127.0.0.1:9", before, (root / model_store.CONFIG).read_text())]


def test_a_server_that_refuses_leaves_the_file(run, root, monkeypatch):
    def refuse(address, before, after):
        raise SegueError(f"The model server at {address} failed (INTERNAL): no", "See its log.")

    monkeypatch.setattr(relabel, "move_labels", refuse)

    with pytest.raises(SegueError, match=r"INTERNAL\): no"):
        run("models", "rollback", "--server", "127.0.0.1:9")

    assert model_store.labels(root)["a"] == {"stable": 2, "canary": 3}
