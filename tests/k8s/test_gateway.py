"""The gateway's manifests and the gateway itself agree."""

import pytest

from cli.collect import collect
from cli.surfaces.gateway import gateway
from surfaces.gateway.app import application
from tests.k8s.manifests import container, of_kind


def flags(documents) -> dict[str, str]:
    """The flags of the gateway's container."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in container(documents, "gateway")["args"])


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_the_command_knows_its_flags(rendered, overlay):
    assert container(rendered[overlay], "gateway")["command"] == ["segue", "gateway"]
    known = {name.removeprefix("--") for option in gateway.params for name in option.opts}
    assert flags(rendered[overlay]).keys() <= known


def test_it_listens_on_its_port_and_calls_the_service_of_tf_serving(rendered):
    given, entry = flags(rendered["prod"]), container(rendered["prod"], "gateway")
    assert [str(port["containerPort"]) for port in entry["ports"]] == [given["port"]]
    name, _, port = given["server"].partition(":")
    (service,) = (d for d in of_kind(rendered["prod"], "Service") if d["metadata"]["name"] == "tf-serving")
    assert name == f"tf-serving.{service['metadata']['namespace']}.svc"
    assert int(port) in [one["port"] for one in service["spec"]["ports"]]


def test_it_trusts_the_certificate_where_tf_serving_has_one(rendered):
    assert "server-ca" not in flags(rendered["kind"])
    (certificate,) = of_kind(rendered["prod"], "Certificate")
    assert flags(rendered["prod"])["server"].partition(":")[0] in certificate["spec"]["dnsNames"]
    mounts = [mount["mountPath"] for mount in container(rendered["prod"], "gateway")["volumeMounts"]]
    assert flags(rendered["prod"])["server-ca"].rpartition("/")[0] in mounts


def test_probes_ask_paths_that_there_are(rendered):
    entry = container(rendered["prod"], "gateway")
    paths = {entry[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths <= application().openapi()["paths"].keys()


def test_an_autoscaler_owns_the_number_of_replicas(rendered):
    for kind, name in (("prod", "gateway"), ("prod", "tf-serving")):
        (deployment,) = (d for d in of_kind(rendered[kind], "Deployment") if d["metadata"]["name"] == name)
        (autoscaler,) = (d for d in of_kind(rendered[kind], "HorizontalPodAutoscaler") if d["metadata"]["name"] == name)
        assert "replicas" not in deployment["spec"]
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == name


def test_a_caller_stays_with_the_pod_that_has_its_sessions(rendered):
    (service,) = (d for d in of_kind(rendered["prod"], "Service") if d["metadata"]["name"] == "gateway")
    assert service["spec"]["sessionAffinity"] == "ClientIP"


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_the_journal_is_collected_by_a_command_that_there_is(rendered, overlay):
    entry = container(rendered[overlay], "collect")
    assert entry["command"] == ["segue", "data", "collect"]
    known = {option for parameter in collect.params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in entry["args"]} <= known
