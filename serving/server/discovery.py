"""Find the versions of a model on disk.

The rules and log texts are those of TF Serving's sources/storage_path/file_system_storage_path_source.cc.
"""

import contextlib
import re
from pathlib import Path

from serving.protocol.config_files import ModelConfig

# The name of a version's folder is a number, with or without leading zeros. Folders with other names are ignored.
VERSION = re.compile(r"[0-9]{1,18}")
LISTED = 10  # the log names this many missing versions, and counts the others


def versions(entry: ModelConfig, warnings: set[str]) -> dict[int, Path]:
    """The versions in the base path of a model: version number -> folder.

    Args:
        entry: the configuration of the model.
        warnings: receives a line for each problem, e.g. a missing base path.
    """
    try:
        folders = {
            int(p.name): p for p in sorted(entry.base_path.iterdir()) if VERSION.fullmatch(p.name) and p.is_dir()
        }
    except OSError as error:
        warnings.add(f"Could not find base path {entry.base_path} for servable {entry.name}: {error.strerror}")
        return {}
    if not folders:
        warnings.add(
            f"No versions of servable {entry.name} found under base path {entry.base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    missing = sorted(set(entry.specific) - folders.keys())
    if len(missing) > LISTED:
        warnings.add(f"And {len(missing) - LISTED} more versions of servable {entry.name}")
    for version in missing[:LISTED]:
        warnings.add(
            f"Version {version} of servable {entry.name}, which was requested to be served as a 'specific' "
            "version in the servable's version policy, was not found in the file system"
        )
    return folders


def last_change(folder: Path) -> float:
    """When a file in the folder of a version last changed, in seconds since 1970 UTC.

    The manager loads a version again after a change, e.g. when a copy that was under way is complete.
    """
    times = []
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)
