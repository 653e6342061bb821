"""All overlays keep the project's rules, and each rule fails on a manifest that breaks it."""

import copy
import re
import shutil
from collections.abc import Callable

import pytest

from tests.k8s import policy
from tests.k8s.manifests import OVERLAYS, Document, Documents, container, containers, of_kind, pods, render


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlay_keeps_every_rule(rendered, overlay):
    assert policy.breaches(rendered[overlay], overlay) == []


def one(documents: Documents, kind: str, name: str) -> Document:
    """The document of a kind whose name starts so."""
    (found,) = (d for d in of_kind(documents, kind) if d["metadata"]["name"].startswith(name))
    return found


def pod_of(documents: Documents, server: str) -> Document:
    """The specification of a server's pods."""
    (found,) = (pod["spec"] for name, _, pod in pods(documents) if name.endswith(f"/{server}"))
    return found


def without(documents: Documents, kind: str, name: str) -> None:
    """Remove a document."""
    documents.remove(one(documents, kind, name))


def variable(documents: Documents, name: str, **change: str) -> None:
    """Replace a variable of MLflow by another value."""
    (entry,) = (v for v in container(documents, "mlflow")["env"] if v["name"] == name)
    entry.clear()
    entry.update({"name": name, **change})


def settings(documents: Documents) -> Document:
    """The servers' settings."""
    return next(d for d in of_kind(documents, "ConfigMap") if d["metadata"]["name"].startswith("segue-settings-"))


