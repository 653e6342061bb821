"""The results of drift comparisons as Evidently reads them, a file for each, the newest last."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from segue.files import atomic_path

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

KEPT = 60  # of about 80 KB
NAME = re.compile(r"(\d{6})\.json")


def keep(snapshot: "Snapshot", folder: Path) -> None:
    """Add a snapshot to a folder, and remove the oldest beyond `KEPT`."""
    before = listed(folder)
    number = 1 + (int(before[-1].stem) if before else 0)
    with atomic_path(folder / f"{number:06}.json") as temporary:
        snapshot.save_json(str(temporary))
    for path in listed(folder)[:-KEPT]:
        path.unlink()


def listed(folder: Path) -> list[Path]:
    """The files of snapshots in a folder, the oldest first."""
    return sorted(path for path in folder.glob("*.json") if NAME.fullmatch(path.name))
