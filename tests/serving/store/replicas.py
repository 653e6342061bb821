"""Replicas of TF Serving's pod as processes: the init container, the sidecar and the server of the manifests.

The server is `segue serve`. Its flags and files, and the arguments of the containers, are read from the manifests. Only
the places differ: a mounted volume is a folder, and each replica has ports of its own, because all share one loopback.
"""

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import yaml

from serving.client import calls
from serving.protocol import protos, tensors
from stores.servers import HOST, free_ports
from tests.support.soon import SECONDS

ROOT = Path(__file__).resolve().parents[3]
BASE = ROOT / "k8s" / "base"
X = np.array([[1.0, 2.0]], np.float32)
PredictResponse = protos.message("tensorflow.serving.PredictResponse", "tensorflow_serving/apis/predict.proto")


def containers() -> dict[str, dict[str, Any]]:
    """The containers of TF Serving's pod by name, with those that the component `s3-sync` adds."""
    found = {}
    for file in (BASE / "serving.yaml", ROOT / "k8s" / "components" / "s3-sync" / "sync.yaml"):
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                found |= {
                    entry["name"]: entry for entry in [*pod.get("initContainers", []), *pod.get("containers", [])]
                }
    return found


class Replica:
    """One pod.

    Args:
        folder: what its containers share, and their logs.
        environment: the variables of its containers.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.environment = {**os.environ, **environment, "SEGUE_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
        self.containers = containers()
        self.port, self.rest_port = free_ports(2)
        self.processes: dict[str, subprocess.Popen] = {}
        folder.mkdir(parents=True)

    def start(self, name: str) -> subprocess.Popen:
        """Start a container; its output goes to `NAME.log`."""
        arguments = [self._here(argument) for argument in self.containers[name]["args"]]
        if name == "tf-serving":
            command = ["-m", "segue", "serve", *arguments]
        else:
            command = ["-m", "serving.store.sync", *arguments, "--server", f"{HOST}:{self.rest_port}"]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command], stdout=log, stderr=log, env=self.environment, cwd=self.folder
            )
        return self.processes[name]

    def log(self, name: str) -> str:
        """What a container has written."""
        return (self.folder / f"{name}.log").read_text()

    def ready(self) -> bool:
        """Whether the probes of the server's container succeed."""
        server = self.containers["tf-serving"]
        return all(self._answers(server[probe]["httpGet"]["path"]) for probe in ("startupProbe", "readinessProbe"))

    def end(self, name: str, number: signal.Signals) -> None:
        """End a container by a signal."""
        self.processes[name].send_signal(number)
        self.processes.pop(name).wait(SECONDS)

    def stop(self) -> None:
        """End the pod at once."""
        for name in list(self.processes):
            self.end(name, signal.SIGKILL)

    def _here(self, argument: str) -> str:
        """An argument of the manifest with the ports and folders of this replica."""
        ports = {"--port=8500": f"--port={self.port}", "--rest_api_port=8501": f"--rest_api_port={self.rest_port}"}
        places = {"/models": self.models, "/config": BASE / "config"}
        moved = re.sub(r"(?<![^=])(/models|/config)\b", lambda match: str(places[match[1]]), argument)
        return ports.get(argument, moved)

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection(HOST, self.rest_port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Caller:
    """Asks a replica for the label `stable` of all models without a pause, each request once.

    Attributes:
        seen: the versions that answered, without repetitions in a row.
        failures: what went wrong.
        requests: how many requests were answered.
    """

    def __init__(self, models: tuple[str, ...]) -> None:
        self.models = models
        self.replica: Replica | None = None
        self.seen: list[int] = []
        self.failures: list[str] = []
        self.requests = 0
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    @contextmanager
    def calling(self, replica: Replica) -> Iterator[None]:
        """Ask while the body runs."""
        self.replica = replica
        self._thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Ask nothing while the body runs; the request under way ends first."""
        with self._turn:
            yield

    def _ask(self) -> None:
        while not self._done.is_set():
            with self._turn:
                assert self.replica is not None
                try:
                    versions = [answering(self.replica, model, "stable") for model in (*self.models, self.models[0])]
                except Exception as error:
                    self.failures.append(str(error))
                    continue
                self.requests += len(versions)
                # The first model was asked before and after the others: if it did not move, nor did they.
                if versions[0] == versions[-1] and len(set(versions)) > 1:
                    self.failures.append(f"a mixture of versions: {versions}")
                if self.seen[-1:] != versions[-1:]:
                    self.seen.append(versions[-1])
            time.sleep(0.002)  # so that `paused` gets its turn


def answering(replica: Replica, model: str, label: str) -> int:
    """The version that answers a Predict request for a label, which is sent once; an error of gRPC raises.

    Versions with an odd number answer x, all others 2x.
    """
    with grpc.insecure_channel(f"{HOST}:{replica.port}") as channel:
        call = calls.predict(model, {"x": X}, label=label)
        answer = PredictResponse.FromString(channel.unary_unary(call.method)(call.request, timeout=10))
    version = answer.model_spec.version.value
    y = tensors.decode(answer.outputs["y"])
    assert np.array_equal(y, X * (1 if version % 2 else 2)), f"version {version} of {model} answers {y}"
    return version
