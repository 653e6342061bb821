"""Shards: they store the encoded arrays, and their batches are full and in an order that the seed fixes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.inputs.shards import GROUP, WINDOW, Arrays, Shards, read_parquet, write


def encode(table: pa.Table) -> Arrays:
    """Two arrays: `x`, and `pair`, which holds x and 2 x."""
    x = table["x"].to_numpy()
    return {"x": x.astype(np.float32), "pair": np.stack([x, 2 * x], axis=1).astype(np.int32)}


def tables(*sizes: int) -> list[pa.Table]:
    """Tables with the given numbers of rows; `x` numbers the rows of all tables."""
    ends = np.cumsum(sizes)
    return [pa.table({"x": np.arange(end - size, end)}) for size, end in zip(sizes, ends, strict=True)]


def in_memory(*sizes: int) -> Shards:
    """Shards in memory with the given numbers of rows."""
    return Shards(tuple(encode(table) for table in tables(*sizes)), sizes, ("x", "pair"))


def xs(shards: Shards, batch_size: int, seed: int | None, epoch: int = 0) -> list[list[int]]:
    return [batch["x"].astype(int).tolist() for batch in shards.batches(batch_size, seed, epoch)]


def test_written_arrays_are_read_back(tmp_path):
    shards = write(tables(3, 2), encode, tmp_path / "train")
    assert (shards.rows, shards.sizes, shards.columns) == (5, (3, 2), ("x", "pair"))
    (batch,) = shards.batches(5, None, 0)
    np.testing.assert_array_equal(batch["x"], np.arange(5, dtype=np.float32))
    np.testing.assert_array_equal(batch["pair"], [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]])
    assert (batch["x"].dtype, batch["pair"].dtype) == (np.float32, np.int32)


def test_shards_on_disk_and_in_memory_give_the_same_batches(tmp_path):
    on_disk = write(tables(*[5] * 9), encode, tmp_path)
    for seed in (None, 0):
        assert xs(on_disk, 4, seed) == xs(in_memory(*[5] * 9), 4, seed)


def test_chunks_without_examples_make_no_shard(tmp_path):
    odd_only = lambda table: encode(table.filter(pa.array(table["x"].to_numpy() % 2 == 1)))  # noqa: E731
    shards = write(tables(2, 0, 1, 3), odd_only, tmp_path)  # 0 1 | | 2 | 3 4 5
    assert shards.sizes == (1, 2)
    assert xs(shards, 9, None) == [[1, 3, 5]]


def test_without_chunks_there_are_no_rows(tmp_path):
    shards = write([], encode, tmp_path)
    assert shards.rows == 0
    assert xs(shards, 4, None) == xs(shards, 4, 0) == []


def test_arrays_without_rows_make_no_batch():
    shards = Shards.of({"x": np.zeros(0)})
    assert (shards.rows, xs(shards, 4, None)) == (0, [])


def test_chunks_are_encoded_one_at_a_time(tmp_path):
    seen: list[str] = []

    def chunks():
        for table in tables(1, 1):
            seen.append("chunk")
            yield table

    def watched(table):
        seen.append("encoded")
        return encode(table)

    write(chunks(), watched, tmp_path)
    assert seen == ["chunk", "encoded"] * 2


def test_arrays_of_different_rows_are_refused(tmp_path):
    uneven = {"x": np.zeros(2), "y": np.zeros(3)}
    with pytest.raises(ValueError, match="same rows"):
        Shards.of(uneven)
    with pytest.raises(ValueError, match="same rows"):
        write(tables(2), lambda table: uneven, tmp_path)


def test_a_chunk_with_other_array_names_is_refused(tmp_path):
    named = lambda table: {f"x{table['x'][0]}": table["x"].to_numpy()}  # noqa: E731
    with pytest.raises(ValueError, match=r"\['x0'\]. Received \['x2'\]"):
        write(tables(2, 2), named, tmp_path)


def test_object_arrays_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        write(tables(1), lambda table: {"x": np.array(["a"], object)}, tmp_path)


def test_a_folder_that_holds_shards_is_refused(tmp_path):
    write(tables(1), encode, tmp_path)
    with pytest.raises(FileExistsError):
        write(tables(1), encode, tmp_path)


def test_without_a_seed_rows_come_in_order_and_the_last_batch_is_short():
    assert xs(in_memory(3, 1, 5), 4, None) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        pytest.param((10,), 4, id="one shard"),
        pytest.param((3, 3, 4), 4, id="within a window"),
        pytest.param((3,) * 11, 4, id="rows that join the next window"),
        pytest.param((1,) * 13, 6, id="windows smaller than a batch"),
    ],
)
def test_with_a_seed_batches_are_full_and_no_row_comes_twice(sizes, batch_size):
    batches = xs(in_memory(*sizes), batch_size, 0)
    rows = [x for batch in batches for x in batch]
    assert [len(batch) for batch in batches] == [batch_size] * (sum(sizes) // batch_size)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(sum(sizes)))
    assert rows != sorted(rows)


@pytest.mark.parametrize("sizes", [(5,), (1,) * 5, (1,) * 10])
def test_a_short_batch_is_kept_if_it_is_the_only_one(sizes):
    (batch,) = xs(in_memory(*sizes), 64, 0)
    assert sorted(batch) == list(range(sum(sizes)))


def test_arrays_of_a_batch_hold_the_same_rows():
    for batch in in_memory(5, 5, 5, 5, 5).batches(4, 0, 0):
        np.testing.assert_array_equal(batch["pair"], np.stack([batch["x"], 2 * batch["x"]], axis=1))


def test_seed_and_epoch_fix_the_order():
    shards = in_memory(*[5] * 9)
    assert xs(shards, 4, 1, epoch=2) == xs(shards, 4, 1, epoch=2)
    orders = [xs(shards, 4, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(left != right for n, left in enumerate(orders) for right in orders[:n])


def test_a_batch_mixes_rows_of_all_shards_of_a_window():
    # A batch of 200 from 4 shards of 250 rows has 50 rows of each, with a deviation of 6 (hypergeometric).
    for batch in xs(in_memory(*[250] * WINDOW), 200, 0):
        shares = np.bincount(np.array(batch) // 250, minlength=WINDOW)
        assert shares.min() > 20


def test_no_more_shards_than_a_window_are_read_at_once():
    # Of 12 shards of 10 rows, a window has 40 rows, so the first 40 rows come from 4 shards.
    rows = [x for batch in xs(in_memory(*[10] * 12), 10, 0) for x in batch]
    spans = [{x // 10 for x in rows[start : start + 40]} for start in (0, 40, 80)]
    assert [len(span) for span in spans] == [WINDOW] * 3


def test_other_shards_share_a_window_in_each_epoch():
    shards = in_memory(*[10] * 12)
    first = {frozenset(x // 10 for batch in xs(shards, 10, 0, epoch)[:4] for x in batch) for epoch in range(5)}
    assert len(first) > 1


@pytest.mark.parametrize("row_group", [2, 7, 100])
def test_a_parquet_file_is_read_in_tables_of_limited_size(tmp_path, row_group):
    pq.write_table(pa.table({"x": np.arange(20), "y": np.arange(20)}), tmp_path / "t.parquet", row_group_size=row_group)
    read = list(read_parquet(tmp_path / "t.parquet", rows=6, columns=["x"]))
    assert max(table.num_rows for table in read) <= 6
    assert pa.concat_tables(read).equals(pa.table({"x": np.arange(20)}))


def test_a_group_stays_together():
    group = np.repeat(np.arange(50), 1 + np.arange(50) % 4)
    shards = Shards.of({GROUP: group, "row": np.arange(len(group))})
    drawn = [np.concatenate([b["row"] for b in shards.batches(16, 0, epoch)]) for epoch in range(2)]
    assert not np.array_equal(*drawn)
    for rows in drawn:
        assert len(np.unique(rows)) == len(group) - len(group) % 16
        changes = np.count_nonzero(np.diff(group[rows])) + 1
        assert changes == len(np.unique(group[rows]))
