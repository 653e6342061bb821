"""Fixtures: real PostgreSQL, Valkey and S3 servers on loopback, one of each for a test session."""

import contextlib
import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from stores import online_store, servers
from stores.s3 import Bucket
from stores.settings import Settings, settings


@pytest.fixture(scope="session")
def service_password() -> str:
    """The password of all services."""
    return secrets.token_hex(16)


def _running(make: Callable[[Path, int, str], servers.Server], folder: Path, password: str) -> Iterator[servers.Server]:
    """A server that runs until its fixture ends."""
    server = make(folder, servers.free_ports(1)[0], password)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, service_password) -> Iterator[servers.Server]:
    """PostgreSQL with the user `segue`, and the databases `feast` and `mlflow`. Who kills it starts it again."""
    yield from _running(servers.postgres, tmp_path_factory.mktemp("postgres"), service_password)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory, service_password) -> Iterator[servers.Server]:
    """Valkey. Who kills it starts it again."""
    yield from _running(servers.valkey, tmp_path_factory.mktemp("valkey"), service_password)


@pytest.fixture(scope="session")
def objects(tmp_path_factory, service_password) -> Iterator[servers.Server]:
    """An S3 server with the bucket `segue`. Who kills it starts it again."""
    yield from _running(servers.objects, tmp_path_factory.mktemp("objects"), service_password)


@pytest.fixture
def redis_settings(valkey, service_password) -> Settings:
    """The settings of an empty Valkey, as far as the journal and roll-outs read them."""
    settings = Settings(
        profile="cluster",
        online_store=f"redis://{servers.HOST}:{valkey.port}/3",
        online_store_password=SecretStr(service_password),
    )
    with contextlib.closing(online_store.connect(settings)) as client:
        client.flushdb()
    return settings


@pytest.fixture
def s3_credentials(monkeypatch, service_password) -> None:
    """The variables of an access key with all rights."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", service_password)


@pytest.fixture
def bucket(objects, s3_credentials) -> Bucket:
    """An empty place in the bucket of the S3 server, for one test."""
    return Bucket(servers.BUCKET, uuid.uuid4().hex, f"http://{servers.HOST}:{objects.port}")


@pytest.fixture
def cluster(bucket, postgres, valkey, service_password, monkeypatch) -> dict[str, str]:
    """The variables of the profile `cluster` over the three servers, set in this process too.

    The bucket and Valkey are empty: the tests of a worker share the server, and none may see what another left there.
    """
    variables = {
        "SEGUE_PROFILE": "cluster",
        "SEGUE_ONLINE_STORE": f"redis://{servers.HOST}:{valkey.port}/0",
        "SEGUE_ONLINE_STORE_PASSWORD": service_password,
        "SEGUE_REGISTRY": f"postgresql://{servers.USER}@{servers.HOST}:{postgres.port}/feast",
        "SEGUE_REGISTRY_PASSWORD": service_password,
        "SEGUE_TRACKING": f"postgresql://{servers.USER}:{service_password}@{servers.HOST}:{postgres.port}/mlflow",
        "SEGUE_OBJECTS": bucket.url,
        "SEGUE_OBJECTS_ENDPOINT": str(bucket.endpoint),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(online_store.connect(settings())) as client:
        client.flushdb()
    return variables
