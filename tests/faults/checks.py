"""What must hold in a home after a command was ended, whenever that was."""

import fcntl
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from events import dataset
from segue.files import TEMPORARY, tree_sha256
from segue.settings import Home
from serving.store import model_store
from serving.store.versions import faults as version_faults

PATIENCE = 10.0  # seconds until the processes of a killed command and their locks are gone


def faults(home: Home, data_sets: set[str]) -> Iterator[str]:
    """Yield what is wrong in a home in which nothing is at work.

    Args:
        home: the home.
        data_sets: checksums of the folder `data` that are whole.
    """
    if left := still_running(home.root):
        yield f"still running: {left}"
    for lock in (home.lock, home.root / ".data.lock", home.models / ".lock"):
        if lock.exists() and not is_free(lock):
            yield f"{lock.name} is held"
    yield from data_faults(home, data_sets)
    yield from store_faults(home)
    for path in home.root.rglob("*.json"):
        if TEMPORARY not in str(path) and "artifacts" not in path.parts:
            json.loads(path.read_text())
    for database in (home.features / "online.db", home.mlflow / "mlflow.db"):
        if database.exists():
            with closing(sqlite3.connect(database)) as connection:
                if connection.execute("pragma integrity_check").fetchone() != ("ok",):
                    yield f"{database.name} is broken"


def data_faults(home: Home, data_sets: set[str]) -> Iterator[str]:
    """Yield what is wrong with the imported data set: it is the old one or the new one, and has its rows."""
    tables = dataset.load(home.data)
    rows = {"events": sum(pq.read_metadata(file).num_rows for file in tables.events_files)}
    rows |= {
        "items": tables.items.num_rows,
        "users": tables.users.num_rows,
        "quarantined": tables.quarantine().num_rows,
    }
    if rows != tables.manifest["counts"]:
        yield f"the manifest counts {tables.manifest['counts']}, the tables have {rows}"
    if tree_sha256(home.data) not in data_sets:
        yield "the data set is neither the old one nor the new one"


def store_faults(home: Home) -> Iterator[str]:
    """Yield what is wrong with the model store: versions are whole, and labels name versions that exist."""
    labels = model_store.labels(home.models)
    if len({json.dumps(named, sort_keys=True) for named in labels.values()}) != 1:
        yield f"the labels of the models differ: {labels}"
    for model, named in labels.items():
        versions = model_store.versions(home.models, model)
        if missing := set(named.values()) - set(versions):
            yield f"{model} has no version {missing}"
        for version in versions:
            yield from (f"{model} {version}: {fault}" for fault in version_faults(home.models, model, version))


def still_running(folder: Path) -> list[str]:
    """Return the command lines that name a folder, if they do not end soon."""
    deadline = time.monotonic() + PATIENCE
    while True:
        listed = subprocess.run(["ps", "-Awwo", "stat=,args="], capture_output=True, text=True, check=True).stdout
        lines = [line for line in listed.splitlines() if str(folder) in line and not line.startswith("Z")]
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def is_free(lock: Path) -> bool:
    """Whether nobody holds a lock, or not for long: a dying process gives up its files after it has left `ps`."""
    deadline = time.monotonic() + PATIENCE
    with lock.open("r+") as file:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(0.1)
    return False
