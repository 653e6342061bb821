"""Atomic writes, JSON files and the checksum of a folder."""

import json
import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from segue import files
from segue.errors import InputError
from segue.files import atomic_path, json_text, read_json, remove_unfinished, tree_sha256, write_json
from tests.support.killed import killed_at_each_step


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    rename = Path.rename

    def broken(path: Path, to: Path) -> Path:
        if to == target and not path.name.endswith("-old"):
            raise FileNotFoundError
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", broken)
    monkeypatch.setattr(files, "exchanged", lambda *_: False)
    with pytest.raises(FileNotFoundError), atomic_path(target) as temporary:
        temporary.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


def replace_folder(target: Path, name: str) -> None:
    with atomic_path(target) as temporary:
        temporary.mkdir()
        for part in ("a", "b"):
            (temporary / part).write_text(name)


@pytest.mark.slow
@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "two renames"])
def test_a_folder_killed_at_any_step_is_the_old_one_or_the_new_one(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(files, "exchanged", lambda *_: False)
    target = tmp_path / "folder"
    replace_folder(target, "old")
    seen = []
    for _ in killed_at_each_step(lambda: replace_folder(target, "new")):
        assert target.is_dir() or not exchanges
        remove_unfinished(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]
        seen.append([path.read_text() for path in sorted(target.iterdir())])
    first_new = seen.index(["new"] * 2)
    assert first_new > 3
    assert seen == [["old"] * 2] * first_new + [["new"] * 2] * (len(seen) - first_new)


def test_a_file_killed_at_any_step_is_the_old_one_or_the_new_one(tmp_path):
    write_json(tmp_path / "v.json", "old")
    seen = []
    for _ in killed_at_each_step(lambda: write_json(tmp_path / "v.json", "new")):
        seen.append(read_json(tmp_path / "v.json"))
        remove_unfinished(tmp_path, "v.json")
        assert [path.name for path in tmp_path.iterdir()] == ["v.json"]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == "old"


def test_the_next_write_of_a_target_removes_what_a_killed_one_left(tmp_path):
    for name in (".tmp-v.json-0123abcd", ".tmp-other-0123abcd", ".tmp-v.json", ".tmp-v.json-mine"):
        (tmp_path / name).touch()
    for name in (".tmp-v.json-4567abcd", ".tmp-v.json-4567abcd-old"):
        (tmp_path / name).mkdir()
    (tmp_path / "v.json").touch()
    write_json(tmp_path / "v.json", 1)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"v.json", ".tmp-other-0123abcd", ".tmp-v.json", ".tmp-v.json-mine"}


def test_an_unfinished_file_stays_while_its_writer_lives(tmp_path):
    with atomic_path(tmp_path / "a") as unfinished:
        unfinished.touch()
        write_json(tmp_path / "a", 1)
        remove_unfinished(tmp_path)
        assert unfinished.exists()


def test_folders_are_exchanged_by_one_call_here(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not files.exchanged(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange two folders")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    with pytest.raises(FileNotFoundError):
        files.exchanged(tmp_path / "a", tmp_path / "absent")


def test_json_round_trips(tmp_path):
    value = {"b": [1, 2.5, None], "a": "é"}
    write_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float64("nan")], ids=str)
def test_a_number_that_json_lacks_becomes_null(tmp_path, number):
    value = {"auc": number, "heads": [{"play": (0.5, number)}], "name": "NaN"}
    expected = {"auc": None, "heads": [{"play": [0.5, None]}], "name": "NaN"}
    assert json.loads(json_text(value), parse_constant=pytest.fail) == expected
    write_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == expected


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\0\0\0\0", b"\xff{}", b"{} {}", b"[" * 100_000, b"{bad"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "v.json").write_bytes(content)
    with pytest.raises(InputError, match=r"v\.json must be JSON. It is damaged: .*") as error:
        read_json(tmp_path / "v.json")
    assert error.value.fix


def test_the_checksum_of_a_folder_covers_names_and_contents(tmp_path):
    (tmp_path / "a").write_text("x")
    first = tree_sha256(tmp_path)
    assert first == tree_sha256(tmp_path)
    (tmp_path / "a").write_text("y")
    second = tree_sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, tree_sha256(tmp_path)}) == 3


def test_times_and_paths_are_texts_of_json_which_every_reader_takes():
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    value = {"at": at, "day": date(2026, 3, 2), "file": Path("a/b")}
    assert json.loads(json_text(value)) == {"at": "2026-03-02T10:00:00+00:00", "day": "2026-03-02", "file": "a/b"}
