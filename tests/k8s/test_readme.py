"""k8s/README.md is a script: its commands are run by a test or need a cluster, and its table is up to date."""

import os
import re
import runpy
import shutil
import subprocess
import sys

import pytest

from tests.k8s.manifests import KUBECTL, ROOT

PAGE = (ROOT / "k8s/README.md").read_text(encoding="utf-8")
TESTED = runpy.run_path(str(ROOT / "k8s/tested.py"))
BLOCKS = re.findall(r"^```bash\n(# [^\n]*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_every_block_says_who_runs_it():
    assert len(BLOCKS) == PAGE.count("```bash")
    for marker, _ in BLOCKS:
        if marker != TESTED["NEEDS_A_CLUSTER"]:
            assert (ROOT / re.match(r"# run by (\S+\.py)", marker)[1]).is_file()


def test_the_commands_that_need_no_cluster_run(tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "k8s", folder / "k8s", ignore=shutil.ignore_patterns("*.env", "pinned"))
    blocks = [block for marker, block in BLOCKS if marker == "# run by tests/k8s/test_readme.py"]
    assert blocks
    environment = {**os.environ, "PATH": f"{KUBECTL.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for block in blocks:
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_commands_of_the_image_are_those_that_its_test_runs():
    (block,) = (block for marker, block in BLOCKS if marker.startswith("# run by tests/k8s/test_image.py"))
    source = (ROOT / "tests/k8s/test_image.py").read_text(encoding="utf-8")
    scripts = re.findall(r"k8s/image/(\S+)", block)
    assert scripts == ["build-here", "nano.py", "engine"]
    assert all(f'"{script}"' in source for script in scripts)


def test_make_targets_of_the_page_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\S+)", PAGE, re.MULTILINE)
    assert targets == ["kind-up", "kind-load", "kfp-install", "kind-demo", "kind-down", "kfp-install", "kind-demo"]
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize(
    ("section", "commands"),
    [
        ("From nothing to recommendations on kind", ["make kfp-install", "make kind-demo"]),
        ("On minikube", ["kubectl apply -k k8s/overlays/minikube", "make kfp-install", "make kind-demo"]),
        ("In production", ["kubectl apply -k k8s/overlays/prod", "segue run training --on kfp", "/v1/home"]),
    ],
)
def test_each_cluster_ends_with_recommendations(section, commands):
    """If this fails, whoever follows the page line by line has servers that wait for their first models."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    places = [text.find(command) for command in commands]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.slow
def test_the_table_has_the_tests_that_there_are():
    command = [sys.executable, "-m", "pytest", TESTED["TESTS"], "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    there = {name: int(count) for name, count in re.findall(r"^tests/k8s/(test_\w+\.py): (\d+)$", listed, re.MULTILINE)}
    del there["test_readme.py"]  # it reads the table
    table = TESTED["BLOCK"].search(PAGE)[0]
    rows = re.findall(r"\| \[(test_\w+\.py)\]\(\S+\) \| (.*) \|$", table, re.MULTILINE)
    assert {name: sum(map(int, re.findall(r"(\d+) (?:passed|not run)", ended))) for name, ended in rows} == there, (
        "run: python k8s/tested.py"
    )
    for command in TESTED["commands_of_a_cluster"](PAGE):
        assert f"| `{command}` | a person | not run: needs a cluster |" in table
