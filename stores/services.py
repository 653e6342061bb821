"""PostgreSQL, Valkey and an S3 server for a person: `make services` starts them, `make services-down` stops them.

They run on loopback until they are stopped, and keep their data, passwords and process ids in `<home>/services/`.
"""

import secrets
import shlex
import signal
import socket
from pathlib import Path
from typing import Any

import click
import yaml

from segue import files
from segue.clock import utc_now
from segue.entry import enter
from segue.lock import locked
from segue.settings import Home
from segue.terminal import say
from stores import servers

MAKERS = {"postgres": servers.postgres, "valkey": servers.valkey, "objects": servers.objects}
STATE = "state.json"  # server -> port, process id, when the process began (s since 1970), and the signal that ends it
SETTINGS = "segue.yaml"
PASSWORD, S3_CREDENTIALS, POSTGRES_PASSWORDS = (
    "password",
    "aws_credentials",
    "pgpass",
)  # files that only the owner reads


def start(folder: Path) -> dict[str, int]:
    """Start the servers that do not run, each on the port that it had before if that is free, and write the settings.

    Args:
        folder: the folder of all their files.

    Returns:
        Server -> port.

    Raises:
        InputError: a wheel is not installed.
        UnavailableError: a server does not start.
    """
    state, password = _state(folder), _password(folder)
    for name, make in MAKERS.items():
        before = state.get(name, {})
        if _runs(before):
            continue
        server = make(folder / name, _port(before), password)
        server.start()
        state[name] = {"port": server.port, "pid": server.pid, "began": _began(server.pid), "ends": server.ends}
        files.write_json(folder / STATE, state)  # now, so that `stop` finds it if the next one does not start
    ports = {name: int(state[name]["port"]) for name in MAKERS}
    _write_private(
        folder / S3_CREDENTIALS,
        f"[default]\naws_access_key_id = {servers.USER}\naws_secret_access_key = {password}\n",
    )
    _write_private(folder / POSTGRES_PASSWORDS, f"{servers.HOST}:{ports['postgres']}:*:{servers.USER}:{password}\n")
    files.write_text(folder / SETTINGS, yaml.safe_dump(settings_for(ports), sort_keys=False))
    return ports


def stop(folder: Path) -> list[str]:
    """Stop the servers that run, in order of name, and return their names. Their data and ports stay."""
    state = _state(folder)
    running = sorted(name for name, entry in state.items() if _runs(entry))
    for name in running:
        servers.end(state[name].pop("pid"), signal.Signals(state[name]["ends"]))
    files.write_json(folder / STATE, state)
    return running


def settings_for(ports: dict[str, int]) -> dict[str, str]:
    """Return the settings that use the servers, without secrets.

    Args:
        ports: server -> port.
    """
    postgres = f"postgresql://{servers.USER}@{servers.HOST}:{ports['postgres']}"
    return {
        "profile": "cluster",
        "online_store": f"redis://{servers.HOST}:{ports['valkey']}/0",
        "registry": f"{postgres}/feast",
        "tracking": f"{postgres}/mlflow",
        "objects": f"s3://{servers.BUCKET}",
        "objects_endpoint": f"http://{servers.HOST}:{ports['objects']}",
    }


def variables_for(folder: Path) -> dict[str, str]:
    """Return the variables that name the settings and the files of the secrets."""
    return {
        "SEGUE_SETTINGS": str(folder / SETTINGS),
        "SEGUE_ONLINE_STORE_PASSWORD_FILE": str(folder / PASSWORD),
        "SEGUE_REGISTRY_PASSWORD_FILE": str(folder / PASSWORD),
        "PGPASSFILE": str(folder / POSTGRES_PASSWORDS),  # for MLflow
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / S3_CREDENTIALS),
    }


def _state(folder: Path) -> dict[str, dict[str, Any]]:
    """What `start` wrote about the servers; empty before the first start."""
    path = folder / STATE
    return files.read_json(path) if path.is_file() else {}


def _password(folder: Path) -> str:
    """The password of all servers, which is made at the first start."""
    path = folder / PASSWORD
    if not path.is_file():
        _write_private(path, secrets.token_hex(16))
    return path.read_text(encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    with files.atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")


def _runs(entry: dict[str, Any]) -> bool:
    """Whether the process of a server still runs; a newer process may have got its id."""
    return "pid" in entry and _began(entry["pid"]) == entry["began"]


def _began(pid: int) -> float | None:
    """When a process began, in s since 1970; None if it does not run."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _port(before: dict[str, Any]) -> int:
    """The port that a server had before if it is free, or another free port."""
    if "port" in before:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((servers.HOST, before["port"]))
                return before["port"]
            except OSError:
                pass
    return servers.free_ports(1)[0]


@click.group()
def services() -> None:
    """PostgreSQL, Valkey and an S3 server on this machine."""


@services.command()
def up() -> None:
    """Start the servers, and print the settings and the variables that use them."""
    folder = Home.from_env().services
    with locked(folder / "lock", "start the local services", utc_now(), servers.READY_SECONDS):
        ports = start(folder)
    say(f"# {folder / SETTINGS}")
    for line in (folder / SETTINGS).read_text(encoding="utf-8").splitlines():
        say(line)
    say("# for the shell:")
    for name, value in variables_for(folder).items():
        say(f"export {name}={shlex.quote(value)}")
    say("# running: " + ", ".join(f"{name} on port {port}" for name, port in ports.items()))


@services.command()
def down() -> None:
    """Stop the servers. Their data stays."""
    folder = Home.from_env().services
    with locked(folder / "lock", "stop the local services", utc_now(), servers.READY_SECONDS):
        stopped = stop(folder)
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing runs")


if __name__ == "__main__":
    enter(services)
