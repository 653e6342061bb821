"""What the gateway stands on, as processes of their own that are killed and started again, in both profiles."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from events.ingest import ingest
from feature_repo.feast_store import publish
from feature_repo.online import refresh
from models.training_config import TrainingConfig
from segue.settings import Home
from stores import servers
from tests.support.processes import Running, gateway, model_server

MODELS, STORE, ONLINE, JOURNAL, GATEWAY = "model server", "Valkey", "online store", "journal", "gateway"
# How often each is killed; a model server takes longest to start again. Valkey has the online store and the journal of
# a cluster. In a home both are files, which another process locks until it is killed.
VICTIMS = {
    "cluster": {MODELS: 1, STORE: 6, GATEWAY: 3},
    "embedded": {MODELS: 1, ONLINE: 4, JOURNAL: 4, GATEWAY: 3},
}
# Another process that writes to a database and does not end.
LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("begin immediate")
print("locked", flush=True)
time.sleep(3600)
"""


class Stack:
    """A gateway with all that it stands on.

    Args:
        home: a home with an imported log, online features and pushed models. It is written to.
        valkey: the online store and the journal; None for files of the home.
    """

    def __init__(self, home: Home, valkey: servers.Server | None) -> None:
        self.home, self._valkey = home, valkey
        self._model_port, self._port = servers.free_ports(2)
        self._lock: subprocess.Popen | None = None
        self._models, self._gateway = self._start_models(), self._start_gateway()

    @property
    def address(self) -> str:
        """The gateway's address, which stays."""
        return f"http://{servers.HOST}:{self._port}"

    def wait(self) -> None:
        """Wait until the model server and the gateway answer."""
        self._models.wait()
        self._gateway.wait()

    def kill(self, victim: str) -> None:
        """End a part by SIGKILL, or lock its file."""
        if victim in (ONLINE, JOURNAL):
            database = self.home.journal if victim == JOURNAL else self.home.features / "online.db"
            self._lock = subprocess.Popen([sys.executable, "-c", LOCK, str(database)], stdout=subprocess.PIPE)
            assert self._lock.stdout
            assert self._lock.stdout.readline()
        elif victim == STORE:
            assert self._valkey
            self._valkey.kill()
        else:
            (self._models if victim == MODELS else self._gateway).end(signal.SIGKILL)

    def start(self, victim: str) -> None:
        """Start a part again and wait until it answers, or kill the process that locks its file."""
        if victim in (ONLINE, JOURNAL):
            assert self._lock
            self._lock.kill()
            self._lock.communicate()
        elif victim == STORE:
            assert self._valkey
            self._valkey.start()
        elif victim == MODELS:
            self._models = self._start_models()
            self._models.wait()
        else:
            self._gateway = self._start_gateway()
            self._gateway.wait()

    def end(self) -> None:
        """End the processes, and check that the gateway ended in order."""
        code = self._gateway.end()
        self._models.end()
        assert code == 0, "".join(self._gateway.lines)

    def _start_gateway(self) -> Running:
        return gateway(self.home.root, f"{servers.HOST}:{self._model_port}", port=self._port)

    def _start_models(self) -> Running:
        return model_server(self.home.root, self._model_port)


@contextmanager
def stack(profile: str, home: Home, folder: Path) -> Iterator[Stack]:
    """A running stack in a profile. While the body runs, the settings of this process are the stack's.

    Args:
        profile: a key of `VICTIMS`.
        home: see `Stack`.
        folder: an empty folder for the data of servers.
    """
    before = dict(os.environ)
    with ExitStack() as ending:
        ending.callback(lambda: (os.environ.clear(), os.environ.update(before)))
        valkey = None
        if profile == "cluster":
            password, running = secrets.token_hex(16), {}
            for make in (servers.valkey, servers.postgres, servers.objects):
                server = make(folder / make.__name__, servers.free_ports(1)[0], password)
                server.start()
                ending.callback(server.kill)
                running[make.__name__] = server
            os.environ.update(variables({name: server.port for name, server in running.items()}, password))
            valkey = running["valkey"]
            put_online(home, folder / "ingested")
        started = Stack(home, valkey)
        ending.callback(started.end)
        started.wait()
        yield started


def variables(ports: dict[str, int], password: str) -> dict[str, str]:
    """The variables of the profile `cluster` over servers on loopback."""
    database = f"{servers.USER}@{servers.HOST}:{ports['postgres']}"
    return {
        "SEGUE_PROFILE": "cluster",
        "SEGUE_ONLINE_STORE": f"redis://{servers.HOST}:{ports['valkey']}/0",
        "SEGUE_ONLINE_STORE_PASSWORD": password,
        "SEGUE_REGISTRY": f"postgresql://{database}/feast",
        "SEGUE_REGISTRY_PASSWORD": password,
        "SEGUE_TRACKING": f"postgresql://{database.replace('@', f':{password}@')}/mlflow",
        "SEGUE_OBJECTS": f"s3://{servers.BUCKET}/faults",
        "SEGUE_OBJECTS_ENDPOINT": f"http://{servers.HOST}:{ports['objects']}",
        "AWS_ACCESS_KEY_ID": servers.USER,
        "AWS_SECRET_ACCESS_KEY": password,
    }


def put_online(home: Home, ingested: Path) -> None:
    """Fill the online store and the registry of the cluster from a home's log and feature tables."""
    tables = home.features / "tables"
    ingest(home.data, ingested, TrainingConfig().split)
    refresh(home, ingested, tables)
    publish(home, tables)
