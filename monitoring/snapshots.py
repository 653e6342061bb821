"""The results of drift comparisons as Evidently reads them, a file for each, the newest last."""

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

from segue.files import atomic_path

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

KEPT = 20  # of about 0.3 MB
NAME = re.compile(r"(\d{6})\.json\.gz")


def keep(snapshot: "Snapshot", folder: Path) -> None:
    """Add a snapshot to a folder, and remove the oldest beyond `KEPT`."""
    before = listed(folder)
    number = 1 + (int(before[-1].name.partition(".")[0]) if before else 0)
    with atomic_path(folder / f"{number:06}.json.gz") as temporary:  # 2 MB of text with the data of its charts
        temporary.write_bytes(gzip.compress(snapshot.dumps().encode()))  # `save_json` writes less, which nothing reads
    for path in listed(folder)[:-KEPT]:
        path.unlink()


def read(path: Path) -> "Snapshot":
    """Read a snapshot."""
    from evidently.core.report import Snapshot

    return Snapshot.loads(gzip.decompress(path.read_bytes()).decode())


def listed(folder: Path) -> list[Path]:
    """The files of snapshots in a folder, the oldest first."""
    return sorted(path for path in folder.glob("*.json.gz") if NAME.fullmatch(path.name))
