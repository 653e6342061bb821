"""`segue models`: commands list versions, and move labels in the file and in a running server."""

import json
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from segue.errors import InputError, SegueError
from serving.client import example_request
from serving.store import model_store, relabel
from serving.store.versions import CHECKSUMS, versions


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
    assert model_store.labels(root) == {"a": {"stable": 3, "canary": 3}, "b": {"stable": 3, "canary": 3}}

    assert run("models", "promote", "1", "--label", "best").output == "best is version 1 of a, b\n"


def test_rollback_takes_the_candidate_back_then_moves_stable(run, root):
    assert run("models", "rollback").output == "canary is version 2 of a, b\n"
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

    assert [call[:3] for call in calls] == [("127.0.0.1:9", before, (root / model_store.CONFIG).read_text())]


def test_a_server_that_refuses_leaves_the_file_but_for_the_way_back(run, root, monkeypatch):
    def refuse(address, before, after, current):
        raise SegueError(f"The model server at {address} failed (INTERNAL): no", "See its log.")

    monkeypatch.setattr(relabel, "move_labels", refuse)

    with pytest.raises(SegueError, match=r"INTERNAL\): no"):
        run("models", "promote", "--server", "127.0.0.1:9")
    assert model_store.labels(root)["a"] == {"stable": 2, "canary": 3}

    with pytest.raises(SegueError, match=r"INTERNAL\): no"):
        run("models", "rollback", "--server", "127.0.0.1:9")
    assert model_store.labels(root)["a"] == {"stable": 2, "canary": 2}
    shown = json.loads(run("models", "show", "a", "--json").output)
    assert [each["action"] for each in shown["decisions"]] == ["rollback"]  # it has moved, and is on record


def test_drop_removes_a_label_and_no_version(run, root):
    run("models", "promote", "1", "--label", "best")
    assert run("models", "drop", "best").output == "best of a, b is dropped\n"
    run("models", "promote", "1", "--label", "best")
    assert run("models", "drop", "best", "--json").output.count("null") == 2
    assert model_store.labels(root) == {"a": {"stable": 2, "canary": 3}, "b": {"stable": 2, "canary": 3}}
    assert versions(root, "a") == [1, 2, 3]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("stable", "it can move but not be dropped"),
        ("canary", "it can move but not be dropped"),
        ("canry", "Did you mean canary?"),
        ("best", "Known are: canary, stable."),
        ("", "There is no label ''"),
    ],
)
def test_a_label_that_cannot_be_dropped_stays(run, root, label, message):
    before = (root / model_store.CONFIG).read_text()
    with pytest.raises(InputError, match=re.escape(message)):
        run("models", "drop", label)
    assert (root / model_store.CONFIG).read_text() == before


def test_drop_moves_a_running_server_first(run, root, monkeypatch):
    calls = []
    monkeypatch.setattr(relabel, "move_labels", lambda *arguments: calls.append(arguments))
    run("models", "promote", "1", "--label", "best")
    before = (root / model_store.CONFIG).read_text()
    run("models", "drop", "best", "--server", "127.0.0.1:9")
    assert [call[:3] for call in calls] == [("127.0.0.1:9", before, (root / model_store.CONFIG).read_text())]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c",), "There is no model 'c'."),
        (("a", "--label", "stabel"), "There is no label of a 'stabel'. Did you mean stable?"),
        (("a",), "cannot be read"),  # the store of this test has no real SavedModel
    ],
)
def test_an_example_of_what_is_not_there_is_refused(run, root, arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run("models", "example", *arguments)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is absent")
def test_an_example_runs_as_it_is_printed(run, home, saved_models):
    """Copied into a shell: curl's line as it is but for the port; grpcurl's is sent as grpcurl would send it."""
    import grpc
    from google.protobuf import json_format
    from tensorflow_serving.apis import predict_pb2

    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    model_store.push(home.models, {"scale": saved_models["one"], "half": saved_models["tf1"]})
    model_store.promote(home.models, 1, "it's best")
    config = ServerConfig(home.models / model_store.CONFIG, rest_port=0)
    with ModelServer(config) as server, grpc.insecure_channel(server.address) as channel:
        for model, *options in [
            ("scale",), ("half",), ("scale", "--signature", "repeat"), ("scale", "--label", "it's best"),
            *(("scale", "--signature", f"identity_{dtype}") for dtype in ("int64", "string", "bool", "float64")),
        ]:  # fmt: skip
            curl, grpcurl = run("models", "example", model, *options).output.splitlines()
            line = f"{curl.replace(example_request.REST, server.rest_address)} --silent --noproxy '*'"
            answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
            assert "outputs" in json.loads(answer), answer
            words = shlex.split(grpcurl)
            request = json_format.Parse(words[words.index("-d") + 1], predict_pb2.PredictRequest())
            method = channel.unary_unary(f"/{words[-1]}", predict_pb2.PredictRequest.SerializeToString)
            assert method(request)


def test_show_has_the_lineage_of_versions_and_who_moved_labels_why(run, root):
    assert run("models", "promote", "--reason", "fewer skips").exit_code == 0
    assert run("models", "rollback").exit_code == 0
    shown = run("models", "show", "a").output
    assert "version 3" in shown
    assert re.search(r"rollback, stable is a 2, b 2", shown)
    assert re.search(r"promote, stable is a 3, b 3\. fewer skips", shown)
    detail = json.loads(run("models", "show", "a", "--json").output)
    assert [one["why"] for one in detail["decisions"]] == ["", "fewer skips"]


def test_show_of_another_model_names_the_models(run, root):
    with pytest.raises(InputError, match="There is no model 'c'"):
        run("models", "show", "c")
