"""Find the files of a public data set in its folder."""

from pathlib import Path

from events.importers.registry import DATA_SETS, DataSet
from segue.errors import InputError

DEEPEST = 3  # levels of folders within the given one: archives hold a folder and may be unpacked into another
SHOWN = 8  # number of a folder's files that an error names


def find(folder: Path, data_set: DataSet) -> list[Path]:
    """Return the files of a data set, each in the folder or in folders within it, in the order of `data_set.files`.

    Raises:
        InputError: The folder or one of its files is absent, or there are several of one name.
    """
    return [only(paths, data_set) for paths in find_all(folder, data_set)]


def find_all(folder: Path, data_set: DataSet) -> list[list[Path]]:
    """Return the files that match each pattern of `data_set.files`, sorted; at least one for each pattern.

    Raises:
        InputError: The folder is absent, or no file matches a pattern.
    """
    require_folder(folder)
    found = {pattern: matches(folder, pattern) for pattern in data_set.files}
    missing = [pattern for pattern, paths in found.items() if not paths]
    if missing:
        raise not_found(folder, data_set, missing)
    return list(found.values())


def require_folder(folder: Path) -> None:
    """Raise InputError if the path is no folder."""
    if not folder.is_dir():
        state = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {state}.", "Unpack the data set and give the path of its folder.")


def matches(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match a pattern, in the folder or in folders within it, sorted.

    Names that begin with a point are skipped, as a Mac's archives hold `._ratings.csv`.
    """
    patterns = ["/".join(["*"] * depth + [pattern]) for depth in range(DEEPEST + 1)]
    paths = (path for deep in patterns for path in folder.glob(deep) if path.is_file())
    return sorted(path for path in paths if not path.name.startswith("."))


def only(paths: list[Path], data_set: DataSet) -> Path:
    """Return the one path of a list.

    Raises:
        InputError: There are several.
    """
    if len(paths) > 1:
        raise InputError(
            f"{data_set.title} has one {paths[0].name}. Found {len(paths)}: {', '.join(map(str, paths))}.",
            "Give the path of the folder that holds the right one.",
        )
    return paths[0]


def not_found(folder: Path, data_set: DataSet, missing: list[str]) -> InputError:
    """Return the error about missing files: what was looked for, what is missing, and what the folder has."""
    return InputError(
        f"{folder} holds no {data_set.title} data set: looked for {', '.join(data_set.files)}; "
        f"missing: {', '.join(missing)}. It has: {contents(folder)}.",
        hint(folder) or f"Unpack {data_set.title}, keep the names of its files, and give the path of its folder.",
    )


def hint(folder: Path) -> str:
    """Return which other data set the folder holds, or an empty text."""
    for name, other in DATA_SETS.items():
        if all(matches(folder, pattern) for pattern in other.files):
            return f"The folder holds {other.title}: `segue data import {name} {folder}`."
    return ""


def contents(folder: Path) -> str:
    """Return the names of the first files and folders in a folder."""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "nothing"
