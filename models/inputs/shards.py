"""Training arrays in shards on disk, so that memory use does not grow with the length of the log."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Arrays = dict[str, np.ndarray]

GROUP = "query"  # the optional array whose equal rows stay together in a batch
WINDOW = 4  # shards that are held in memory and shuffled together


class Examples(Protocol):
    """A source of training batches: `Shards`, or a class that cuts new rows for each epoch."""

    @property
    def rows(self) -> int:
        """The number of examples in an epoch."""

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Batches of an epoch; see `Shards.batches`."""


@dataclass(frozen=True)
class Shards:
    """Encoded examples in shards, of which a few are read at a time.

    Attributes:
        parts: one element a shard: a folder with one `.npy` file for each array, or the arrays themselves.
        sizes: rows of each shard, all above 0.
        columns: names of the arrays.
    """

    parts: tuple[Path | Arrays, ...]
    sizes: tuple[int, ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, arrays: Arrays) -> "Shards":
        """Wrap arrays in memory as one shard.

        Raises:
            ValueError: the arrays differ in their number of rows.
        """
        rows = common_rows(arrays)
        return cls((arrays,) if rows else (), (rows,) if rows else (), tuple(arrays))

    @property
    def rows(self) -> int:
        """The number of examples in all shards."""
        return sum(self.sizes)

    def batches(self, batch_size: int, seed: int | None, epoch: int) -> Iterator[Arrays]:
        """Yield the batches of an epoch, each array `[batch_size, ...]`.

        With a seed, shards come in random order. `WINDOW` shards are held at a time and their rows are shuffled
        together; rows that do not fill a batch join the next window. A batch therefore mixes rows from `WINDOW` parts
        of the log, and which parts meet differs between epochs. Up to `WINDOW` shards the shuffle is uniform. Seed and
        epoch fix the order. A short last batch is dropped unless it is the only batch. Rows with equal `GROUP` are
        shuffled as one; only the end of a batch divides them.

        Without a seed, rows come in order and the last batch may be short.

        Args:
            batch_size: rows of a batch.
            seed: seed of the shuffle; None keeps the order.
            epoch: counted from 0; each epoch has another order.
        """
        shuffle = None if seed is None else np.random.default_rng([seed, epoch])
        order = np.arange(len(self.parts)) if shuffle is None else shuffle.permutation(len(self.parts))
        step = 1 if shuffle is None else WINDOW
        rest: Arrays = {}
        for first in range(0, len(order), step):
            window = self.read(order[first : first + step], rest)
            rows = len(window[self.columns[0]])
            whole = rows - rows % batch_size
            row_order = np.arange(rows) if shuffle is None else shuffled(window, rows, shuffle)
            for start in range(0, whole, batch_size):
                yield take(window, row_order[start : start + batch_size])
            rest = take(window, row_order[whole:])
            del window  # so that two windows are never in memory together
        dropped = shuffle is not None and self.rows >= batch_size
        if not dropped and self.rows % batch_size:
            yield rest

    def read(self, indices: Iterable[int], rest: Arrays) -> Arrays:
        """Concatenate the rows of `rest` and of the shards at `indices`, array by array."""
        parts = [self.parts[index] for index in indices]
        joined = {}
        for name in self.columns:
            arrays = [column(part, name) for part in parts]
            if rest and len(rest[name]):
                arrays.insert(0, rest[name])
            joined[name] = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        return joined


def shuffled(arrays: Arrays, rows: int, rng: np.random.Generator) -> np.ndarray:
    """The rows in random order, those of a group one after the other: `[rows]`."""
    if GROUP not in arrays:
        return rng.permutation(rows)
    values, group = np.unique(arrays[GROUP], return_inverse=True)
    return np.argsort(rng.permutation(len(values))[group], kind="stable")


def column(part: Path | Arrays, name: str) -> np.ndarray:
    """Load one array of a shard."""
    return np.load(part / f"{name}.npy", allow_pickle=False) if isinstance(part, Path) else part[name]


def take(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """Copy the given rows of each array."""
    return {name: values.take(rows, axis=0) for name, values in arrays.items()}


def common_rows(arrays: Arrays) -> int:
    """The number of rows, which all arrays share.

    Raises:
        ValueError: the arrays differ in their number of rows.
    """
    rows = {len(values) for values in arrays.values()}
    if len(rows) != 1:
        shapes = {name: values.shape for name, values in arrays.items()}
        raise ValueError(f"The arrays of a shard must have the same rows. Received shapes {shapes}.")
    return rows.pop()


def write(tables: Iterable[pa.Table], encode: Callable[[pa.Table], Arrays], folder: Path) -> Shards:
    """Encode tables one by one and write each as a shard of plain `.npy` files.

    Args:
        tables: chunks of examples, each small enough to be encoded at once; empty chunks are skipped.
        encode: turns a chunk into arrays of the same rows, with the same names for every chunk. It may leave out
            examples, even all of a chunk.
        folder: the folder of the shards. It may exist, but must not hold shards.

    Raises:
        ValueError: a chunk's arrays differ in their number of rows, or their names differ from the chunk before.
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
    """Yield the rows of a Parquet file in order, without reading the whole file at once.

    Args:
        path: the file.
        rows: the most rows of a table that is yielded.
        columns: names of the columns to read; None reads all.
    """
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=columns):
            yield pa.Table.from_batches([batch])
