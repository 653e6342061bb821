"""The files of a folder as an object store sees them."""

import hashlib

import pytest

from segue.errors import InputError
from stores import folders


def test_names_are_sorted_and_without_hidden_ones(tmp_path):
    for name in ("b/c.txt", "a.txt", ".lock", ".tmp-x/d", "b/.synced", "assets.extra/é"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    assert folders.names(tmp_path) == ["a.txt", "assets.extra/é", "b/c.txt"]


def test_sha256_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert folders.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_a_name_becomes_a_path_in_the_folder(tmp_path):
    assert folders.inside(tmp_path, "events/day=1/part-0") == tmp_path / "events" / "day=1" / "part-0"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="path below its folder"):
        folders.inside(tmp_path, name)
