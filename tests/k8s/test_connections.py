"""Who may connect to whom by the network policies, evaluated as Kubernetes does: both ends must allow it."""

from dataclasses import dataclass, field

import pytest

from tests.k8s.manifests import CLIENT, PLAYER, STEP, Document, Documents, of_kind, pods, selects


@dataclass(frozen=True)
class Pod:
    """One end of a connection: a pod, or an address outside of the cluster if it has no namespace."""

    namespace: str | None
    labels: dict[str, str] = field(default_factory=dict)
    port_names: dict[int, str] = field(default_factory=dict)


OUTSIDE = Pod(None)
STRANGER = Pod("segue", {"app.kubernetes.io/name": "stranger"})
CALLER = Pod(**CLIENT)
NEIGHBOUR = Pod("default", {"app.kubernetes.io/name": "anything"})
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
KUBEFLOW = Pod("kubeflow", {"app": "ml-pipeline"})
RUN = Pod(**STEP)


def server(documents: Documents, name: str) -> Pod:
    """A server's pod, with the names of its ports."""
    (template,) = (pod for owner, _, pod in pods(documents) if owner.endswith(f"/{name}"))
    ports = [port for entry in template["spec"]["containers"] for port in entry.get("ports", [])]
    return Pod("segue", template["metadata"]["labels"], {port["containerPort"]: port["name"] for port in ports})


def peer_matches(peer: Document, other: Pod, namespace: str) -> bool:
    """Whether an entry of `from` or `to` means a pod; `namespace` is that of the policy."""
    if "ipBlock" in peer:
        return other.namespace is None
    if other.namespace is None:
        return False
    place = {"kubernetes.io/metadata.name": other.namespace}
    inside = selects(peer["namespaceSelector"], place) if "namespaceSelector" in peer else other.namespace == namespace
    return inside and selects(peer.get("podSelector", {}), other.labels)


def allows(documents: Documents, source: Pod, target: Pod, port: int) -> bool:
    """Whether the policies let `source` connect to a port of `target`."""
    numbers = {port, target.port_names.get(port)}
    for direction, own, other, peers in (("Egress", source, target, "to"), ("Ingress", target, source, "from")):
        policies = [
            policy["spec"]
            for policy in of_kind(documents, "NetworkPolicy")
            if policy["metadata"]["namespace"] == own.namespace
            and direction in policy["spec"]["policyTypes"]
            and selects(policy["spec"]["podSelector"], own.labels)
        ]
        rules = [rule for policy in policies for rule in policy.get(direction.lower(), [])]
        if policies and not any(
            any(peer_matches(peer, other, str(own.namespace)) for peer in rule[peers])
            and ("ports" not in rule or numbers & {entry["port"] for entry in rule["ports"]})
            for rule in rules
        ):
            return False
    return True


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_steps_reach_what_they_need_and_nothing_reaches_them(rendered, overlay):
    documents = rendered[overlay]
    assert allows(documents, RUN, server(documents, "mlflow"), 5000)
    assert allows(documents, RUN, DNS, 53)
    assert allows(documents, RUN, KUBEFLOW, 8887)
    assert allows(documents, RUN, OUTSIDE, 6443)  # the Kubernetes API
    assert not allows(documents, RUN, NEIGHBOUR, 80)
    assert not allows(documents, RUN, OUTSIDE, 80)
    for source in (NEIGHBOUR, STRANGER, KUBEFLOW):
        assert not allows(documents, source, RUN, 8080)


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_only_steps_and_the_controller_of_roll_outs_reach_mlflow(rendered, overlay):
    documents = rendered[overlay]
    mlflow = server(documents, "mlflow")
    for source in (NEIGHBOUR, STRANGER, CALLER, KUBEFLOW, PROMETHEUS, OUTSIDE, server(documents, "tf-serving")):
        assert not allows(documents, source, mlflow, 5000)
    assert allows(documents, server(documents, "rollout"), mlflow, 5000)


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_callers_of_tf_serving_carry_its_label(rendered, overlay):
    serving = server(rendered[overlay], "tf-serving")
    documents = rendered[overlay]
    assert allows(documents, CALLER, serving, 8500)
    assert not allows(documents, CALLER, OUTSIDE, 443)
    assert not allows(documents, STRANGER, serving, 8500)
    assert not allows(documents, NEIGHBOUR, serving, 8501)


def test_prometheus_reaches_the_metrics_alone(rendered):
    serving = server(rendered["prod"], "tf-serving")
    assert allows(rendered["prod"], PROMETHEUS, serving, 8501)
    assert not allows(rendered["prod"], PROMETHEUS, serving, 8500)
    assert not allows(rendered["kind"], PROMETHEUS, server(rendered["kind"], "tf-serving"), 8501)


# The store, its port, and the servers that use it; steps reach every store.
STORES = [
    ("redis", 6379, {"gateway", "collect", "rollout"}),
    ("postgres", 5432, {"mlflow", "postgres-backup", "gateway"}),
    ("objects", 8333, {"mlflow", "tf-serving", "gateway", "collect", "rollout"}),
]
USERS = {"mlflow", "tf-serving", "postgres-backup", "gateway", "collect", "rollout"}


@pytest.mark.parametrize(("store", "port", "users"), STORES)
def test_a_store_is_reached_by_its_users_alone(rendered, store, port, users):
    documents = rendered["kind"]
    target = server(documents, store)
    assert allows(documents, RUN, target, port)
    for other in {name for name, _, _ in STORES} - {store} | USERS:
        assert allows(documents, server(documents, other), target, port) == (other in users), other
    for source in (STRANGER, CALLER, NEIGHBOUR, KUBEFLOW, OUTSIDE):
        assert not allows(documents, source, target, port)


@pytest.mark.parametrize("overlay", ["kind", "prod"])
def test_callers_of_the_gateway_carry_its_label(rendered, overlay):
    documents = rendered[overlay]
    gateway = server(documents, "gateway")
    backend = Pod("player", {"app": "backend"})
    assert allows(documents, Pod(**PLAYER), gateway, 8700)
    for source in (backend, STRANGER, NEIGHBOUR, CALLER, OUTSIDE):
        assert not allows(documents, source, gateway, 8700)
    assert allows(documents, gateway, server(documents, "tf-serving"), 8500)
    assert not allows(documents, gateway, server(documents, "mlflow"), 5000)
    assert not allows(documents, gateway, NEIGHBOUR, 80)


@pytest.mark.parametrize("name", ["tf-serving", "mlflow", "gateway"])
def test_servers_open_no_other_connections(rendered, name):
    kind, prod = (server(rendered[overlay], name) for overlay in ("kind", "prod"))
    assert allows(rendered["prod"], prod, OUTSIDE, 443)  # S3
    assert not allows(rendered["kind"], kind, OUTSIDE, 443)
    assert not allows(rendered["prod"], prod, OUTSIDE, 80)
    assert allows(rendered["kind"], kind, DNS, 53)
