"""The manifests are valid by Kubernetes' own schemas, and consistent with each other and with the project."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "k8s"
RENDERED = ["base", "overlays/kind"]
KUBERNETES = "1.33"  # version of the schemas; fixed, so that a newer schema cannot fail an old commit

Documents = list[dict[str, Any]]


@pytest.fixture(scope="module", params=RENDERED)
def documents(request: pytest.FixtureRequest) -> Documents:
    """The documents that `kubectl kustomize` renders."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it renders the manifests")
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(K8S / request.param)], check=True, capture_output=True, text=True
    )
    return list(yaml.safe_load_all(rendered.stdout))


def of_kind(documents: Documents, kind: str) -> dict[str, dict[str, Any]]:
    """The documents of one kind, by name."""
    return {entry["metadata"]["name"]: entry for entry in documents if entry["kind"] == kind}


def pods(documents: Documents) -> dict[str, dict[str, Any]]:
    """The pod template of each Deployment, by the Deployment's name."""
    return {name: entry["spec"]["template"] for name, entry in of_kind(documents, "Deployment").items()}


def containers(documents: Documents) -> list[dict[str, Any]]:
    """All containers of all pods, including init containers."""
    return [
        container
        for pod in pods(documents).values()
        for group in ("containers", "initContainers")
        for container in pod["spec"].get(group, [])
    ]


def container(documents: Documents, name: str) -> dict[str, Any]:
    """The only container of that name."""
    (match,) = (entry for entry in containers(documents) if entry["name"] == name)
    return match


def matched(selector: dict[str, str], documents: Documents) -> list[dict[str, Any]]:
    """The pod templates that a label selector matches."""
    return [pod for pod in pods(documents).values() if selector.items() <= pod["metadata"]["labels"].items()]


def port_names(pod: dict[str, Any]) -> set[str]:
    """Names of a pod's ports."""
    return {port["name"] for entry in pod["spec"]["containers"] for port in entry["ports"]}


def test_every_document_is_valid_by_the_strict_schema(documents):
    import kubernetes_validate

    for document in documents:
        assert kubernetes_validate.validate(document, KUBERNETES, strict=True) == KUBERNETES


def test_the_deployments_budget_and_namespace_exist(documents):
    assert set(of_kind(documents, "Deployment")) == {"tf-serving", "mlflow"}
    assert set(of_kind(documents, "PodDisruptionBudget")) == {"tf-serving"}
    assert set(of_kind(documents, "Namespace")) == {"segue"}


def test_every_document_is_in_the_namespace(documents):
    for document in documents:
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == "segue", document["metadata"]["name"]


def test_images_are_pinned(documents):
    for entry in containers(documents):
        _, _, tag = entry["image"].rpartition(":")
        assert re.fullmatch(r"[0-9][\w.-]*|kind", tag), f"{entry['image']} names no version"


