"""The Dockerfile builds what the manifests run: user, packages, bytecode, bases by argument."""

import re
import tomllib

import pytest

from tests.k8s.manifests import ROOT

K8S = ROOT / "k8s"


@pytest.fixture
def lines() -> list[str]:
    """The instructions without comments, each on one line."""
    text = (K8S / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in text.splitlines() if line]


def stages(lines: list[str]) -> dict[str, list[str]]:
    """The instructions of each stage."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            found[match[2]] = current = [line]
        elif found:
            current.append(line)
    return found


def test_every_base_is_the_argument_or_a_stage_before_it(lines):
    assert lines[0] == "ARG PYTHON=python:3.11-slim-bookworm"
    before = {"${PYTHON}"}
    for name, (first, *_) in stages(lines).items():
        assert first.split()[1] in before
        before.add(name)


@pytest.mark.parametrize("target", ["pipeline", "gateway", "sync"])
def test_a_target_has_no_compiler_and_runs_as_the_user_of_the_manifests(lines, target):
    final = stages(lines)
    assert final[target][0] == f"FROM runtime AS {target}"
    assert "USER 10001:10001" in final["runtime"]
    for line in (*final["runtime"], *final[target]):
        assert line.split()[0] in {"FROM", "ENV", "WORKDIR", "USER", "COPY", "CMD", "ENTRYPOINT"}
        assert "PYTHONDONTWRITEBYTECODE" not in line


@pytest.mark.parametrize("target", ["pipeline", "gateway", "sync"])
def test_packages_come_before_the_code_so_that_a_change_of_code_keeps_their_layer(lines, target):
    copies = [line for line in stages(lines)[target] if line.startswith("COPY")]
    assert [line.split()[-1] for line in copies] == ["/opt/venv", "/opt/segue"]


def test_downloads_are_kept_in_a_cache_mount(lines):
    for line in lines:
        if "./install" in line and line.startswith("RUN"):
            assert "--mount=type=cache" in line


def test_every_room_is_copied_installed_and_in_the_build_context(lines):
    copied = {line.split()[1] for line in stages(lines)["pipeline-project"] if line.startswith("COPY")}
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert rooms <= copied
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert rooms == {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    ignore = (K8S / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    files = {"pyproject.toml", "requirements.lock", "README.md", "LICENSE", "k8s/image"}
    assert rooms | files == {line[1:] for line in ignore if line.startswith("!")}
