"""What is placed around each step on a cluster: a golden page, and a policy that nothing of it may be missing."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import PIPELINES
from pipelines.kubeflow.package import compile_all, specification
from pipelines.placement import SECRET_VARIABLES, SETTING_VARIABLES
from segue.settings import image
from stores.settings import Settings

pytestmark = pytest.mark.slow  # compiles every pipeline
GOLDEN = Path(__file__).with_name("golden.yaml")
IMAGE = "registry.example/segue:1"


def tasks(spec: dict) -> dict[str, dict]:
    """All tasks that run a container, by executor."""
    found = {}
    for dag in (spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)):
        for task in dag["tasks"].values():
            label = spec["components"][task["componentRef"]["name"]].get("executorLabel")
            if label:
                found[label] = task
    return found


def placement(package: dict[str, Any]) -> dict[str, dict]:
    """What is placed around each step, without its code."""
    spec = package["pipeline_spec"]
    placed = package["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    page = {}
    for label, executor in spec["deploymentSpec"]["executors"].items():
        container, around, task = executor["container"], placed.get(label, {}), tasks(spec)[label]
        page[label.removeprefix("exec-")] = {
            "image": container["image"],
            "resources": {k: v for k, v in container.get("resources", {}).items() if k.startswith("resource")},
            "timeout": around.get("activeDeadlineSeconds"),
            "retry": task.get("retryPolicy"),
            "cache": task.get("cachingOptions", {}).get("enableCache", False),
            "security": around.get("securityContext"),
            "environment": {
                **{source["configMapName"]: variables(source) for source in around.get("configMapAsEnv", ())},
                **{source["secretName"]: variables(source) for source in around.get("secretAsEnv", ())},
                **{entry["fieldPath"]: [entry["name"]] for entry in around.get("fieldPathAsEnv", ())},
            },
            "scratch": [mount["mountPath"] for mount in around.get("emptyDirMounts", ())],
        }
    return page


def variables(source: dict) -> list[str]:
    """The variables that a ConfigMap or a Secret sets."""
    return [entry["envVar"] for entry in source["keyToEnv"]]


def faults(package: dict[str, Any]) -> list[str]:
    """What the steps of a package lack."""
    found = []
    for step, placed in placement(package).items():
        resources, security = placed["resources"], placed["security"] or {}
        environment = {name for names in placed["environment"].values() for name in names}
        lacks = {
            "image": placed["image"] != IMAGE,
            "requests": not {"resourceCpuRequest", "resourceMemoryRequest"} <= set(resources),
            "limits": not {"resourceCpuLimit", "resourceMemoryLimit"} <= set(resources),
            "timeout": not int(placed["timeout"] or 0) > 0,
            "retry": (placed["retry"] or {}).get("maxRetryCount") != 2,
            "security context": not (security.get("runAsNonRoot") and int(security.get("runAsUser", 0)) > 0),
            "environment": not {*SETTING_VARIABLES, *SECRET_VARIABLES, "SEGUE_RUN_ID"} <= environment,
            "scratch": placed["scratch"] != ["/tmp"],
        }
        found += [f"{step}: {name}" for name, lacking in lacks.items() if lacking]
    return found


@pytest.fixture(scope="module")
def packages() -> dict[str, dict[str, Any]]:
    """The three pipelines as the API takes them."""
    return {name: specification(name, IMAGE) for name in PIPELINES}


def test_the_placement_is_the_golden_one(packages):
    """Write the page again after a decision: `python -m tests.pipelines.kubeflow.test_package`."""
    assert {name: placement(package) for name, package in packages.items()} == yaml.safe_load(GOLDEN.read_text())


def test_a_step_takes_every_setting_of_a_store():
    """If this fails, steps on a cluster do not use a store that `segue.yaml` names: a push goes to another place."""
    of_others = {"kubeflow", "kubeflow_namespace", "kubeflow_token", "home_page", "exploration", "alerts_webhook"}
    names = {f"SEGUE_{name}".upper() for name in Settings.model_fields.keys() - of_others}
    assert names <= {*SETTING_VARIABLES, *SECRET_VARIABLES}


def test_no_step_lacks_anything(packages):
    assert [fault for package in packages.values() for fault in faults(package)] == []


@pytest.mark.parametrize(
    ("document", "path", "lack"),
    [
        ("spec", "container.image", "image"),
        ("spec", "container.resources.resourceMemoryRequest", "requests"),
        ("spec", "container.resources.resourceCpuRequest", "requests"),
        ("spec", "container.resources.resourceMemoryLimit", "limits"),
        ("spec", "container.resources.resourceCpuLimit", "limits"),
        ("platform", "activeDeadlineSeconds", "timeout"),
        ("task", "retryPolicy", "retry"),
        ("platform", "securityContext", "security context"),
        ("platform", "securityContext.runAsNonRoot", "security context"),
        ("platform", "securityContext.runAsUser", "security context"),
        ("platform", "configMapAsEnv", "environment"),
        ("platform", "secretAsEnv", "environment"),
        ("platform", "fieldPathAsEnv", "environment"),
        ("platform", "emptyDirMounts", "scratch"),
    ],
)
@pytest.mark.parametrize("name", PIPELINES)
def test_the_policy_sees_what_is_taken_away(packages, name, document, path, lack):
    whole = packages[name]
    for label in whole["pipeline_spec"]["deploymentSpec"]["executors"]:
        package = copy.deepcopy(whole)
        spec = package["pipeline_spec"]
        place = {
            "spec": spec["deploymentSpec"]["executors"],
            "platform": package["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"],
            "task": tasks(spec),
        }[document][label]
        *parents, last = path.split(".")
        for parent in parents:
            place = place[parent]
        place[last] = "" if last == "image" else place.pop(last) and None
        if place[last] is None:
            del place[last]
        assert faults(package) == [f"{label.removeprefix('exec-')}: {lack}"]


@pytest.mark.slow
def test_the_image_is_chosen_when_it_is_compiled(tmp_path):
    compile_all(tmp_path / "one", IMAGE)
    compile_all(tmp_path / "two", image())
    for folder, expected in (("one", IMAGE), ("two", "segue:0.1.0")):
        for path in (tmp_path / folder).glob("*.yaml"):
            spec = next(yaml.safe_load_all(path.read_text()))
            images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
            assert images == {expected}


@pytest.mark.slow
def test_what_is_compiled_is_what_is_submitted(tmp_path, packages):
    for path in compile_all(tmp_path, IMAGE):
        spec, platform = yaml.safe_load_all(path.read_text())
        assert {"pipeline_spec": spec, "platform_spec": platform} == packages[path.stem]


def test_nothing_names_a_namespace(packages):
    """A single-user installation runs everything in its own namespace, and in another a run is submitted to one."""
    assert "namespace" not in str({name: placement(package) for name, package in packages.items()})


@pytest.mark.slow
def test_manifests_hold_the_same_pipeline_under_a_name_of_its_content(tmp_path, packages):
    paths = compile_all(tmp_path, IMAGE, manifests=True)
    assert sorted(str(path.relative_to(tmp_path)) for path in paths) == sorted(
        [*(f"{name}.yaml" for name in PIPELINES), *(f"manifests/{name}.yaml" for name in PIPELINES)]
    )
    for name in PIPELINES:
        pipeline, version = yaml.safe_load_all((tmp_path / "manifests" / f"{name}.yaml").read_text())
        assert (pipeline["kind"], pipeline["metadata"]) == ("Pipeline", {"name": name})
        assert (version["kind"], version["spec"]["pipelineName"]) == ("PipelineVersion", name)
        assert version["spec"]["pipelineSpec"] == packages[name]["pipeline_spec"]
        assert version["spec"]["platformSpec"] == packages[name]["platform_spec"]
    compile_all(tmp_path / "other", "registry.example/segue:2", manifests=True)
    names = {next(documents(tmp_path / folder))["metadata"]["name"] for folder in ("", "other")}
    assert len(names) == 2  # Kubeflow never changes a version


def documents(folder: Path):
    """The versions in a folder's manifests."""
    for path in sorted((folder / "manifests").glob("*.yaml")):
        yield list(yaml.safe_load_all(path.read_text()))[1]


if __name__ == "__main__":
    page = {name: placement(specification(name, IMAGE)) for name in PIPELINES}
    GOLDEN.write_text(yaml.safe_dump(page, default_flow_style=None, width=120))
