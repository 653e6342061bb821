"""The doctor soon names the part that fails, with its fix and an exit code."""

import os
import re
import signal
import socket
import sys

import pytest

from segue.errors import EXIT_RETRY, EXIT_USAGE, UnavailableError
from stores import online_store, registry, servers
from stores.doctor import examine
from stores.settings import settings
from tests.support.soon import soon

pytestmark = pytest.mark.slow
NOWHERE = "127.0.0.1:9"  # the discard port, where nothing listens


def findings(home) -> dict:
    """What the doctor says by part."""
    return {finding.part: finding for finding in examine(settings(), home)}


def test_all_parts_of_a_cluster_are_well(cluster, tmp_path):
    """If this fails, the doctor finds fault with servers that work."""
    found = findings(tmp_path / "home")
    assert list(found) == ["home", "online_store", "registry", "objects", "tracking"]
    assert {part: finding.detail for part, finding in found.items() if finding.fix} == {}
    assert re.fullmatch(r"Valkey \d+\.\S+, \d+ MiB used, appendonly on", found["online_store"].detail)
    assert found["registry"].detail.startswith("PostgreSQL ")
    assert re.fullmatch(r"SeaweedFS .*\d: read, write, conditional write", found["objects"].detail)


def test_a_model_store_of_its_own_is_a_part_of_its_own(cluster, tmp_path, monkeypatch):
    """If this fails, a run trains for an hour before its push finds that its bucket is missing."""
    monkeypatch.setenv("SEGUE_MODELS", "s3://no-such-bucket/models")
    found = findings(tmp_path / "home")
    assert {part for part, finding in found.items() if finding.fix} == {"models"}
    assert "no bucket of s3://no-such-bucket" in found["models"].detail


def test_the_memory_of_a_bounded_online_store_is_told(cluster, tmp_path):
    """If this fails, nobody sees that the journal will soon be refused."""
    client = online_store.connect(settings())
    client.config_set("maxmemory", "384mb")
    try:
        assert re.search(r", \d+ of 384 MiB used, ", findings(tmp_path)["online_store"].detail)
    finally:
        client.config_set("maxmemory", "0")


def test_no_secret_is_shown(cluster, tmp_path, service_password):
    """If this fails, a password is in the doctor's words."""
    assert service_password not in str(findings(tmp_path))


@pytest.mark.parametrize(
    ("variable", "value", "part", "exit_code", "words"),
    [
        ("SEGUE_ONLINE_STORE", f"redis://{NOWHERE}/0", "online_store", EXIT_RETRY, "does not answer"),
        ("SEGUE_ONLINE_STORE", "redis://no-such-host.invalid:6379/0", "online_store", EXIT_RETRY, "does not answer"),
        ("SEGUE_ONLINE_STORE_PASSWORD", "wrong", "online_store", EXIT_USAGE, "password"),
        ("SEGUE_ONLINE_STORE_PASSWORD", "", "online_store", EXIT_USAGE, "password"),
        ("SEGUE_REGISTRY", f"postgresql://segue@{NOWHERE}/feast", "registry", EXIT_RETRY, "does not answer"),
        ("SEGUE_REGISTRY_PASSWORD", "wrong", "registry", EXIT_USAGE, "authentication failed"),
        ("SEGUE_OBJECTS_ENDPOINT", f"http://{NOWHERE}", "objects", EXIT_RETRY, "does not answer"),
        ("SEGUE_OBJECTS", "s3://no-such-bucket", "objects", EXIT_USAGE, "no bucket"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "objects", EXIT_USAGE, "credentials"),
        ("AWS_ACCESS_KEY_ID", servers.READER, "objects", EXIT_USAGE, "no right"),
        ("SEGUE_REGISTRY", "postgresql://segue@no-such-host.invalid/feast", "registry", EXIT_RETRY, "does not answer"),
        ("SEGUE_REGISTRY", "postgresql://nobody@{}/feast", "registry", EXIT_USAGE, "authentication failed"),
        ("SEGUE_ONLINE_STORE", "redis://{}/99", "online_store", EXIT_USAGE, "index"),
        ("SEGUE_OBJECTS_ENDPOINT", "http://no-such-host.invalid:1", "objects", EXIT_RETRY, "does not answer"),
        ("SEGUE_TRACKING", f"http://{NOWHERE}", "tracking", EXIT_RETRY, "does not answer"),
        ("SEGUE_TRACKING", "http://no-such-host.invalid", "tracking", EXIT_RETRY, "does not answer"),
        ("SEGUE_TRACKING", f"postgresql://segue@{NOWHERE}/mlflow", "tracking", EXIT_RETRY, "does not answer"),
        ("SEGUE_TRACKING", "postgresql://segue:wrong@{}/mlflow", "tracking", EXIT_USAGE, "authentication failed"),
    ],
)
def test_a_part_that_fails_is_named_with_its_fix(
    cluster, tmp_path, monkeypatch, postgres, valkey, variable, value, part, exit_code, words
):
    """If this fails, a wrong setting is not found, or the others are not checked any more."""
    port = (valkey if value.startswith("redis:") else postgres).port
    monkeypatch.setenv(variable, value.format(f"127.0.0.1:{port}"))
    with soon():
        found = findings(tmp_path / "home")
    assert {name for name, finding in found.items() if finding.fix} == {part}
    assert (found[part].exit_code, words in found[part].detail) == (exit_code, True), found[part]