def test_pods_run_as_non_root_without_capabilities_or_tokens(documents):
    for name, pod in pods(documents).items():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for entry in containers(documents):
        context = entry["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, entry["name"]
        assert context["readOnlyRootFilesystem"] is True, entry["name"]
        assert context["capabilities"] == {"drop": ["ALL"]}, entry["name"]


def test_containers_have_requests_limits_and_probes(documents):
    for entry in containers(documents):
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(entry["resources"][bound]), entry["name"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(entry), entry["name"]


def test_every_name_that_a_pod_refers_to_exists(documents):
    accounts, configs, claims = (
        of_kind(documents, kind) for kind in ("ServiceAccount", "ConfigMap", "PersistentVolumeClaim")
    )
    for name, pod in pods(documents).items():
        spec = pod["spec"]
        assert spec["serviceAccountName"] in accounts, name
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in configs, name
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name
        mounted = {mount["name"] for entry in spec["containers"] for mount in entry["volumeMounts"]}
        assert mounted == set(volumes), name


def test_deployments_select_their_own_pods(documents):
    for name, deployment in of_kind(documents, "Deployment").items():
        assert matched(deployment["spec"]["selector"]["matchLabels"], documents) == [deployment["spec"]["template"]], (
            name
        )


def test_services_reach_one_pod_template_on_ports_it_has(documents):
    for name, service in of_kind(documents, "Service").items():
        (pod,) = matched(service["spec"]["selector"], documents)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= port_names(pod), name


def test_probes_use_ports_that_exist(documents):
    for entry in containers(documents):
        names = {port["name"] for port in entry["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            target = entry[probe].get("httpGet") or entry[probe]["tcpSocket"]
            assert target["port"] in names, f"{entry['name']} {probe}"


def test_budgets_and_network_policies_select_pods_and_ports(documents):
    for budget in of_kind(documents, "PodDisruptionBudget").values():
        assert matched(budget["spec"]["selector"]["matchLabels"], documents)
    policies = of_kind(documents, "NetworkPolicy")
    covered = [matched(policy["spec"]["podSelector"]["matchLabels"], documents) for policy in policies.values()]
    assert len(covered) == len(pods(documents))  # without a policy, a pod accepts connections from the whole cluster
    for policy, (pod,) in zip(policies.values(), covered, strict=True):
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= port_names(pod)


def test_tf_serving_listens_on_its_ports_and_reads_mounted_files(documents):
    serving = container(documents, "tf-serving")
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in serving["args"])
    ports = {port["name"]: str(port["containerPort"]) for port in serving["ports"]}
    assert (flags["port"], flags["rest_api_port"]) == (ports["grpc"], ports["rest"])
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    ((_, config),) = of_kind(documents, "ConfigMap").items()
    for flag in ("model_config_file", "monitoring_config_file"):
        path = Path(flags[flag])
        assert path.parent == Path("/config")
        assert path.name in config["data"]
    mounts = {mount["mountPath"]: mount for mount in serving["volumeMounts"]}
    assert all(mounts[path]["readOnly"] for path in ("/config", "/segue"))


def test_mlflow_never_runs_twice(documents):
    # SQLite allows one writer.
    spec = of_kind(documents, "Deployment")["mlflow"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["template"]["spec"]["enableServiceLinks"] is False
    mlflow = container(documents, "mlflow")
    assert f"--port={mlflow['ports'][0]['containerPort']}" in mlflow["args"]


def test_the_model_config_parses_and_names_the_mounted_store():
    from serving.protocol.config_files import parse_config

    text = (K8S / "base/config/models.config").read_text(encoding="utf-8")
    models = {model.name: model for model in parse_config(text)}
    assert set(models) == {"retrieval", "ranking", "sequence"}
    for name, model in models.items():
        assert model.base_path == Path("/segue/models") / name
        assert (model.policy, model.labels) == ("latest", {})


def test_the_monitoring_config_parses_and_scraping_uses_its_path(documents):
    from serving.protocol.config_files import parse_monitoring_config

    text = (K8S / "base/config/monitoring.config").read_text(encoding="utf-8")
    monitoring = parse_monitoring_config(text, "monitoring.config")
    annotations = pods(documents)["tf-serving"]["metadata"]["annotations"]
    assert monitoring == {"enable": True, "path": annotations["prometheus.io/path"]}


class TestDockerfile:
    """The image of all components, of MLflow and of jobs."""

    @pytest.fixture
    def lines(self) -> list[str]:
        """The instructions without comments, each on one line."""
        text = (K8S / "Dockerfile").read_text(encoding="utf-8")
        text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
        return [line for line in text.splitlines() if line]

    def test_its_base_is_the_projects_python(self, lines):
        bases = [line.split()[1] for line in lines if line.startswith("FROM")]
        assert bases == ["python:3.11-slim-bookworm"] * 2

    def test_it_installs_the_lock_then_the_project_alone(self, lines):
        installs = [line for line in lines if "uv pip" in line]
        assert installs[0].endswith("requirements.lock")
        assert "--no-deps" in installs[1]
        # An editable install keeps the packages' data files, such as the Feast repository's YAML, in place.
        assert "-e ." in installs[1]

    def test_the_version_of_uv_is_read_from_the_lock(self, lines):
        (expression,) = re.findall(r"sed -nE 's/(.*?)/\\1/p'", " ".join(lines))
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        assert len(re.findall(expression, lock, flags=re.MULTILINE)) == 1

    def test_it_keeps_bytecode(self, lines):
        assert not any("PYTHONDONTWRITEBYTECODE" in line for line in lines)

    def test_it_runs_as_the_user_of_the_manifests(self, lines):
        assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]

    def test_every_package_is_copied_and_in_the_build_context(self, lines):
        copied = {line.split()[1] for line in lines if line.startswith("COPY") and "--from" not in line}
        packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
        assert packages <= copied
        ignore = (K8S / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert packages | {"pyproject.toml", "requirements.lock", "README.md"} == {
            line[1:] for line in ignore if line.startswith("!")
        }
