"""The rules that Segue's manifests keep. Each rule yields a sentence for each breach; `RULES` has them all."""

import re
from collections.abc import Callable, Iterator

from tests.k8s.manifests import (
    CLIENT,
    PLAYER,
    STEP,
    Document,
    Documents,
    containers,
    name_of,
    of_kind,
    pods,
    selects,
    stays,
)

DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
TAG = re.compile(r".+:(v?[0-9][\w.-]*|kind)")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|PRIVATE|_KEY$|^AWS_ACCESS_KEY_ID$")
# The only volumes of a server of models: what it serves, how, its certificate, and scratch.
SERVER_VOLUMES = {"models", "config", "tls", "tmp"}


def default_deny(documents: Documents) -> Iterator[str]:
    """Every pod, a step's too, is in a policy for each direction; in `segue` one without exceptions covers all."""
    policies = of_kind(documents, "NetworkPolicy")
    covered = [(name, namespace, pod["metadata"]["labels"]) for name, namespace, pod in pods(documents)]
    covered.append(("a step of a pipeline", STEP["namespace"], STEP["labels"]))
    for name, namespace, labels in covered:
        own = [p for p in policies if p["metadata"]["namespace"] == namespace]
        for direction in ("Ingress", "Egress"):
            if not any(
                direction in p["spec"]["policyTypes"] and selects(p["spec"]["podSelector"], labels) for p in own
            ):
                yield f"{name} has no network policy for {direction}"
    for policy in policies:
        spec = policy["spec"]
        if not spec["podSelector"] and not spec.get("ingress") and not spec.get("egress"):
            return
    yield "no policy denies everything to all pods of the namespace segue"


def restricted(documents: Documents) -> Iterator[str]:
    """Pods meet Pod Security's level `restricted`, read-only and without a token; the namespace enforces the level."""
    for namespace in of_kind(documents, "Namespace"):
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name_of(namespace)} does not enforce restricted"
    for name, _, pod in pods(documents):
        spec, context = pod["spec"], pod["spec"].get("securityContext", {})
        if not (context.get("runAsNonRoot") and context.get("runAsUser", 0) > 0):
            yield f"{name} may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name} has no seccomp profile"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name} gets a token of the Kubernetes API"
        if any(spec.get(shared) for shared in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{name} shares the node's namespaces"
        allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        yield from (f"{name} mounts {v}" for v in spec.get("volumes", []) if not allowed & set(v))
        for entry in containers(pod):
            context = entry.get("securityContext", {})
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if context != wanted:
                yield f"{name}, {entry['name']}: its security context is not restricted"


def resources(documents: Documents) -> Iterator[str]:
    """Every container has requests and limits of processor and memory; every emptyDir has a size."""
    for name, _, pod in pods(documents):
        for entry in containers(pod):
            for bound in ("requests", "limits"):
                if set(entry.get("resources", {}).get(bound, {})) < {"cpu", "memory"}:
                    yield f"{name}, {entry['name']} has no {bound} of cpu and memory"
        for volume in pod["spec"].get("volumes", []):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{name}: the volume {volume['name']} has no limit"


def probes(documents: Documents) -> Iterator[str]:
    """Servers have startup, readiness and liveness probes, sidecars the first two; a probe's port exists."""
    for name, _, pod in pods(documents):
        for entry in containers(pod):
            sidecar = entry in pod["spec"].get("initContainers", [])
            wanted = ["startupProbe", "readinessProbe", *([] if sidecar else ["livenessProbe"])]
            ports = {port["name"] for port in entry.get("ports", [])}
            for probe in wanted if stays(entry, pod) else []:
                action = entry.get(probe, {})
                target = action.get("httpGet") or action.get("tcpSocket")
                if not (target and target["port"] in ports) and "exec" not in action:
                    yield f"{name}, {entry['name']} has no {probe} on a port of its own"


def references(documents: Documents) -> Iterator[str]:
    """Every ConfigMap, Secret, key, claim and account that a pod names exists in its namespace."""
    keys: dict[tuple[str, str, str], set[str]] = {}
    for document in of_kind(documents, "ConfigMap", "Secret"):
        metadata = document["metadata"]
        keys[document["kind"], metadata["namespace"], metadata["name"]] = set(document.get("data", {}))
    for certificate in of_kind(documents, "Certificate"):  # cert-manager writes the Secret
        made = ("Secret", certificate["metadata"]["namespace"], certificate["spec"]["secretName"])
        keys[made] = {"tls.crt", "tls.key", "ca.crt"}
    there = {(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in documents}
    for name, namespace, pod in pods(documents):
        if ("ServiceAccount", namespace, pod["spec"].get("serviceAccountName")) not in there:
            yield f"{name} has no account of its own"
        for kind, target, key in named(pod):
            known = keys.get((kind, namespace, target))
            if known is None and (kind, namespace, target) not in there:
                yield f"{name} names the {kind} {target}, which does not exist"
            elif key and key not in (known or ()):
                yield f"{name} names the key {key} of {target}, which does not exist"


def named(pod: Document) -> Iterator[tuple[str, str, str | None]]:
    """Kind, name and key of what a pod takes from ConfigMaps, Secrets and claims."""
    for entry in containers(pod):
        for variable in entry.get("env", []):
            source = variable.get("valueFrom", {})
            if "configMapKeyRef" in source:
                yield "ConfigMap", source["configMapKeyRef"]["name"], source["configMapKeyRef"]["key"]
            if "secretKeyRef" in source:
                yield "Secret", source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]
        for source in entry.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            yield kind, source.get("configMapRef", source.get("secretRef"))["name"], None
    for volume in pod["spec"].get("volumes", []):
        if "configMap" in volume:
            items = [item["key"] for item in volume["configMap"].get("items", [])]
            yield from (("ConfigMap", volume["configMap"]["name"], key) for key in items or [None])
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], None
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], None