def test_a_database_that_does_not_exist_is_an_error_of_the_input(cluster, tmp_path, monkeypatch):
    """If this fails, a wrong name is retried for ever."""
    monkeypatch.setenv("SEGUE_REGISTRY", cluster["SEGUE_REGISTRY"].replace("/feast", "/nowhere"))
    assert findings(tmp_path)["registry"].exit_code == EXIT_USAGE


@pytest.fixture
def database(cluster):
    """A connection to the registry's database."""
    with registry.connect(settings()) as connection:
        yield connection


def test_a_registry_that_takes_no_writes_may_take_them_later(database, tmp_path):
    """If this fails, a standby server passes for the primary one, and the first step that writes finds out."""
    database.execute("ALTER DATABASE feast SET default_transaction_read_only = on")
    try:
        found = findings(tmp_path)["registry"]
    finally:
        database.execute("ALTER DATABASE feast SET default_transaction_read_only = off")
    assert (found.exit_code, "does not take writes" in found.detail) == (EXIT_RETRY, True), found


def test_a_registry_on_a_full_disk_may_have_room_later(database):
    """If this fails, a full disk is told as a fault of the settings. The server raises the error that it then has."""
    words = "could not extend file: No space left on device"
    with pytest.raises(UnavailableError, match=f"does not take writes: {words}"), registry.faults(settings()):
        database.execute(f"DO $$ BEGIN RAISE '{words}' USING ERRCODE = 'disk_full'; END $$")


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "9"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
    ],
    ids=["full", "read-only", "without its replicas"],
)
def test_an_online_store_that_takes_no_writes_may_take_them_later(cluster, tmp_path, bad, good):
    """If this fails, the first refresh finds out, or a full memory is told as a fault of the settings."""
    client = online_store.connect(settings())
    client.execute_command(*bad)
    try:
        found = findings(tmp_path)["online_store"]
    finally:
        client.execute_command(*good)
    assert (found.exit_code, "does not take writes" in found.detail) == (EXIT_RETRY, True), found


@pytest.mark.skipif(sys.platform != "linux", reason="the options of the kernel have other names elsewhere")
def test_a_registry_whose_host_is_gone_is_given_up(database):
    """If this fails, a step waits for two hours for a node that has lost its power. The figures are the kernel's."""
    with socket.socket(fileno=os.dup(database.fileno())) as connection:
        idle, interval, count = (
            connection.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + interval * count < 15
        assert 0 < connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 15_000  # milliseconds


@pytest.mark.parametrize(("server", "stopped"), [("valkey", {"online_store"}), ("postgres", {"registry", "tracking"})])
def test_a_server_that_hangs_is_given_up(cluster, tmp_path, request, server, stopped):
    """If this fails, a stopped server holds the doctor."""
    pid = request.getfixturevalue(server).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with soon():
            found = findings(tmp_path)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {part: finding.exit_code for part, finding in found.items() if finding.fix} == dict.fromkeys(
        stopped, EXIT_RETRY
    )


def test_a_home_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """If this fails, a run finds out in its first step."""
    monkeypatch.delenv("SEGUE_PROFILE", raising=False)
    (tmp_path / "file").write_text("")
    found = findings(tmp_path / "file")
    assert found["home"].exit_code == EXIT_USAGE