# The rule, a name, and a change of the manifests that breaks the rule.
BROKEN: list[tuple[policy.Rule, str, Callable[[Documents], object]]] = [
    (policy.default_deny, "no-default-deny", lambda d: without(d, "NetworkPolicy", "default-deny")),
    (policy.default_deny, "steps-uncovered", lambda d: [
        p["spec"]["policyTypes"].remove("Egress")
        for p in of_kind(d, "NetworkPolicy")
        if p["metadata"]["namespace"] == "kubeflow"
    ]),
    (policy.restricted, "namespace", lambda d: one(d, "Namespace", "segue")["metadata"]["labels"].clear()),
    (policy.restricted, "root", lambda d: pod_of(d, "mlflow")["securityContext"].pop("runAsNonRoot")),
    (policy.restricted, "uid-0", lambda d: pod_of(d, "redis")["securityContext"].update(runAsUser=0)),
    (policy.restricted, "seccomp", lambda d: pod_of(d, "objects")["securityContext"].pop("seccompProfile")),
    (policy.restricted, "token", lambda d: pod_of(d, "tf-serving").pop("automountServiceAccountToken")),
    (policy.restricted, "host", lambda d: pod_of(d, "tf-serving").update(hostNetwork=True)),
    (policy.restricted, "host-path", lambda d: pod_of(d, "mlflow")["volumes"].append({"name": "x", "hostPath": {}})),
    (policy.restricted, "writable", lambda d: container(d, "sync")["securityContext"].pop("readOnlyRootFilesystem")),
    (policy.restricted, "capabilities", lambda d: container(d, "backup")["securityContext"].pop("capabilities")),
    (policy.restricted, "init", lambda d: container(d, "first-models").pop("securityContext")),
    (policy.resources, "requests", lambda d: container(d, "backup")["resources"].pop("requests")),
    (policy.resources, "limits", lambda d: container(d, "sync")["resources"]["limits"].pop("memory")),
    (policy.resources, "volume", lambda d: pod_of(d, "tf-serving")["volumes"][1]["emptyDir"].clear()),
    (policy.probes, "startup", lambda d: container(d, "sync").pop("startupProbe")),
    (policy.probes, "readiness", lambda d: container(d, "postgres").pop("readinessProbe")),
    (policy.probes, "liveness", lambda d: container(d, "tf-serving").pop("livenessProbe")),
    (policy.probes, "port", lambda d: container(d, "mlflow")["livenessProbe"]["httpGet"].update(port="rest")),
    (policy.references, "settings-key", lambda d: settings(d)["data"].pop("MLFLOW_BACKEND_STORE_URI")),
    (policy.references, "secret-key", lambda d: one(d, "Secret", "segue-servers")["data"].pop("POSTGRES_PASSWORD")),
    (policy.references, "settings", lambda d: d.remove(settings(d))),
    (policy.references, "file", lambda d: one(d, "ConfigMap", "postgres-scripts")["data"].pop("databases.sql")),
    (policy.references, "claim", lambda d: without(d, "PersistentVolumeClaim", "postgres-backup")),
    (policy.references, "account", lambda d: without(d, "ServiceAccount", "objects")),
    (policy.mounts, "no-sub-path", lambda d: container(d, "redis")["volumeMounts"][0].pop("subPath")),
    (policy.mounts, "stale-config", lambda d: container(d, "tf-serving")["volumeMounts"][0].update(subPath="a")),
    (policy.mounts, "outside", lambda d: container(d, "redis")["volumeMounts"][0].update(subPath="../etc")),
    (policy.mounts, "unused-volume", lambda d: container(d, "objects")["volumeMounts"].pop()),
    (policy.models_only, "home", lambda d: container(d, "tf-serving")["volumeMounts"][1].update(name="home")),
    (policy.models_only, "writable", lambda d: container(d, "tf-serving")["volumeMounts"][1].pop("readOnly")),
    (policy.images, "latest", lambda d: container(d, "redis").update(image="valkey/valkey:latest")),
    (policy.images, "no-tag", lambda d: container(d, "redis").update(image="valkey/valkey")),
    (policy.digests, "tag", lambda d: container(d, "mlflow").update(image="segue:0.1.0")),
    (policy.secrets, "value", lambda d: variable(d, "PGPASSWORD", value="geheim")),
    (policy.secrets, "spliced", lambda d: variable(d, "MLFLOW_BACKEND_STORE_URI", value="postgresql://$(PGPASSWORD)")),
    (policy.secrets, "argument", lambda d: container(d, "mlflow")["args"].append("--password=$(PGPASSWORD)")),
    (policy.secrets, "setting", lambda d: settings(d)["data"].update(SEGUE_REGISTRY_PASSWORD="geheim")),
    (policy.secrets, "url", lambda d: settings(d)["data"].update(SEGUE_REGISTRY="postgresql://feast:geheim@postgres/a")),
    (policy.selectors, "service", lambda d: one(d, "Service", "mlflow")["spec"].update(selector={"a": "b"})),
    (policy.selectors, "port", lambda d: one(d, "Service", "mlflow")["spec"]["ports"][0].update(targetPort="rest")),
    (policy.selectors, "policy", lambda d: one(d, "NetworkPolicy", "redis")["spec"]["podSelector"].update(
        matchLabels={"app.kubernetes.io/name": "valkey"}
    )),
    (policy.budgets, "none", lambda d: without(d, "PodDisruptionBudget", "tf-serving")),
    (policy.budgets, "undrainable", lambda d: one(d, "PodDisruptionBudget", "mlflow")["spec"].update(maxUnavailable=0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "change"), [pytest.param(r, change, id=f"{r.__name__}-{name}") for r, name, change in BROKEN]
)
def test_a_broken_manifest_fails_its_rule(rendered, rule, change):
    overlay = "prod" if rule is policy.digests else "kind"
    documents = copy.deepcopy(rendered[overlay])
    assert list(rule(documents)) == []
    change(documents)
    assert list(rule(documents))


def test_every_rule_has_a_manifest_that_breaks_it():
    assert {rule for rule, _, _ in BROKEN} == {*policy.EVERYWHERE, policy.digests}


def test_production_fails_until_its_images_have_digests(k8s, tmp_path):
    copied = shutil.copytree(k8s, tmp_path / "k8s")
    pinned = copied / "overlays/prod/pinned/kustomization.yaml"
    pinned.write_text(re.sub(r"digest: \S+}", "newTag: 0.1.0}", pinned.read_text()))
    documents = render(copied / "overlays/prod")
    assert len(list(policy.digests(documents))) == sum(len(containers(pod)) for _, _, pod in pods(documents))