def mounts(documents: Documents) -> Iterator[str]:
    """Volumes and mounts agree, and subPaths are where they help: on disks, whose root is not a server's to own.

    A ConfigMap or Secret that is mounted by subPath would never be brought up to date.
    """
    claims = {
        (name_of(d), claim["metadata"]["name"])
        for d in of_kind(documents, "StatefulSet")
        for claim in d["spec"].get("volumeClaimTemplates", [])
    }
    for name, _, pod in pods(documents):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        disks = {volume for volume in volumes if "persistentVolumeClaim" in volumes[volume]}
        disks |= {volume for owner, volume in claims if owner == name}
        used = [mount for entry in containers(pod) for mount in entry.get("volumeMounts", [])]
        if {mount["name"] for mount in used} != set(volumes) | disks:
            yield f"{name}: its volumes and its mounts differ"
        for mount in used:
            path = mount.get("subPath")
            if path and (path.startswith("/") or ".." in path.split("/")):
                yield f"{name}: the subPath {path} leaves its volume"
            if bool(path) != (mount["name"] in disks):
                yield f"{name}: {mount['mountPath']} must {'' if mount['name'] in disks else 'not '}have a subPath"


def models_only(documents: Documents) -> Iterator[str]:
    """TF Serving mounts models, its files and scratch, and writes to scratch alone."""
    for name, _, pod in pods(documents):
        for entry in pod["spec"]["containers"]:
            for mount in entry["volumeMounts"] if entry["name"] == "tf-serving" else []:
                if mount["name"] not in SERVER_VOLUMES:
                    yield f"{name}: the server mounts {mount['name']}"
                elif not mount.get("readOnly") and mount["name"] != "tmp":
                    yield f"{name}: the server may write to {mount['name']}"


