"""The gateway's manifests and the gateway itself agree."""

import os
import subprocess
import time
from datetime import UTC, datetime

import pytest

from cli.collect import collect
from cli.rollout import look
from cli.surfaces.gateway import gateway
from rollout.controller import alone
from segue.settings import Home
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


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_roll_outs_are_looked_at_by_a_command_that_there_is_and_by_one_process(rendered, overlay):
    entry = container(rendered[overlay], "rollout")
    assert entry["command"] == ["segue", "rollout", "look"]
    known = {option for parameter in look.params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in entry["args"]} <= known
    (deployment,) = (d for d in of_kind(rendered[overlay], "Deployment") if d["metadata"]["name"] == "rollout")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_the_probes_of_the_controller_follow_its_last_look(rendered, tmp_path):
    """If this fails, a controller that hangs stays, or one that works is killed."""
    entry, home = container(rendered["kind"], "rollout"), Home(tmp_path)

    def passes(probe):
        return not subprocess.run(entry[probe]["exec"]["command"], env={"SEGUE_HOME": str(tmp_path)}).returncode

    assert not passes("startupProbe")
    now = time.time()
    with alone(home, datetime.now(UTC)) as lock:
        assert passes("startupProbe")
        for minutes, alive in ((11, False), (9, True)):
            os.utime(lock, (now, now - minutes * 60))
            assert (passes("livenessProbe"), passes("readinessProbe")) == (alive, alive)
