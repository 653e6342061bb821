"""The images build here, and the training pipeline runs in one: as user 10001, read-only, without capabilities."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.k8s.manifests import ROOT

IMAGE = ROOT / "k8s/image"
FOLDER = os.environ.get("SEGUE_ENGINE", "")
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


def test_the_nano_world_is_trained_on_and_monitored_in_it(built, tmp_path):
    environment = {**os.environ, "DOCKER_HOST": f"unix://{Path(FOLDER).resolve()}/docker.sock"}
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, IMAGE / "nano.py", tmp_path / "home"], env=environment)
    assert done.returncode == 0
    runs = tmp_path / "home/runs"
    status = {path.parent.name: json.loads(path.read_text())["status"] for path in runs.glob("*/report.json")}
    assert status["training-here"] == "pushed"
    assert status["monitoring-here"] != "failed"
    assert (tmp_path / "home/models/models.config").stat().st_uid == 10001
