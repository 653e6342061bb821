"""The sidecar keeps a server's folder equal to the model store in the object store, whatever dies meanwhile."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from segue import files
from segue.errors import UnavailableError
from serving.protocol import config_files
from serving.store import model_store, versions
from serving.store.sync import GRACE, Mirror
from serving.store.unloaded import unloaded
from stores import servers, trees
from stores.s3 import Bucket, Missing

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def pushed(bucket, tmp_path):
    """A function that pushes models with a text to a local store and publishes it; returns the store."""
    root = tmp_path / "pusher" / "models"

    def push(text: str, models=("ranking", "retrieval"), **options):
        saved = tmp_path / "saved"
        saved.mkdir(exist_ok=True)
        (saved / "saved_model.pb").write_text(text)
        model_store.push(root, dict.fromkeys(models, saved), **options)
        trees.publish(bucket, "", root, trees.current(bucket, "").number)
        return root

    return push


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "server" / "models"


def texts(folder) -> dict[str, str]:
    """`<model>/<version>` -> the text of its model."""
    found = sorted(folder.glob("*/*/saved_model.pb"))
    return {path.parent.relative_to(folder).as_posix(): path.read_text() for path in found}


def config(folder) -> str:
    return (folder / "models.config").read_text()


def test_a_folder_follows_pushes(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    assert mirror.sync(NOW) == 0
    assert [path.name for path in folder.iterdir()] == []
    root = pushed("one")
    assert mirror.sync(NOW) == 1
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    assert {path.name for path in folder.iterdir()} == {".synced", "models.config", "ranking", "retrieval"}
    pushed("two", ["ranking"], label="canary")
    assert mirror.sync(NOW) == 2
    assert texts(folder) == {"ranking/1": "one", "ranking/2": "two", "retrieval/1": "one"}
    assert model_store.labels(folder) == {"ranking": {"stable": 1, "canary": 2}, "retrieval": {"stable": 1}}
    assert versions.pushed_at(folder, "ranking", 2) == versions.pushed_at(root, "ranking", 2)
    assert versions.faults(folder, "ranking", 2) == []
    assert json.loads((folder / ".synced").read_text()) == {"revision": 2, "time": NOW.isoformat()}


def test_base_paths_are_those_of_the_folder(bucket, pushed, folder):
    root = pushed("one")
    Mirror(bucket, folder).sync(NOW)
    assert str(root) not in config(folder)
    entries = config_files.parse_config(config(folder), "models.config")
    assert {entry.name: entry.base_path for entry in entries} == {
        name: folder / name for name in ("ranking", "retrieval")
    }


def test_old_versions_go_after_the_grace_period(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    for text in ("one", "two"):
        pushed(text, keep=1)
        mirror.sync(NOW)
    pushed("three", keep=1)
    mirror.sync(NOW)
    assert texts(folder).keys() >= {"ranking/1", "ranking/2", "ranking/3"}
    mirror.sync(NOW + GRACE - timedelta(seconds=1))
    assert "ranking/1" in texts(folder)
    mirror.sync(NOW + GRACE)
    assert texts(folder).keys() == {f"{model}/{v}" for model in ("ranking", "retrieval") for v in (2, 3)}


def test_a_version_that_returns_within_the_grace_period_stays(bucket, pushed, folder, tmp_path):
    root = pushed("one")
    mirror = Mirror(bucket, folder)
    mirror.sync(NOW)
    shutil.move(root / "ranking" / "1", tmp_path / "aside")
    assert trees.publish(bucket, "", root, 1) == 2
    mirror.sync(NOW)
    shutil.move(tmp_path / "aside", root / "ranking" / "1")
    assert trees.publish(bucket, "", root, 2) == 3
    mirror.sync(NOW + GRACE)
    mirror.sync(NOW + 2 * GRACE)
    assert "ranking/1" in texts(folder)


class Counting(Bucket):
    """A bucket that notes the files that are fetched."""

    def get_file(self, key, path):
        self.__dict__.setdefault("fetched", []).append(path.name)
        return super().get_file(key, path)


def test_nothing_is_fetched_twice(bucket, pushed, folder):
    bucket = Counting(bucket.name, bucket.prefix, bucket.endpoint)
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    bucket.fetched.clear()
    again = Mirror(bucket, folder)  # the sidecar after the init container
    again.sync(NOW)
    assert bucket.fetched == ["models.config"]
    again.sync(NOW)
    assert bucket.fetched == ["models.config"]


def test_a_version_with_other_files_is_replaced(bucket, pushed, folder):
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    (folder / "ranking" / "1" / "saved_model.pb").write_text("other")
    (folder / "retrieval" / "1" / "more").touch()
    Mirror(bucket, folder).sync(NOW)
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    assert not (folder / "retrieval" / "1" / "more").exists()


def test_the_configuration_waits_for_the_versions(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    pushed("one")
    mirror.sync(NOW)
    before = config(folder)
    pushed("two")
    lost = trees.current(bucket, "").files["retrieval/2/saved_model.pb"].sha256
    bucket.delete([f"blobs/{lost}"])
    with pytest.raises(Missing):
        mirror.sync(NOW)
    assert config(folder) == before
    assert not (folder / "retrieval" / "2").exists()
    bucket.put(f"blobs/{lost}", b"two")
    assert mirror.sync(NOW) == 2
    assert texts(folder)["retrieval/2"] == "two"


def test_a_blob_with_other_bytes_is_never_installed(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    pushed("one")
    mirror.sync(NOW)
    before = config(folder)
    pushed("two")
    blob = f"blobs/{trees.current(bucket, '').files['ranking/2/saved_model.pb'].sha256}"
    bucket.put(blob, b"owt")  # of the same size
    with pytest.raises(UnavailableError, match="other bytes than were published"):
        mirror.sync(NOW)
    assert config(folder) == before
    assert texts(folder).keys() & {"ranking/2"} == set()
    bucket.put(blob, b"two")
    assert mirror.sync(NOW) == 2
    assert versions.faults(folder, "ranking", 2) == []


def test_labels_stay_while_no_server_says_that_it_has_loaded_the_versions(bucket, pushed, folder):
    nobody = f"{servers.HOST}:{servers.free_ports(1)[0]}"
    pushed("one")
    assert Mirror(bucket, folder).sync(NOW) == 1
    mirror = Mirror(bucket, folder, nobody)  # the sidecar after the init container
    mirror.sync(NOW)
    assert mirror.waiting == ""
    pushed("two")
    mirror.sync(NOW)
    assert mirror.waiting == "ranking 2 has just come; retrieval 2 has just come"
    mirror.sync(NOW)
    assert mirror.waiting.startswith(f"{nobody} does not answer for ranking 2: ")
    entries = config_files.parse_config(config(folder))
    assert {entry.name: (dict(entry.labels), entry.specific) for entry in entries} == {
        name: ({"stable": 1}, (1, 2)) for name in ("ranking", "retrieval")
    }
    assert json.loads((folder / ".synced").read_text())["revision"] == 1


def test_a_version_that_the_file_has_dropped_is_named_again_before_a_label_moves(bucket, pushed, folder):
    """If this fails, the server may unload the version just when a label moves to it, and refuse the file for ever."""
    root = pushed("one")
    mirror = Mirror(bucket, folder)
    for text in ("two", "three"):
        pushed(text)
        mirror.sync(NOW)
    model_store.promote(root, 1)
    trees.publish(bucket, "", root, 3)
    mirror.server = f"{servers.HOST}:{servers.free_ports(1)[0]}"  # it is not asked
    mirror.sync(NOW)
    assert mirror.waiting == "ranking 1 has just come; retrieval 1 has just come"
    (ranking, _) = config_files.parse_config(config(folder))
    assert (ranking.specific, ranking.labels) == ((1, 2, 3), {"stable": 3})


def test_versions_that_still_have_labels_here_stay_when_the_store_has_dropped_them(bucket, pushed, folder):
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    mirror = Mirror(bucket, folder, f"{servers.HOST}:{servers.free_ports(1)[0]}")
    for text in ("two", "three"):
        pushed(text, keep=1)
    assert "ranking/1/saved_model.pb" not in trees.current(bucket, "").files
    mirror.sync(NOW)
    mirror.sync(NOW + 2 * GRACE)
    assert model_store.labels(folder)["ranking"] == {"stable": 1}
    assert texts(folder)["ranking/1"] == "one"


def test_leftovers_of_a_killed_sidecar_are_removed(bucket, folder):
    (folder / "ranking" / ".tmp-2-0123abcd").mkdir(parents=True)
    (folder / ".tmp-models.config").mkdir()
    Mirror(bucket, folder)
    assert [path.name for path in folder.rglob("*")] == ["ranking"]


@pytest.fixture
def sidecar(bucket, folder, tmp_path):
    """A function that starts the sidecar as a process; its output goes to `sidecar.log`."""
    variables = {
        "SEGUE_PROFILE": "cluster",
        "SEGUE_ONLINE_STORE": "redis://127.0.0.1:1/0",
        "SEGUE_REGISTRY": "postgresql://segue@127.0.0.1:1/feast",
        "SEGUE_TRACKING": "http://127.0.0.1:1",
        "SEGUE_OBJECTS": "s3://segue/unused",
        "SEGUE_MODELS": bucket.url,
        "SEGUE_OBJECTS_ENDPOINT": bucket.endpoint,
    }
    processes = []

    def start(*options: str, **changes: str) -> subprocess.Popen:
        with (tmp_path / "sidecar.log").open("wb") as log:
            command = [sys.executable, "-m", "serving.store.sync", "--folder", str(folder), *options]
            environ = {**os.environ, **variables, **changes}
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environ))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def log(tmp_path):
    return lambda: (tmp_path / "sidecar.log").read_text()


def test_the_init_container_waits_for_the_first_push(sidecar, pushed, folder, log, eventually):
    process = sidecar("--once")
    eventually(lambda: "waiting for a push to s3://segue/" in log())
    assert process.poll() is None
    pushed("one")
    assert process.wait(20) == 0
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}


def test_a_dead_object_store_is_a_line_of_log(objects, sidecar, pushed, folder, log, eventually):
    pushed("one")
    process = sidecar()
    eventually(lambda: "has revision 1" in log())
    objects.kill()
    try:
        eventually(lambda: "error: The object store" in log())
        time.sleep(6)
        assert log().count("error:") == 1
        assert process.poll() is None
        assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    finally:
        objects.start()
    pushed("two")
    eventually(lambda: "labels move to revision 2 when the server has loaded it" in log())
    assert texts(folder)["ranking/2"] == "two"
    assert log().count("error:") == 1


def test_a_full_disk_leaves_the_versions_that_are_there(sidecar, pushed, folder, log, eventually):
    """The limit of a file's size stands for the disk: a process of any user meets it alike."""
    pushed("one")
    process = sidecar()
    eventually(lambda: "has revision 1" in log())
    before = config(folder)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    pushed("two" * 100_000)
    eventually(lambda: "error: File too large" in log())
    assert config(folder) == before
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    assert not list(folder.rglob(f"{files.TEMPORARY}*"))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: (folder / "ranking" / "2" / "saved_model.pb").is_file())
    assert log().count("error:") == 1


