"""checkov finds nothing in the manifests and the Dockerfile but the exceptions that k8s/checkov.yaml explains."""

import json
import os
import subprocess

import pytest
import yaml

from tests.k8s.manifests import ROOT

CHECKOV = "checkov==3.3.30"
NO_DIGEST = "CKV_K8S_43"

pytestmark = pytest.mark.slow


def failed(checkov: str, *arguments: str) -> set[str]:
    """The ids of the checks that fail. Nothing is fetched from checkov's own service."""
    command = [checkov, *arguments, "--skip-download", "--output", "json", "--compact", "--quiet"]
    environment = {**os.environ, "LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=600)
    report = json.loads(done.stdout)
    return {check["check_id"] for check in report["results"]["failed_checks"]}


def test_checkov_finds_the_explained_exceptions_alone(tool, rendered, tmp_path):
    checkov = tool(CHECKOV, "checkov")
    found = {}
    for overlay in ("kind", "prod"):
        file = tmp_path / f"{overlay}.yaml"
        file.write_text(yaml.safe_dump_all(rendered[overlay]))
        found[overlay] = failed(checkov, "--framework", "kubernetes", "--file", str(file))
    assert found["kind"]  # the manifests were read
    assert NO_DIGEST not in found["prod"]
    found["image"] = failed(checkov, "--framework", "dockerfile", "--file", "k8s/Dockerfile")
    explained = set(yaml.safe_load((ROOT / "k8s/checkov.yaml").read_text(encoding="utf-8"))["skip-check"])
    assert set.union(*found.values()) == explained
