"""Evidently's own pages on drift comparisons: `python -m monitoring.evidently_pages SNAPSHOTS --port 8000`.

Evidently's workspace takes 8 s of CPU to import, so a comparison only leaves a snapshot, and this process makes the
workspace of them, in a folder that ends with it.
"""

import tempfile
import threading
from pathlib import Path

import click

from monitoring.snapshots import listed, read

EVERY_SECONDS = 5.0  # between two looks for new snapshots


class Workspace:
    """Evidently's workspace in a folder, filled from snapshots."""

    def __init__(self, folder: Path, snapshots: Path) -> None:
        from evidently.ui.workspace import Workspace as Evidently

        self.evidently = Evidently.create(str(folder))
        self.project = self.evidently.create_project(
            "Drift", "Each checked day or span beside what it was compared with."
        )
        self._snapshots = snapshots
        self._known: set[str] = set()

    def add_new(self) -> None:
        """Add the snapshots that are not there yet."""
        for path in listed(self._snapshots):
            if path.name not in self._known:
                self.evidently.add_run(self.project.id, read(path))
                self._known.add(path.name)

    def follow(self, ended: threading.Event) -> None:
        """Add new snapshots until the end."""
        while not ended.wait(EVERY_SECONDS):
            self.add_new()


def serve(snapshots: Path, host: str, port: int) -> None:
    """Serve Evidently's pages on a folder of snapshots until a signal ends it."""
    from evidently.ui.service.app import get_config, run

    with tempfile.TemporaryDirectory(prefix="segue-evidently-") as folder:
        workspace = Workspace(Path(folder), snapshots)
        workspace.add_new()
        ended = threading.Event()
        threading.Thread(target=workspace.follow, args=(ended,), daemon=True).start()
        try:
            run(get_config(host, port, folder, None, None, None))
        finally:
            ended.set()


@click.command()
@click.argument("snapshots", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=int, required=True)
def main(snapshots: Path, host: str, port: int) -> None:
    """Serve Evidently's pages on SNAPSHOTS until SIGTERM."""
    serve(snapshots, host, port)


if __name__ == "__main__":
    main()