def test_wrong_credentials_are_tried_again_as_they_may_be_renewed(sidecar, log, eventually):
    process = sidecar(AWS_SECRET_ACCESS_KEY="not the secret")
    eventually(lambda: "refuses the credentials" in log())
    assert "not the secret" not in log()
    assert process.poll() is None


def test_sigterm_ends_the_sidecar_at_once(objects, sidecar, pushed, log, eventually):
    pushed("one")
    process = sidecar()
    eventually(lambda: "has revision 1" in log())
    os.kill(objects.pid, signal.SIGSTOP)
    try:
        time.sleep(6)  # a poll waits for the answer now
        start = time.monotonic()
        process.terminate()
        assert process.wait(5) == 0
        assert time.monotonic() - start < 1
    finally:
        os.kill(objects.pid, signal.SIGCONT)


def test_a_killed_sidecar_starts_again_with_whole_versions(bucket, sidecar, pushed, folder, log, eventually):
    """Kill the sidecar at twelve moments of a first sync; each time what has a version's name is whole."""
    for number in range(3):
        pushed(f"text {number}" * 100_000)
    for step in range(12):
        process = sidecar()
        time.sleep(1.2 + step * 0.05)
        process.kill()
        process.wait()
        for model in versions.models(folder):
            for version in versions.versions(folder, model):
                assert versions.faults(folder, model, version) == []
        if (folder / "models.config").exists():
            assert model_store.labels(folder) == {"ranking": {"stable": 3}, "retrieval": {"stable": 3}}
        if step % 3 == 2:
            shutil.rmtree(folder)
    assert Mirror(bucket, folder).sync(NOW) == 3


