"""`segue serve` starts with the very flags and files of the manifests' TF Serving, and answers its probes."""

import json
import re
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.k8s.manifests import OVERLAYS, ROOT, Documents, container, of_kind

CONFIG = ROOT / "k8s/base/config"
COMPONENTS = ROOT / "k8s/components"


def arguments(documents: Documents, models: Path) -> list[str]:
    """The server's arguments, with the places of its mounts on this machine."""
    places = {"/models": str(models), "/config": str(CONFIG)}
    return [re.sub(r"=(/models|/config)\b", lambda m: f"={places[m[1]]}", arg) for arg in documents_args(documents)]


def documents_args(documents: Documents) -> list[str]:
    """The arguments in the manifest."""
    return container(documents, "tf-serving")["args"]


@pytest.fixture(scope="module")
def store(build_once, saved_models) -> Path:
    """A model store with one version of each model."""
    from serving.store import model_store

    def build(root: Path) -> None:
        model_store.push(root, dict.fromkeys(("retrieval", "ranking", "sequence"), saved_models["one"]))

    return build_once("cluster_store", build)


@pytest.fixture(scope="module")
def server(rendered, store, tmp_path_factory):
    """A server with the flags of the overlay kind, on free ports of loopback."""
    from segue.settings import Home
    from serving.command import configuration, serve
    from serving.run_server import ModelServer

    context = serve.make_context("serve", arguments(rendered["kind"], store))
    settings, warnings = configuration(context, Home(tmp_path_factory.mktemp("home")))
    assert warnings == []
    assert settings.batching is None  # TF Serving cannot join requests whose numbers of candidates differ
    assert settings.model_config_file_poll_wait_seconds > 0  # it follows pushes with no manual call
    with ModelServer(replace(settings, host="127.0.0.1", port=0, rest_port=0)) as running:
        yield running


