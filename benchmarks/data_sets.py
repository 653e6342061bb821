"""The data that the benchmarks run on: original files, imported tables or a synthetic world, as canonical tables."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from segue.errors import InputError

SIZES = ("nano", "demo", "small", "large")
FRACTIONS = (0.8, 0.1, 0.1)  # train, validation and test of the split by time: the pipeline's defaults
# The importer of a folder of original files, by a file that the folder has.
ORIGINALS = {
    "u.data": "movielens", "ratings.dat": "movielens", "ratings.csv": "movielens",
    "user_taggedartists-timestamps.dat": "lastfm",
}  # fmt: skip


def canonical_tables(data: str, base: Path, seed: int) -> Path:
    """The folder of canonical tables that `data` names; original files and worlds are written to `base/data` first.

    Args:
        data: a folder of original MovieLens or Last.fm files or of canonical tables, or a synthetic world's size.
        base: an empty folder.
        seed: seed of a synthetic world.

    Raises:
        InputError: there is no such folder or size, or the importer refuses the files.
    """
    from events.dataset import MANIFEST, write
    from events.importers import lastfm, movielens

    if data in SIZES:
        return write_world(data, base, seed)
    folder = Path(data)
    if (folder / MANIFEST).is_file():
        return folder
    importers = [name for file, name in ORIGINALS.items() if (folder / file).is_file()]
    if not importers:
        raise InputError(
            f"--data is a folder of MovieLens, Last.fm or imported files, or {', '.join(SIZES)}. Received {data}.",
            "Import any other log first, and give the folder that `segue data import` wrote.",
        )
    write(base / "data", {"movielens": movielens.read, "lastfm": lastfm.read}[importers[0]](folder))
    return base / "data"


def write_world(size: str, base: Path, seed: int, items: int | None = None) -> Path:
    """Write a synthetic world's canonical tables to `base/data`.

    Args:
        size: one of `SIZES`.
        base: an empty folder.
        seed: seed of the world.
        items: number of items in the catalogue; None takes the size's own.
    """
    from events.dataset import write
    from events.importers.synthetic import generate, sized

    config = sized(size)
    write(base / "data", generate(config if items is None else replace(config, items=items), seed))
    return base / "data"


def make_training_set(tables: Path, base: Path) -> dict[str, Any]:
    """Ingest canonical tables, build the features and write `base/training_set` as a training run does.

    Args:
        tables: the folder of canonical tables.
        base: a folder for the training set and the intermediate `ingested` and `tables`.

    Returns:
        The training set's manifest.
    """
    from events.ingest import ingest
    from feature_repo.build import build
    from workloads.make_training_set import make

    ingest(tables, base / "ingested", FRACTIONS)
    build(base / "ingested", base / "tables")
    return make(base / "ingested", base / "tables", base / "training_set")
