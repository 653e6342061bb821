"""Atomic writes, JSON files and the checksum of a folder."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from segue.errors import InputError
from segue.files import atomic_path, json_text, read_json, tree_sha256, write_json


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
    with pytest.raises(FileNotFoundError), atomic_path(target) as temporary:
        temporary.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


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
