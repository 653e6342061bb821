"""Fixtures: the manifests with made-up secrets, and what they render to."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.k8s.manifests import OVERLAYS, ROOT, Documents, render


@pytest.fixture(scope="session")
def k8s(tmp_path_factory) -> Path:
    """A copy of `k8s/` with the files that no repository holds: settings, secrets, and digests for `prod`."""
    folder = tmp_path_factory.mktemp("manifests") / "k8s"
    shutil.copytree(ROOT / "k8s", folder, ignore=shutil.ignore_patterns("*.env", "pinned"))
    for overlay in ("kind", "prod"):
        subprocess.run([folder / "overlays/settings", overlay], check=True, capture_output=True)
    for file in (folder / "overlays/prod").glob("*.env"):
        values = (line.split("=", 1) for line in file.read_text().splitlines())
        file.write_text("".join(f"{name}={value or 'filled-in-by-a-person'}\n" for name, value in values))
    digest = hashlib.sha256(b"an image").hexdigest()
    images = ("segue", "segue-gateway", "segue-sync", "tensorflow/serving")
    pins = [f"{image}=registry.example:5000/{image}:1@sha256:{digest}" for image in images]
    subprocess.run([folder / "overlays/prod/pin", *pins], check=True)
    return folder


@pytest.fixture(scope="session")
def tool(tmp_path_factory) -> Callable[[str, str], str]:
    """`tool(package, command)`: the path of a command, whose package uv installs into an environment of its own.

    The packages' pins conflict with those of the project. The test is skipped where the package index does not answer.
    """

    def installed(package: str, command: str) -> str:
        environment = tmp_path_factory.mktemp("tool")
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", environment / "bin/python", package]
        done = subprocess.run(install, capture_output=True, text=True, timeout=600)
        if done.returncode != 0 and re.search(r"(?i)failed to fetch|connect|dns|timed out|network", done.stderr):
            pytest.skip(f"{package} cannot be installed, because the package index does not answer")
        assert done.returncode == 0, done.stderr
        return str(environment / "bin" / command)

    return installed


@pytest.fixture(scope="session")
def rendered(k8s) -> dict[str, Documents]:
    """The documents of each overlay."""
    return {overlay: render(k8s / "overlays" / overlay) for overlay in OVERLAYS}