def test_the_embedded_profile_has_nothing_to_follow(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SEGUE_")}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "serving.store.sync", "--folder", str(folder)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "The profile is embedded." in done.stderr
    assert not folder.exists()


def test_a_server_is_host_and_port(sidecar, log):
    assert sidecar("--server", "127.0.0.1:http").wait(20) == 2
    assert "A server is HOST:PORT. Received '127.0.0.1:http'." in log()


def test_the_image_of_the_sidecar_needs_few_packages():
    """If this fails, the image that holds boto3 and a few small packages does not start, or has grown."""
    code = (
        "import sys, serving.store.sync; print({'tensorflow', 'numpy', 'grpc', 'pandas', 'boto3'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_labels_move_while_the_object_store_is_away(bucket, objects, saved_models, folder, tmp_path, eventually):
    """If this fails, replicas differ as long as the object store is away. The server obeys TF Serving's own rule."""
    from serving.run_server import ModelServer
    from serving.server.label_rules import LABELS_UNUSED
    from serving.server_config import ServerConfig

    root = tmp_path / "pusher" / "models"
    for base, scale in enumerate(("one", "two")):
        model_store.push(root, {"scale": saved_models[scale]})
        trees.publish(bucket, "", root, base)
        if not base:
            Mirror(bucket, folder).sync(NOW)
    settings = ServerConfig(
        folder / "models.config", rest_port=0, labels=LABELS_UNUSED, model_config_file_poll_wait_seconds=0.1
    )
    with ModelServer(settings) as server:
        mirror = Mirror(bucket, folder, server.rest_address)
        assert mirror.sync(NOW) == 2
        assert mirror.waiting == "scale 2 has just come"
        objects.kill()
        try:
            eventually(lambda: unloaded(server.rest_address, [("scale", 2)]) == [])
            assert model_store.labels(folder) == {"scale": {"stable": 1}}
            with pytest.raises(UnavailableError):
                mirror.sync(NOW)
            assert model_store.labels(folder) == {"scale": {"stable": 2}}
        finally:
            objects.start()