def images(documents: Documents) -> Iterator[str]:
    """Every image has a version or a digest."""
    for name, _, pod in pods(documents):
        for entry in containers(pod):
            if not (DIGEST.fullmatch(entry["image"]) or TAG.fullmatch(entry["image"])):
                yield f"{name}: the image {entry['image']} names no version"


def digests(documents: Documents) -> Iterator[str]:
    """Every image is named by its digest. Production alone has to keep this rule."""
    for name, _, pod in pods(documents):
        for entry in containers(pod):
            if not DIGEST.fullmatch(entry["image"]):
                yield f"{name}: the image {entry['image']} has no digest"


def secrets(documents: Documents) -> Iterator[str]:
    """No secret stands outside of a Secret: neither in a variable nor in an argument nor in a setting."""
    for name, _, pod in pods(documents):
        for entry in containers(pod):
            for variable in entry.get("env", []):
                if SECRET_NAME.search(variable["name"]) and "value" in variable:
                    yield f"{name}: the variable {variable['name']} has its value in the manifest"
                if "$(" in variable.get("value", ""):
                    yield f"{name}: the variable {variable['name']} is made of others"
            for text in [*entry.get("command", []), *entry.get("args", [])]:
                if re.search(r"\$\(\w+\)", text):
                    yield f"{name}: {entry['name']} has a variable among its arguments, which every process can read"
    for config in of_kind(documents, "ConfigMap"):
        for key, value in config.get("data", {}).items():
            if SECRET_NAME.search(key) or re.search(r"://[^/@\s:]+:[^/@\s]+@|BEGIN [A-Z ]*PRIVATE KEY", value):
                yield f"{name_of(config)}: {key} holds a secret"


def selectors(documents: Documents) -> Iterator[str]:
    """Services, budgets and policies select pods that exist, and ports that these have."""
    templates = [(namespace, pod) for _, namespace, pod in pods(documents)]
    for document in of_kind(documents, "Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec, namespace = document["spec"], document["metadata"]["namespace"]
        selector = {"matchLabels": spec["selector"]} if document["kind"] == "Service" else spec.get("selector")
        selector = spec["podSelector"] if document["kind"] == "NetworkPolicy" else selector
        found = [pod for place, pod in templates if place == namespace and selects(selector, pod["metadata"]["labels"])]
        elsewhere = [STEP, CLIENT, PLAYER]  # pods that no manifest of ours makes
        if not found and not any(p["namespace"] == namespace and selects(selector, p["labels"]) for p in elsewhere):
            yield f"{name_of(document)} selects no pod"
        ports = {port["name"] for pod in found for entry in containers(pod) for port in entry.get("ports", [])}
        asked = [port.get("targetPort") for port in spec.get("ports", [])]
        asked += [port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]]
        yield from (f"{name_of(document)} names the port {port}" for port in asked if port not in ports)


def budgets(documents: Documents) -> Iterator[str]:
    """Every server has a PodDisruptionBudget that lets a node be drained."""
    found = of_kind(documents, "PodDisruptionBudget")
    for server in of_kind(documents, "Deployment", "StatefulSet"):
        labels = server["spec"]["template"]["metadata"]["labels"]
        own = [budget["spec"] for budget in found if selects(budget["spec"]["selector"], labels)]
        if [spec.get("maxUnavailable") for spec in own] != [1]:
            yield f"{name_of(server)} has no budget of one pod"


Rule = Callable[[Documents], Iterator[str]]
EVERYWHERE: list[Rule] = [
    *(default_deny, restricted, resources, probes, references, mounts),
    *(models_only, images, secrets, selectors, budgets),
]
RULES: dict[str, list[Rule]] = {"kind": EVERYWHERE, "minikube": EVERYWHERE, "prod": [*EVERYWHERE, digests]}


def breaches(documents: Documents, overlay: str) -> list[str]:
    """All breaches of an overlay's rules."""
    return [breach for rule in RULES[overlay] for breach in rule(documents)]
