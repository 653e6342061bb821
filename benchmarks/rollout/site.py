"""A site to roll out on: the listeners of the world `nano`, tiny models, a model server and a gateway of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.results import Say
from benchmarks.rollout.stored_models import MODELS, make
from benchmarks.serving.process import ending, free_port, start_server, wait_ready
from benchmarks.subprocesses import run_module
from benchmarks.surfaces.gateway import HOST, listeners, started
from events import dataset
from events.importers.synthetic import generate, sized
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import CANARY
from workloads.monitoring.refresh import refresh_features


@dataclass(frozen=True)
class Site:
    """A running site. Version 1 of both models is stable, version 2 is the canary.

    Attributes:
        home: the home.
        server: the address of the model server.
        gateway: the address of the gateway.
        users: the listeners.
    """

    home: Home
    server: str
    gateway: str
    users: list[str]


def make_home(home: Home, at: datetime) -> None:
    """Fill a home: an imported log, online features, and two versions of the models.

    Args:
        home: an empty home.
        at: the instant up to which the log is complete, UTC.
    """
    dataset.write(home.data, generate(sized("nano", None, None, 1), 0))
    refresh_features(home, at)
    saved = home.root / "saved"
    make(saved, dataset.load(home.data).items["item_id"].to_pylist(), 2)
    for variant, label in ((1, "stable"), (2, CANARY)):
        model_store.push(home.models, {model: saved / f"{model}-{variant}" for model in MODELS}, label=label)


def made(folder: Path, at: datetime) -> Home:
    """Return a home in a folder, filled as by `make_home` in a process of its own.

    Raises:
        SegueError: the process failed.
    """
    run_module("benchmarks.rollout.site", folder, at.isoformat(), timeout=600, quiet=True)
    return Home(folder)


@contextmanager
def running(home: Home, say: Say) -> Iterator[Site]:
    """A site that runs while the body does.

    Args:
        home: as `made` makes it; it is written to.
        say: prints progress.

    Raises:
        SegueError: a process does not start.
    """
    log = home.root / "servers.log"
    say("starting the model server")
    server = f"{HOST}:{free_port()}"
    with ending(start_server(int(server.rpartition(":")[2]), (), home.root, log)) as process:
        wait_ready(process, server, MODELS, log)
        command = ["-m", "segue", "gateway", "--server", server, "--port"]
        with started("the gateway", command, home, log, say) as (port, _):
            yield Site(home, server, f"http://{HOST}:{port}", listeners(home))


if __name__ == "__main__":
    make_home(Home(Path(sys.argv[1])), datetime.fromisoformat(sys.argv[2]))
