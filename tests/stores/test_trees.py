"""A folder in the object store changes as a whole: against a plain dictionary, and with publishers that are killed."""

import multiprocessing
import os
import random
import resource
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segue.errors import InputError, UnavailableError
from stores import trees
from stores.s3 import Bucket
from stores.trees import Conflict
from tests.support.soon import SECONDS

pytestmark = pytest.mark.slow

LATER = datetime.now(UTC) + timedelta(days=30)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Make a folder hold exactly these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """All files of a folder, also hidden ones."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(bucket: Bucket, prefix: str = "") -> set[str]:
    """The keys in a bucket."""
    return {stored.key for stored in bucket.list(prefix)}


class Counting(Bucket):
    """A bucket that notes the files that travel."""

    def put_file(self, key, path, sha256):
        self.__dict__.setdefault("sent", []).append(path.name)
        super().put_file(key, path, sha256)

    def get_file(self, key, path):
        self.__dict__.setdefault("fetched", []).append(path.name)
        return super().get_file(key, path)


def counting(bucket: Bucket) -> Counting:
    return Counting(bucket.name, bucket.prefix, bucket.endpoint)


def test_a_folder_comes_back_with_its_times(bucket, tmp_path):
    folder = write(tmp_path / "a", {"models.config": b"1", "m/1/saved_model.pb": b"2", "m/1/empty": b""})
    os.utime(folder / "models.config", ns=(1, 1_700_000_000_123_456_789))
    (folder / ".lock").touch()
    assert trees.publish(bucket, "models", folder, 0) == 1
    assert trees.pull(bucket, "models", tmp_path / "b") == 1
    assert read(tmp_path / "b") == {"models.config": b"1", "m/1/saved_model.pb": b"2", "m/1/empty": b""}
    assert (tmp_path / "b" / "models.config").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert "models/revisions/000000000001.json" in written(bucket)


def test_a_tree_may_be_the_whole_place(bucket, tmp_path):
    trees.publish(bucket, "models", write(tmp_path / "a", {"x": b"1"}), 0)
    place = replace(bucket, prefix=f"{bucket.prefix}/models")
    assert trees.publish(place, "", write(tmp_path / "a", {"x": b"1", "y": b"2"}), 1) == 2
    assert trees.pull(bucket, "models", tmp_path / "b") == 2
    assert read(tmp_path / "b") == {"x": b"1", "y": b"2"}


def test_nothing_published_leaves_the_folder(bucket, tmp_path):
    folder = write(tmp_path / "a", {"mine": b"1"})
    assert trees.pull(bucket, "data", folder) == 0
    assert trees.current(bucket, "data") == trees.Revision(0, {})
    assert read(folder) == {"mine": b"1"}


def test_only_new_files_are_sent_and_equal_ones_once(bucket, tmp_path):
    bucket = counting(bucket)
    folder = write(tmp_path / "a", {"old": b"1", "twin-1": b"2", "twin-2": b"2"})
    trees.publish(bucket, "data", folder, 0)
    assert sorted(name[:4] for name in bucket.sent) == ["old", "twin"]
    bucket.sent.clear()
    write(folder, {"moved": b"1", "new": b"3"})
    trees.publish(bucket, "data", folder, 1)
    assert bucket.sent == ["new"]


def test_only_files_that_differ_are_fetched(bucket, tmp_path):
    bucket = counting(bucket)
    trees.publish(bucket, "data", write(tmp_path / "a", {"same": b"1", "changed": b"22", "new": b"3"}), 0)
    folder = write(tmp_path / "b", {"same": b"1", "changed": b"xx", "gone": b"4"})
    trees.pull(bucket, "data", folder)
    assert read(folder) == {"same": b"1", "changed": b"22", "new": b"3"}
    assert sorted(bucket.fetched) == ["changed", "new"]


def test_a_folder_that_does_not_exist_is_not_an_empty_one(bucket, tmp_path):
    with pytest.raises(InputError, match="Only a folder can be published"):
        trees.publish(bucket, "data", tmp_path / "none", 0)
    assert written(bucket) == set()


def test_the_second_of_two_publishers_is_told(bucket, tmp_path):
    folder = write(tmp_path / "a", {"x": b"1"})
    trees.publish(bucket, "data", folder, 0)
    with pytest.raises(Conflict, match=r"Only the newest revision .* Revision 0 is older"):
        trees.publish(bucket, "data", folder, 0)
    with pytest.raises(Conflict):
        trees.publish(bucket, "data", folder, 2)
    assert trees.current(bucket, "data").number == 1


def test_a_publisher_whose_answer_got_lost_has_published(bucket, tmp_path):
    class Lossy(Bucket):
        """A bucket whose first answer to a put gets lost, so that boto3 puts again."""

        def put(self, key, body, if_absent=False):
            super().put(key, body, if_absent)
            super().put(key, body, if_absent)

    lossy = Lossy(bucket.name, bucket.prefix, bucket.endpoint)
    assert trees.publish(lossy, "data", write(tmp_path / "a", {"x": b"1"}), 0) == 1


def test_a_damaged_blob_is_an_error_and_the_folder_stays(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"x": b"1", "y": b"2"}), 0)
    bucket.put(f"data/blobs/{trees.current(bucket, 'data').files['x'].sha256}", b"0")
    folder = write(tmp_path / "b", {"x": b"old"})
    with pytest.raises(UnavailableError, match="other bytes than were published"):
        trees.pull(bucket, "data", folder)
    assert read(folder) == {"x": b"old"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp-")] == []


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"id": "1", "files": {"x": {"sha256": "../../etc", "size": 1, "modified": 0}}}'],
)
def test_a_revision_that_is_none(bucket, tmp_path, text):
    bucket.put("data/revisions/000000000001.json", text)
    with pytest.raises(InputError, match="is no revision"):
        trees.pull(bucket, "data", tmp_path / "b")


def test_a_revision_that_names_a_file_elsewhere(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"x": b"1"}), 0)
    text = bucket.get("data/revisions/000000000001.json").replace(b'"x"', b'"../escaped"')
    bucket.put("data/revisions/000000000002.json", text)
    with pytest.raises(InputError, match="path below its folder"):
        trees.pull(bucket, "data", tmp_path / "b")
    assert not (tmp_path / "escaped").exists()


def test_other_objects_beside_the_revisions_are_passed_over(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"x": b"1"}), 0)
    bucket.put("data/revisions/notes.txt", b"")
    bucket.put("data/revisions/old/000000000009.json", b"{}")
    assert trees.current(bucket, "data").number == 1


def test_leftovers_of_a_killed_pull_are_removed(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"x": b"1"}), 0)
    write(tmp_path / ".tmp-b-0123abcd", {"half": b""})
    trees.pull(bucket, "data", tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", ".b.lock"}


@pytest.mark.parametrize("seed", range(4))
def test_any_sequence_equals_a_dictionary(bucket, tmp_path, seed):
    """Publish, pull and collect at random; the model is a list of dictionaries."""
    random_source = random.Random(seed)
    names = ["a", "b/c", "b/d", "b/e/f", "g h", "é"]
    newest, revisions = 0, {0: {}}
    for _ in range(25):
        step = random_source.choice(["publish", "publish", "stale", "pull", "collect"])
        if step == "publish":
            files = {name: bytes([random_source.randrange(4)]) for name in random_source.sample(names, 3)}
            newest += 1
            assert trees.publish(bucket, "data", write(tmp_path / "source", files), newest - 1) == newest
            revisions[newest] = files
        elif step == "stale" and newest:
            with pytest.raises(Conflict):
                trees.publish(bucket, "data", tmp_path / "source", random_source.randrange(newest))
        elif step == "pull":
            assert trees.pull(bucket, "data", tmp_path / "copy") == newest
            assert read(tmp_path / "copy") == revisions[newest]
        elif step == "collect" and newest:
            keep = random_source.randint(1, 3)
            trees.collect(bucket, "data", LATER, keep)
            revisions = {number: revisions[number] for number in sorted(revisions)[-keep:] if number}
            assert written(bucket, "data/revisions/") == {f"data/revisions/{number:012}.json" for number in revisions}
            bodies = {body for files in revisions.values() for body in files.values()}
            assert len(written(bucket, "data/blobs/")) == len(bodies)


def test_young_revisions_and_blobs_are_not_collected(bucket, tmp_path):
    for number in range(3):
        trees.publish(bucket, "data", write(tmp_path / "a", {"x": bytes([number])}), number)
    bucket.put(f"data/blobs/{'0' * 64}", b"of a publisher that is under way")
    assert trees.collect(bucket, "data", datetime.now(UTC), keep=1) == 0
    assert trees.collect(bucket, "data", LATER, keep=1, grace=timedelta(days=40)) == 0
    assert trees.collect(bucket, "data", LATER, keep=1) == 2 + 2 + 1
    assert trees.pull(bucket, "data", tmp_path / "b") == 3
    with pytest.raises(InputError, match="at least 1 revision"):
        trees.collect(bucket, "data", LATER, keep=0)


def test_an_old_blob_that_is_needed_again_is_sent_again(bucket, tmp_path):
    """Its age would let a collector that has already listed the blobs remove it."""
    bucket = counting(bucket)
    for number, body in enumerate([b"1", b"2", b"1"]):
        trees.publish(bucket, "data", write(tmp_path / "a", {"x": body}), number)
    assert bucket.sent == ["x", "x", "x"]


def test_a_pull_starts_again_if_a_collector_was_faster(bucket, tmp_path, monkeypatch):
    for number in range(2):
        trees.publish(bucket, "data", write(tmp_path / "a", {"x": bytes([number])}), number)
    newest = trees.current

    def stale_once(*args):
        monkeypatch.setattr(trees, "current", newest)
        revision = trees._read(bucket, "data", 1)
        trees.collect(bucket, "data", LATER, keep=1)
        return revision

    monkeypatch.setattr(trees, "current", stale_once)
    assert trees.pull(bucket, "data", tmp_path / "b") == 2
    assert read(tmp_path / "b") == {"x": b"\1"}


def test_a_missing_blob_ends_with_an_error(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"x": b"1"}), 0)
    bucket.delete(written(bucket, "data/blobs/"))
    with pytest.raises(UnavailableError, match=r"A blob of .* is missing"):
        trees.pull(bucket, "data", tmp_path / "b")


def test_a_full_disk_is_an_error_and_the_folder_stays(bucket, tmp_path):
    trees.publish(bucket, "data", write(tmp_path / "a", {"small": b"1", "large": bytes(1_000_000)}), 0)
    folder = write(tmp_path / "b", {"old": b""})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # a write beyond it fails as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            trees.pull(bucket, "data", folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read(folder) == {"old": b""}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", ".b.lock"}


@pytest.mark.parametrize("direction", ["publish", "pull"])
def test_a_server_that_stops_in_the_middle_is_an_error_soon(objects, bucket, tmp_path, direction):
    folder = write(tmp_path / "a", {f"{number:03}": bytes([number]) * 10_000 for number in range(200)})
    if direction == "pull":
        trees.publish(bucket, "data", folder, 0)
    moved = []

    class Stopping(Bucket):
        """A bucket whose server stops after 20 files have travelled."""

        def put_file(self, *args):
            super().put_file(*args)
            self.count()

        def get_file(self, *args):
            digest = super().get_file(*args)
            self.count()
            return digest

        def count(self):
            moved.append(time.monotonic())
            if len(moved) == 20:
                os.kill(objects.pid, signal.SIGSTOP)

    stopping = Stopping(bucket.name, bucket.prefix, bucket.endpoint)
    target = write(tmp_path / "b", {"old": b""})
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            trees.publish(stopping, "data", folder, 0) if direction == "publish" else trees.pull(
                stopping, "data", target
            )
        assert time.monotonic() - moved[19] < SECONDS
    finally:
        os.kill(objects.pid, signal.SIGCONT)
    assert read(target) == {"old": b""}
    if direction == "publish":
        assert trees.current(bucket, "data").number == 0
        assert trees.publish(bucket, "data", folder, 0) == 1
    assert trees.pull(bucket, "data", target) == 1
    assert read(target) == read(folder)


def push_for_ever(bucket: Bucket, folder: Path, name: str) -> None:
    """Publish trees whose files all have the text of one push, again and again."""
    number = 0
    while True:
        number += 1
        base = trees.current(bucket, "data").number
        files = {f"{part}/{index}": f"{name}-{number} {part}{index}".encode() for part in "ab" for index in range(4)}
        try:
            trees.publish(bucket, "data", write(folder, files), base)
        except Conflict:
            pass


def pull_for_ever(bucket: Bucket, folder: Path) -> None:
    while True:
        trees.pull(bucket, "data", folder)


def collect_for_ever(bucket: Bucket, folder: Path) -> None:
    while True:
        trees.collect(bucket, "data", datetime.now(UTC), keep=3, grace=timedelta(seconds=15))


def whole(files: dict[str, bytes]) -> bool:
    """Whether a tree has all eight files, of one push."""
    pushes = {body.decode().split(" ")[0] for body in files.values()}
    right = all(body.decode().split(" ")[1] == name.replace("/", "") for name, body in files.items())
    return len(files) == 8 and len(pushes) == 1 and right


def test_killed_publishers_leave_only_whole_trees(bucket, tmp_path, eventually):
    """Two publishers, a puller and a collector are killed at random; every revision that remains is whole."""
    random_source = random.Random(0)
    context = multiprocessing.get_context("spawn")
    plain = Bucket(bucket.name, bucket.prefix, bucket.endpoint)

    def start(index: int):
        folder = tmp_path / f"worker{index}"
        push = (push_for_ever, f"p{index}-{random_source.random()}")
        target, *args = [push, push, (pull_for_ever,), (collect_for_ever,)][index]
        process = context.Process(target=target, args=(plain, folder, *args))
        process.start()
        return process

    processes = [start(index) for index in range(4)]
    try:
        for _ in range(8):
            newest = trees.current(bucket, "data").number
            eventually(lambda newest=newest: trees.current(bucket, "data").number > newest)
            time.sleep(random_source.uniform(0, 0.5))
            index = random_source.randrange(4)
            os.kill(processes[index].pid, signal.SIGKILL)
            processes[index].join()
            pulled = tmp_path / "worker2"
            assert not pulled.exists() or index != 2 or whole(read(pulled))
            processes[index] = start(index)
    finally:
        for process in processes:
            process.kill()
            process.join()
    numbers = sorted(trees._revisions(bucket, "data"))
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] >= 8
    pushes = set()
    for number in numbers:
        folder = tmp_path / "all" / str(number)
        trees.download(bucket, "data", trees._read(bucket, "data", number).files, folder)
        assert whole(read(folder))
        pushes.add(next(iter(read(folder).values())).split(b" ")[0])
    assert len(pushes) == len(numbers)  # no push is there twice
