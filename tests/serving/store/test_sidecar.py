"""The sidecar process follows the model store in the object store, whatever dies meanwhile."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from segue import files
from serving.store import model_store, versions
from serving.store.sync import Mirror
from tests.serving.store.conftest import config, texts
from tests.support.soon import SECONDS

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
    assert process.wait(SECONDS) == 0
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
        assert process.wait(SECONDS) == 0
        assert time.monotonic() - start < 3  # the poll has at least 4 s to go
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
    assert sidecar("--server", "127.0.0.1:http").wait(SECONDS) == 2
    assert "A server is HOST:PORT. Received '127.0.0.1:http'." in log()


def test_the_image_of_the_sidecar_needs_few_packages():
    """If this fails, the image that holds boto3 and a few small packages does not start, or has grown."""
    code = (
        "import sys, serving.store.sync; print({'tensorflow', 'numpy', 'grpc', 'pandas', 'boto3'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
