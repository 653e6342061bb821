"""Work on a table a batch at a time, on all cores."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa

from events.bulk import spool

ROWS = 131_072  # of a batch
LET_GO_EVERY = 8  # batches after which mapped pages are given back

Rectangle = TypeVar("Rectangle", pa.Table, pa.ChunkedArray)
Item = TypeVar("Item")
Result = TypeVar("Result")


def batches(table: pa.Table) -> list[pa.RecordBatch]:
    """Return the rows of a table in batches, without a copy."""
    return table.to_batches(max_chunksize=ROWS)


def spans(rows: Rectangle) -> list[Rectangle]:
    """Return the rows of a table or column in one part for each core, for work that must not begin anew often."""
    size = max(ROWS, math.ceil(len(rows) / (os.cpu_count() or 1)))
    return [rows.slice(begin, size) for begin in range(0, len(rows), size)]


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `function` of each item, in order. A few items are worked on at once, so memory stays bounded.

    Arrow's functions leave Python's lock, so threads use all cores.
    """
    if len(items) < 2:  # threads would cost more than they save
        yield from map(function, items)
        return
    workers = os.cpu_count() or 1
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for number, item in enumerate(items, 1):
                pending.append(pool.submit(function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
                if number % LET_GO_EVERY == 0:
                    spool.let_go()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def by_chunk(function: Callable[[pa.Array], pa.Array], column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return `function` of a column, a chunk at a time on all cores. It gives arrays of one type."""
    parts = in_parallel(lambda part: [function(chunk) for chunk in part.chunks], spans(column))
    chunks = [chunk for part in parts for chunk in part]
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([function(pa.array([], column.type))])


def is_true_of_all(test: Callable[[pa.Array], bool], column: pa.ChunkedArray) -> bool:
    """Return whether a test is true of each chunk of a column. All cores test."""
    return all(in_parallel(lambda part: all(map(test, part.chunks)), spans(column)))


def rows_where(table: pa.Table, mask: np.ndarray) -> pa.Table:
    """Return the rows of a table where a mask is true."""
    parts = batches(table)
    ends = np.cumsum([part.num_rows for part in parts])
    masks = np.split(mask, ends[:-1])
    filtered = in_parallel(lambda part: part[0].filter(pa.array(part[1])), list(zip(parts, masks, strict=True)))
    return spool.store(table.schema, filtered)


class Rows:
    """Random access to the rows of a table, whose chunks need not be joined for it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._parts = batches(table)
        self._starts = np.cumsum([0, *(part.num_rows for part in self._parts)])

    def take(self, rows: np.ndarray) -> pa.Table:
        """Return the rows at these positions, in this order, in one chunk."""
        low, high = (rows.min(), rows.max() + 1) if len(rows) else (0, 0)
        if high - low <= 2 * len(rows):  # neighbours, such as the rows of a day: few others are copied with them
            return self._table.slice(low, high - low).combine_chunks().take(pa.array(rows - low))
        part_of = np.searchsorted(self._starts, rows, side="right") - 1
        by_part = np.argsort(part_of, kind="stable")
        numbers, begins = np.unique(part_of[by_part], return_index=True)
        taken = []
        for count, (number, group) in enumerate(zip(numbers, np.split(rows[by_part], begins)[1:], strict=True), 1):
            taken.append(self._parts[number].take(pa.array(group - self._starts[number])))
            if count % LET_GO_EVERY == 0:
                spool.let_go()
        table = pa.Table.from_batches(taken, self._table.schema).combine_chunks()
        if len(taken) < 2:
            return table
        place = np.empty(len(rows), np.int64)
        place[by_part] = np.arange(len(rows))
        return table.take(pa.array(place)).combine_chunks()
