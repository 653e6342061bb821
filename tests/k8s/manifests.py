"""The manifests as `kubectl kustomize` renders them, and how tests look into them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("kind", "minikube", "prod")
KUBECTL = Path(sys.executable).with_name("kubectl")
# A pod of a Kubeflow Pipelines run: no manifest of ours makes it, but the rules of its network are ours.
STEP = {"namespace": "kubeflow", "labels": {"pipeline/runid": "0f6c8d6e"}}
# A caller of TF Serving, and one of the gateway, such as the player's backend.
CLIENT = {"namespace": "segue", "labels": {"segue.client": "true"}}
PLAYER = {"namespace": "segue", "labels": {"segue.listeners": "true"}}

Document = dict[str, Any]
Documents = list[Document]


def render(folder: Path) -> Documents:
    """The documents that `kubectl kustomize` writes for a folder."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, env={**os.environ, "HOME": "/"}
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(documents: Documents, *kinds: str) -> Documents:
    """The documents of some kinds."""
    return [document for document in documents if document["kind"] in kinds]


def name_of(document: Document) -> str:
    """Kind, namespace and name of a document, for messages."""
    metadata = document["metadata"]
    return f"{document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def pods(documents: Documents) -> Iterator[tuple[str, str, Document]]:
    """Name and namespace of each workload, and the template of its pods."""
    for document in of_kind(documents, "Deployment", "StatefulSet", "Job", "CronJob"):
        spec = document["spec"]["jobTemplate"]["spec"] if document["kind"] == "CronJob" else document["spec"]
        yield name_of(document), document["metadata"]["namespace"], spec["template"]


def containers(template: Document) -> list[Document]:
    """All containers of a pod."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def stays(container: Document, template: Document) -> bool:
    """Whether a container runs as long as its pod: a server or a sidecar, not a container that ends."""
    if container in template["spec"].get("initContainers", []):
        return container.get("restartPolicy") == "Always"
    return template["spec"].get("restartPolicy", "Always") == "Always"


def container(documents: Documents, name: str) -> Document:
    """The only container of that name."""
    (found,) = (entry for _, _, pod in pods(documents) for entry in containers(pod) if entry["name"] == name)
    return found


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a label selector matches labels; an empty selector matches all."""
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "Exists"
        if expression["key"] not in labels:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