def fetch(server, path: str) -> str:
    """The body of a REST answer; an error of HTTP raises."""
    with urllib.request.urlopen(f"http://{server.rest_address}{path}", timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_it_answers_the_probes(rendered, server):
    entry = container(rendered["kind"], "tf-serving")
    for probe in ("startupProbe", "readinessProbe"):
        assert json.loads(fetch(server, entry[probe]["httpGet"]["path"]))["metadata"]


@pytest.mark.slow
def test_the_labels_of_the_stores_own_file_are_served(server):
    from serving.client.sync_client import Client

    with Client(server.address) as client:
        assert client.metadata("ranking", label="stable")


@pytest.fixture(scope="module")
def exported(rendered, server) -> set[str]:
    """The names of the metrics at the path that Prometheus scrapes."""
    (monitor,) = named(of_kind(rendered["prod"], "ServiceMonitor"), "tf-serving")
    (endpoint,) = monitor["spec"]["endpoints"]
    types = re.findall(r"^# TYPE (\S+) (\w+)$", fetch(server, endpoint["path"]), re.MULTILINE)
    suffixes = {"counter": [""], "histogram": ["_bucket", "_sum", "_count"]}
    return {name + suffix for name, kind in types for suffix in suffixes[kind]}


@pytest.mark.slow
def test_the_dashboard_asks_for_metrics_that_the_server_exports(exported):
    dashboard = json.loads((COMPONENTS / "monitoring/tf-serving.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) >= 8
    for query in queries:
        names = set(re.findall(r":tensorflow:[\w:]+", query))
        assert names
        assert names <= exported, query


def named(documents, name):
    """The documents of a name."""
    return [document for document in documents if document["metadata"]["name"] == name]


@pytest.mark.slow
def test_the_autoscalers_metric_is_made_of_metrics_that_the_server_exports(rendered, exported):
    rules = yaml.safe_load((COMPONENTS / "autoscaling/prometheus-adapter.yaml").read_text(encoding="utf-8"))
    (rule,) = rules["rules"]["custom"]
    assert set(re.findall(r":tensorflow:[\w:]+", rule["seriesQuery"] + rule["metricsQuery"])) <= exported
    (autoscaler,) = named(of_kind(rendered["prod"], "HorizontalPodAutoscaler"), "tf-serving")
    pods = [metric["pods"]["metric"]["name"] for metric in autoscaler["spec"]["metrics"] if metric["type"] == "Pods"]
    assert pods == [rule["name"]["as"]]


@pytest.mark.parametrize("name", ["tf-serving", "gateway"])
def test_the_monitored_service_has_the_scraped_port(rendered, name):
    (monitor,) = named(of_kind(rendered["prod"], "ServiceMonitor"), name)
    (service,) = named(of_kind(rendered["prod"], "Service"), name)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {e["port"] for e in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


def test_the_monitoring_file_serves_the_scraped_path(rendered):
    from serving.protocol.config_files import parse_monitoring_config

    (monitor,) = named(of_kind(rendered["prod"], "ServiceMonitor"), "tf-serving")
    text = (CONFIG / "monitoring.config").read_text(encoding="utf-8")
    path = monitor["spec"]["endpoints"][0]["path"]
    assert parse_monitoring_config(text, "monitoring.config") == {"enable": True, "path": path}


def test_ports_and_files_of_the_flags_are_those_of_the_pod(rendered):
    entry = container(rendered["prod"], "tf-serving")
    flags = dict(argument.removeprefix("--").split("=", 1) for argument in entry["args"])
    ports = {port["name"]: str(port["containerPort"]) for port in entry["ports"]}
    assert (flags["port"], flags["rest_api_port"]) == (ports["grpc"], ports["rest"])
    mounts = {mount["mountPath"] for mount in entry["volumeMounts"]}
    files = {Path(value) for flag, value in flags.items() if flag.endswith("_file")}
    assert {str(file.parent) for file in files} <= mounts
    (config,) = (d for d in of_kind(rendered["prod"], "ConfigMap") if d["metadata"]["name"].startswith("serving-"))
    assert {file.name for file in files if str(file.parent) == "/config"} == set(config["data"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_tensorflow_has_a_thread_for_each_core_of_the_pod(rendered, overlay):
    entry = container(rendered[overlay], "tf-serving")
    sources = {variable["name"]: variable["valueFrom"] for variable in entry["env"]}
    cores = {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert sources == {"TF_NUM_INTRAOP_THREADS": cores, "TF_NUM_INTEROP_THREADS": cores}
    assert int(entry["resources"]["limits"]["cpu"]) > 1
    assert not any("parallelism" in argument for argument in entry["args"])  # a flag would win


def test_the_init_container_writes_the_key_and_certificate_as_tf_serving_wants_them(rendered, tmp_path):
    from serving.protocol.config_files import parse_ssl_config

    texts = {
        "tls.key": "-----BEGIN PRIVATE KEY-----\nMIGHAg+/=\nAAEC\n-----END PRIVATE KEY-----\n",
        "tls.crt": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    *shell, source, target = container(rendered["prod"], "ssl-config")["command"]
    assert (source, target) == ("/certificate", "/tls/ssl.config")
    written = tmp_path / "ssl.config"
    subprocess.run([*shell, str(tmp_path), str(written)], check=True)
    assert written.stat().st_mode & 0o077 == 0
    parsed = parse_ssl_config(written.read_text(), "ssl.config")
    assert (parsed.server_key, parsed.server_cert) == (texts["tls.key"], texts["tls.crt"])
    assert "--ssl_config_file=/tls/ssl.config" in container(rendered["prod"], "tf-serving")["args"]
    assert not any("ssl" in argument for argument in container(rendered["kind"], "tf-serving")["args"])


def test_models_come_before_the_server_and_are_kept_up_to_date(rendered):
    for overlay in ("kind", "prod"):
        (pod,) = (d["spec"]["template"]["spec"] for d in of_kind(rendered[overlay], "Deployment")
                  if d["metadata"]["name"] == "tf-serving")  # fmt: skip
        first, sidecar = (container(rendered[overlay], name) for name in ("first-models", "sync"))
        order = [entry["name"] for entry in pod["initContainers"]]
        assert order.index("first-models") < order.index("sync")
        assert sidecar["restartPolicy"] == "Always"
        assert first["args"] == [*sidecar["args"], "--once"]
        folder = sidecar["args"][-1]
        flags = " ".join(container(rendered[overlay], "tf-serving")["args"])
        assert f"--model_config_file={folder}/models.config" in flags
