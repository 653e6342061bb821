"""Training arrays in shards on disk: what is held in memory does not grow with the log."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Arrays = dict[str, np.ndarray]

GROUP = "query"  # the array, where there is one, whose equal rows stay together
WINDOW = 4  # shards that are held and mixed at once


class Examples(Protocol):
    """What a model is trained on: `Shards`, or what makes its rows anew for each epoch."""

    @property
    def rows(self) -> int:
        """Examples of an epoch."""

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Batches of an epoch; see `Shards.batches`."""


@dataclass(frozen=True)
class Shards:
    """Encoded examples in shards, read a few shards at a time.

    Attributes:
        parts: one a shard: a folder with one `.npy` file an array, or the arrays themselves.
        sizes: rows of each shard, none of them 0.
        columns: the arrays' names.
    """

    parts: tuple[Path | Arrays, ...]
    sizes: tuple[int, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, arrays: Arrays) -> "Shards":
        """Arrays in memory as one shard.

        Raises:
            ValueError: the arrays differ in rows.
        """
        rows = common_rows(arrays)
        return cls((arrays,) if rows else (), (rows,) if rows else (), tuple(arrays))

    @property
    def rows(self) -> int:
        """Examples in all shards."""
        return sum(self.sizes)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Batches of an epoch, each array `[batch_size, ...]`.

        With a seed, shards come in random order, `WINDOW` of them are held at a time, and rows are
        drawn from those at random; what does not fill a batch joins the next window. A batch so mixes
        rows of `WINDOW` spans of the log, and over the epochs each span meets every other; up to
        `WINDOW` shards the shuffle is uniform. The order is that of the seed and the epoch. The last
        short batch is dropped, unless it is the only one. Rows of equal `GROUP` stay together: it is groups then that
        are drawn, and a group is at most cut where a batch ends.

        Without a seed rows come in order, and the last batch may be short.

        Args:
            batch_size: rows of a batch.
            seed: of the shuffle; None keeps the order.
            epoch: counted from 0; each has an order of its own.
        """
        shuffle = None if seed is None else np.random.default_rng([seed, epoch])
        order = np.arange(len(self.parts)) if shuffle is None else shuffle.permutation(len(self.parts))
        step = 1 if shuffle is None else WINDOW
        rest: Arrays = {}
        for first in range(0, len(order), step):
            held = self.read(order[first : first + step], rest)
            rows = len(held[self.columns[0]])
            whole = rows - rows % batch_size
            drawn = np.arange(rows) if shuffle is None else shuffled(held, rows, shuffle)
            for start in range(0, whole, batch_size):
                yield take(held, drawn[start : start + batch_size])
            rest = take(held, drawn[whole:])
            del held  # before the next window is read, so that one is held at a time
        dropped = shuffle is not None and self.rows >= batch_size
        if not dropped and self.rows % batch_size:
            yield rest

    def read(self, chosen: Iterable[int], rest: Arrays) -> Arrays:
        """The arrays of `rest` and the chosen shards, one after the other."""
        parts = [self.parts[index] for index in chosen]
        held = {}
        for name in self.columns:
            found = [column(part, name) for part in parts]
            if rest and len(rest[name]):
                found.insert(0, rest[name])
            held[name] = np.concatenate(found) if len(found) > 1 else found[0]
        return held


def shuffled(arrays: Arrays, rows: int, rng: np.random.Generator) -> np.ndarray:
    """The rows in random order, those of a group one after the other: `[rows]`."""
    if GROUP not in arrays:
        return rng.permutation(rows)
    values, group = np.unique(arrays[GROUP], return_inverse=True)
    return np.argsort(rng.permutation(len(values))[group], kind="stable")


def column(part: Path | Arrays, name: str) -> np.ndarray:
    """One array of a shard."""
    return np.load(part / f"{name}.npy", allow_pickle=False) if isinstance(part, Path) else part[name]


def take(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """The given rows of each array, as a copy."""
    return {name: values.take(rows, axis=0) for name, values in arrays.items()}


def common_rows(arrays: Arrays) -> int:
    """The number of rows that all arrays have.

    Raises:
        ValueError: they differ.
    """
    rows = {len(values) for values in arrays.values()}
    if len(rows) != 1:
        shapes = {name: values.shape for name, values in arrays.items()}
        raise ValueError(f"The arrays of a shard must have the same rows. Received shapes {shapes}.")
    return rows.pop()


def write(tables: Iterable[pa.Table], encode: Callable[[pa.Table], Arrays], folder: Path) -> Shards:
    """Encode tables one by one and write each as a shard of plain `.npy` files.

    Args:
        tables: chunks of examples, each small enough to be encoded at once; empty ones are skipped.
        encode: a chunk to arrays of the same rows, of the same names for every chunk; it may leave
            examples out, even all of them.
        folder: where the shards go; it may stand, but hold no shards.

    Raises:
        ValueError: a chunk's arrays differ in rows, or in names from those of the chunk before.
        FileExistsError: the folder holds shards.
    """
    parts: list[Path] = []
    sizes: list[int] = []
    columns: tuple[str, ...] = ()
    for table in tables:
        arrays = encode(table) if table.num_rows else {}
        rows = common_rows(arrays) if arrays else 0
        if rows == 0:
            continue
        columns = columns or tuple(arrays)
        if set(arrays) != set(columns):
            raise ValueError(f"Every shard must have the arrays {sorted(columns)}. Received {sorted(arrays)}.")
        part = Path(folder) / f"shard-{len(parts):05}"
        part.mkdir(parents=True)
        for name, values in arrays.items():
            np.save(part / f"{name}.npy", values, allow_pickle=False)
        parts.append(part)
        sizes.append(rows)
    return Shards(tuple(parts), tuple(sizes), columns)


def read_parquet(path: Path, rows: int = 65_536, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of a Parquet file in order, in tables of at most `rows`; the file is never read whole.

    Args:
        path: the file.
        rows: of a table, at most.
        columns: which to read; None reads all.
    """
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=columns):
            yield pa.Table.from_batches([batch])
