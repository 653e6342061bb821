"""JSON files are read, and errors name the file and the row."""

import gzip

import pytest

from events.importers import json_files
from segue.errors import InputError

COLUMNS = {"a": "BIGINT", "b": "VARCHAR[]"}


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_lines_are_read_plain_or_compressed_without_other_fields(tmp_path, name):
    content = b'{"a": 1, "c": {"d": 2}}\n{"b": ["x"]}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert json_files.read(tmp_path / name, COLUMNS)[0].to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": ["x"]}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a":1}\n{"a":2,"b"\n{"a":3}\n', "row 2: malformed JSON"),
        (b'{"a":1}\n{"a":2', "row 2: malformed JSON"),
        (b'{"a":1}\n{"a":"x"}\n', 'row 2: failed to cast value to numerical: "x"'),
        (b'{"a":1}\n[1]\n', "row 2: expected OBJECT, but got ARRAY"),
        (b'{"b":"text"}\n', "row 1: expected ARRAY, but got VARCHAR"),
        (b'{"b":["\xff"]}\n', "it cannot be read"),
    ],
)
def test_an_error_names_the_row(tmp_path, content, message):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(InputError) as error:
        json_files.read(tmp_path / "x.jsonl", COLUMNS)
    assert error.value.headline.startswith(f"x.jsonl: {message}")


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(b'{"a":1}\n' * 1000)[:-20])
    with pytest.raises(InputError, match=r"x.jsonl.gz: it cannot be read"):
        json_files.read(tmp_path / "x.jsonl.gz", COLUMNS)
