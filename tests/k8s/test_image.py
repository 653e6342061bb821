"""The images build here, and pipelines and gateway run in them: as user 10001, read-only, without capabilities."""

import json
import os
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.k8s.manifests import ROOT

IMAGE = ROOT / "k8s/image"
FOLDER = os.environ.get("SEGUE_ENGINE", "")
ADDRESS = f"unix://{Path(FOLDER).resolve()}/docker.sock"
NO_ENGINE = 75
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="takes 20 minutes: set SEGUE_ENGINE to a folder on a Debian machine"),
]


@pytest.fixture(scope="module")
def built() -> str:
    """What the build printed: the images with their layers. The engine runs until the tests end."""
    done = subprocess.run([IMAGE / "build-here", FOLDER], stdout=subprocess.PIPE, text=True)
    if done.returncode == NO_ENGINE:
        pytest.skip("no container engine can be had here")
    assert done.returncode == 0
    yield done.stdout
    subprocess.run([IMAGE / "engine", "stop", FOLDER], check=True)


def megabytes(text: str) -> float:
    """A size such as `3.1GB` in megabytes."""
    number, unit = re.fullmatch(r"([\d.]+)([kMG]?B)", text).groups()
    return float(number) * {"B": 1e-6, "kB": 1e-3, "MB": 1, "GB": 1e3}[unit]


def test_the_readme_has_the_sizes_that_were_measured(built):
    page = (ROOT / "k8s/README.md").read_text(encoding="utf-8")
    for image, size in re.findall(r"^(segue\S*):here (\S+)$", built, re.MULTILINE):
        (written,) = re.findall(rf"^\| `{image}` \| ([\d.]+[MG]B) \|", page, re.MULTILINE)
        assert megabytes(size) == pytest.approx(megabytes(written), rel=0.05)


@pytest.fixture(scope="module")
def home(built, tmp_path_factory) -> Path:
    """A home in which the pipelines of training and monitoring ran on the nano world, each step in a container."""
    environment = {**os.environ, "DOCKER_HOST": ADDRESS}
    root = tmp_path_factory.mktemp("nano")
    for folder in (root, *root.parents[:2]):
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o055)  # the containers' user must reach the home
    done = subprocess.run([sys.executable, IMAGE / "nano.py", root / "home"], env=environment)
    assert done.returncode == 0
    return root / "home"


def test_the_nano_world_is_trained_on_and_monitored_in_it(home):
    status = {path.parent.name: json.loads(path.read_text())["status"] for path in home.glob("runs/*/report.json")}
    assert status["training-here"] == "pushed"
    assert status["monitoring-here"] != "failed"
    assert (home / "models/models.config").stat().st_uid == 10001


ASK = """
import json, time, urllib.request
request = urllib.request.Request("http://127.0.0.1:8700/v1/home", b'{"user_id": "u00002"}')
request.add_header("content-type", "application/json")
for _ in range(120):
    try:
        page = json.load(urllib.request.urlopen(request))
        if "features" not in page["degraded"]:  # the first read of a cold process may pass its deadline
            break
    except OSError:  # it does not listen yet
        pass
    time.sleep(1)
print(json.dumps(page))
"""


def test_the_gateway_answers_in_its_image(home):
    """There is no model server in its network, so the page has popular items; the features are read."""
    import docker

    strict = runpy.run_path(str(IMAGE / "nano.py"))["strict"]
    engine = docker.DockerClient(ADDRESS)
    gateway = engine.containers.run("segue-gateway:here", detach=True, **strict(home))
    try:
        page = json.loads(gateway.exec_run(["python", "-c", ASK], stderr=False).output)
        assert page["degraded"] == ["retrieval"], gateway.logs().decode()
        assert page["shelves"][0]["items"]
        assert gateway.exec_run(["python", "-c", "import tensorflow; tensorflow.constant(1)"]).exit_code == 1
    finally:
        gateway.remove(force=True)
