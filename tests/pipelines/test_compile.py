"""The pipelines compile for a cluster: image, volume, step names and gates."""

import re

import pytest
import yaml

from pipelines import PIPELINES, load, steps
from pipelines.kubeflow.package import compile_all
from pipelines.placement import PURE, SCRATCH, SECRET_VARIABLES, SETTING_VARIABLES
from segue.settings import image


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, list[dict]]:
    """The YAML documents of each compiled pipeline: its specification and its platform's."""
    paths = compile_all(tmp_path_factory.mktemp("yaml"), image())
    return {path.stem: list(yaml.safe_load_all(path.read_text())) for path in paths}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_backend_accepts_the_schema(compiled, name):
    assert compiled[name][0]["schemaVersion"] == "2.1.0"


@pytest.mark.parametrize("name", PIPELINES)
def test_every_step_runs_in_the_projects_image_with_its_environment_and_a_scratch_folder(compiled, name):
    spec, platform = compiled[name]
    executors = spec["deploymentSpec"]["executors"]
    images = {executor["container"]["image"] for executor in executors.values()}
    assert images == {"segue:0.1.0"}
    placed = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(placed) == set(executors)
    for placement in placed.values():
        assert [mount["mountPath"] for mount in placement["emptyDirMounts"]] == [SCRATCH]
        assert variables(placement["configMapAsEnv"]) == set(SETTING_VARIABLES)
        assert variables(placement["secretAsEnv"]) == set(SECRET_VARIABLES)
        assert [entry["name"] for entry in placement["fieldPathAsEnv"]] == ["SEGUE_RUN_ID"]


def variables(sources: list[dict]) -> set[str]:
    """The environment variables that ConfigMaps or Secrets set in a step."""
    return {entry["envVar"] for source in sources for entry in source["keyToEnv"]}


@pytest.mark.parametrize("name", PIPELINES)
def test_only_steps_that_follow_from_their_inputs_are_reused(compiled, name):
    def tasks(dag):
        for key, task in dag["tasks"].items():
            inner = compiled[name][0]["components"][task["componentRef"]["name"]]
            yield from tasks(inner["dag"]) if "dag" in inner else [(key, task["cachingOptions"])]

    cached = {key for key, options in tasks(compiled[name][0]["root"]["dag"]) if options.get("enableCache")}
    assert cached == PURE


@pytest.mark.parametrize("name", PIPELINES)
def test_the_progress_knows_every_step(compiled, name):
    executors = {key.removeprefix("exec-") for key in compiled[name][0]["deploymentSpec"]["executors"]}
    assert set(steps(name)) == executors - {"trial"}  # the number of trials is known only when a search runs


@pytest.mark.parametrize("name", PIPELINES)
def test_a_step_is_recorded_under_its_tasks_name(compiled, name):
    # `Run.step` takes the name of the workload's module.
    for key, executor in compiled[name][0]["deploymentSpec"]["executors"].items():
        workloads = re.findall(r"from workloads[a-z_.]* import ([a-z_]+)\\n", str(executor))
        assert key.removeprefix("exec-").replace("-", "_") in workloads


@pytest.mark.parametrize("name", PIPELINES)
def test_nothing_of_this_machine_is_in_the_package(compiled, name):
    assert not re.search(r"/(home|root|tmp)/", str(compiled[name]))


@pytest.mark.parametrize("trainer", ["train-retrieval", "train-sequence", "train-ranking"])
def test_the_online_store_is_refreshed_before_a_model_trains(compiled, trainer):
    needed, components = {trainer}, compiled["training"][0]["components"].values()
    tasks = next(c["dag"]["tasks"] for c in components if trainer in c.get("dag", {}).get("tasks", {}))
    while needed != (more := needed.union(*(tasks[name].get("dependentTasks", []) for name in needed))):
        needed = more
    assert "refresh-online" in needed


def test_push_runs_only_if_every_gate_passes(compiled):
    spec = compiled["training"][0]
    gates, dag = [], spec["root"]["dag"]
    while "push" not in dag["tasks"]:
        (task,) = (task for key, task in dag["tasks"].items() if key.startswith(("exit-handler", "condition")))
        gates += re.findall(
            r"pipelinechannel--([a-z-]+)-Output'\] == true", task.get("triggerPolicy", {}).get("condition", "")
        )
        dag = spec["components"][task["componentRef"]["name"]]["dag"]
    assert gates == ["validate-data", "evaluate", "infra-validate"]


def test_load_finds_each_pipeline():
    assert [load(target).name for target in PIPELINES.values()] == list(PIPELINES)
