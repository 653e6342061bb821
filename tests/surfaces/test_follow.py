"""What a running gateway reads again when its files change."""

import asyncio
import contextlib
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import schema
from segue.errors import InputError, UnavailableError
from segue.files import write_json
from segue.settings import MODEL_CARD
from serving.store import model_store
from surfaces.follow import catalogue_stamp, follow, policy_stamp, read_warm, repeat


def import_items(home, *ids, sha256="1"):
    """Import a log without events."""
    (home.data / "events").mkdir(parents=True, exist_ok=True)
    rows = [{"item_id": item, "title": item} for item in ids]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.ITEMS), home.data / "items.parquet")
    pq.write_table(schema.USERS.empty_table(), home.data / "users.parquet")
    pq.write_table(schema.EVENTS.empty_table(), home.data / "events" / "part-0.parquet")
    write_json(home.data / "manifest.json", {"dataset": "test", "sha256": sha256})
    os.utime(home.data / "manifest.json", ns=(int(sha256), int(sha256)))


def test_the_stamp_of_the_catalogue_changes_with_the_data_and_with_added_items(home, tmp_path):
    stamps = [catalogue_stamp(home)]
    import_items(home, "a")
    stamps.append(catalogue_stamp(home))
    import_items(home, "a", "b", sha256="2")
    stamps.append(catalogue_stamp(home))
    folder = tmp_path / "retrieval"
    (folder / MODEL_CARD).parent.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    write_json(folder / MODEL_CARD, {"added": []})
    model_store.push(home.models, {"retrieval": folder})
    stamps.append(catalogue_stamp(home))
    assert len(set(stamps)) == len(stamps)
    assert catalogue_stamp(home) == stamps[-1]


def test_a_catalogue_that_is_read_for_requests_has_everything_that_they_look_up(home):
    import_items(home, "a", "b")
    catalogue = read_warm(home)
    assert {"index", "by_popularity", "by_release", "genre_vectors", "known_markets", "types"} <= vars(catalogue).keys()
    assert catalogue.index == {"a": 0, "b": 1}


def test_what_changed_is_read_in_a_thread_and_taken_whole(home):
    import_items(home, "a")
    taken = []

    async def run():
        before = catalogue_stamp(home)
        task = asyncio.create_task(
            follow("catalogue", lambda: catalogue_stamp(home), before, lambda: read_warm(home), taken.append, 0.001)
        )
        await asyncio.sleep(0.02)
        assert taken == []  # nothing has changed
        import_items(home, "a", "b", sha256="2")
        while not taken:
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [sorted(one.index) for one in taken] == [["a", "b"]]


@pytest.mark.parametrize("error", [InputError("it breaks a rule", ""), FileNotFoundError("it is gone")])
def test_what_cannot_be_read_leaves_what_was_read_last_until_the_next_change(home, caplog, error):
    taken, readings = [], []

    def read():
        readings.append(1)
        if len(readings) == 1:
            raise error
        return "policy"

    async def run():
        task = asyncio.create_task(follow("policy", lambda: policy_stamp(home), (0,), read, taken.append, 0.001))
        write_json(home.layout_policy, {})
        while not readings:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        assert len(readings) == 1
        os.utime(home.layout_policy, ns=(5, 5))
        while not taken:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(run())
    assert taken == ["policy"]
    assert f"the policy stays as it was: {error}" in caplog.text


def test_a_store_that_does_not_answer_is_asked_again(caplog):
    calls = []

    def bring():
        calls.append(1)
        if len(calls) == 1:
            raise UnavailableError("the object store does not answer", "")

    async def run():
        task = asyncio.create_task(repeat("data", bring, 0.001))
        while len(calls) < 3:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(run())
    assert caplog.text.count("the newest data could not be brought: the object store does not answer") == 1
