"""The files of a folder that hold its table, and the columns that partition folders such as `market=SE` stand for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from events.importers.own.formats import PARQUET
from segue.errors import InputError

ENDINGS = ("", ".parquet", ".pq", ".csv", ".tsv", ".tab", ".psv")  # of tables, in any case of letters
COMPRESSED = (".gz", ".zst", ".zstd")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class File:
    """A file of a table.

    Args:
        path: Where it is.
        name: Its name in errors and counts; in a folder its path below the folder.
        partition: Columns that the folders above it stand for, `{column: value}`; null is None.
    """

    path: Path
    name: str
    partition: Mapping[str, str | None]


def files_of(paths: tuple[Path, ...]) -> tuple[list[File], list[str]]:
    """List the files of a table that several paths give, each path a file or a folder.

    In folders, names that begin with `_` or `.` are skipped, as Spark, Hive and Arrow do.

    Returns:
        The files, in the order of the paths and then by name, and the names of the files in folders that are left out
        because neither their ending nor their content is that of a table.

    Raises:
        InputError: A path is absent, a folder holds no table, or a file is given twice.
    """
    files: list[File] = []
    left_out: list[str] = []
    for path in paths:
        if not path.is_dir():
            files.append(File(path, path.name, partition_of(path.parts[:-1])))
            continue
        inside = [file for file in visible(path) if is_table(file)]
        others = [file.relative_to(path).as_posix() for file in visible(path) if not is_table(file)]
        if not inside:
            seen = f" It holds: {', '.join(others[:5])}." if others else ""
            raise InputError(
                f"The folder {path} holds no .parquet or .csv file.{seen}", "Give the path of a folder with tables."
            )
        left_out += others
        files += [File(file, file.relative_to(path).as_posix(), partition_of(file.parts[:-1])) for file in inside]
    return distinct(files), left_out


def distinct(files: list[File]) -> list[File]:
    """Return the files under different names, and refuse a file that is given twice."""
    places: dict[Path, File] = {}
    for file in files:
        earlier = places.setdefault(file.path.resolve(), file)
        if earlier is not file:
            raise InputError(f"Each file is read once; {file.path} is given twice.", "Give it once.")
    names = [file.name for file in files]
    return [
        File(file.path, file.path.as_posix(), file.partition) if names.count(file.name) > 1 else file for file in files
    ]


def visible(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders by name, without hidden names and leftovers of a job."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.name.startswith("_") and "=" not in path.name):
            continue
        if path.is_dir():
            yield from visible(path)
        else:
            yield path


def is_table(path: Path) -> bool:
    """Return whether a file in a folder is part of the folder's table."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in COMPRESSED:
        endings.pop()
    if (endings[-1] if endings else "") in ENDINGS:
        return True
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def partition_of(folders: tuple[str, ...]) -> dict[str, str | None]:
    """Return the columns that folder names stand for: `("log", "market=SE")` gives `{"market": "SE"}`."""
    pairs = [folder.split("=", 1) for folder in folders if not folder.startswith("=") and "=" in folder]
    return {unquote(key): None if value == NO_VALUE else unquote(value) for key, value in pairs}
