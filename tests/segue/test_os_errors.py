"""Errors of the operating system are two lines, with an exit code that says whether a rerun may help."""

import errno
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from segue.errors import UnavailableError
from segue.os_errors import explained

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (errno.ENOSPC, 75), (errno.EDQUOT, 75), (errno.EAGAIN, 75), (errno.EMFILE, 75), (errno.EROFS, 2),
        (errno.EACCES, 2), (errno.ENOENT, 2), (errno.ENAMETOOLONG, 2), (errno.EISDIR, 2),
    ],
)  # fmt: skip
def test_an_error_names_the_file_and_a_fix(number, exit_code):
    error = explained(OSError(number, os.strerror(number), "/disk/a.parquet"))
    assert (error.exit_code, "/disk/a.parquet" in error.headline, bool(error.fix)) == (exit_code, True, True)


class IOException(Exception):
    """An error of a library that wraps the system's."""


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        pytest.param(IOException('IO Error: Could not write file "x": No space left on device'), 75, id="DuckDB"),
        pytest.param(
            IOException("failed to offload data block of size 256.0 KiB (0 bytes/1 GiB used)."), 75, id="spill"
        ),
        pytest.param(IOException("{{node}} /m/variables; No space left on device [Op:SaveV2]"), 75, id="TensorFlow"),
        pytest.param(IOException("/m/variables; Disk quota exceeded [Op:SaveV2]"), 75, id="quota"),
        pytest.param(IOException("/m/variables; File too large [Op:SaveV2]"), 75, id="limit"),
        pytest.param(OSError("Error writing bytes. Detail: No space left on device"), 75, id="Arrow"),
        pytest.param(shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), 75, id="copied folder"),
        pytest.param(sqlite3.OperationalError("database or disk is full"), 75, id="SQLite, full"),
        pytest.param(sqlite3.OperationalError("disk I/O error"), 75, id="SQLite, broken"),
        pytest.param(sqlite3.OperationalError("attempt to write a readonly database"), 2, id="SQLite, read-only"),
        pytest.param(MemoryError(), 75, id="memory"),
        pytest.param(UnavailableError("Taken."), 75, id="ours"),
    ],
)
def test_the_words_of_libraries_are_known(error, exit_code):
    known = explained(error)
    assert known.exit_code == exit_code
    assert str(error) in known.headline


def test_a_full_database_is_known(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("pragma max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("create table a as select randomblob(100000)")
    assert explained(caught.value).headline == ("No space left on device. OperationalError: database or disk is full.")


@pytest.mark.parametrize("error", [ValueError("no space left"), KeyError("disk"), KeyboardInterrupt()], ids=repr)
def test_other_errors_are_not_the_systems(error):
    assert explained(error) is None


def test_an_error_without_a_file_has_its_reason():
    assert explained(OSError(errno.ENOSPC, "No space left on device")).headline == "No space left on device."
    assert explained(OSError("odd")).headline == "odd."


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number differs between systems
        (tmp_path / "file" / "a" / "b").mkdir(parents=True)
    assert str(tmp_path / "file") + " is." in explained(caught.value).headline


def segue(command: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a shell command in which `segue` is the command line."""
    script = f'segue() {{ {sys.executable} -c "from cli import main; main()" "$@"; }}; {command}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEGUE_HOME": str(folder / "home")}
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        pytest.param("segue models list >&-", 2, id="closed stdout"),
        pytest.param("mkdir d; cd d; rmdir ../d; SEGUE_HOME= segue models list", 2, id="deleted directory"),
        pytest.param("segue models list > /dev/full", 75, id="full disk"),
        pytest.param("touch f; SEGUE_HOME=f/x segue data import synthetic", 2, id="home below a file"),
        pytest.param("touch home; segue data import synthetic", 2, id="home is a file"),
        pytest.param("touch f; segue compile --out f", 2, id="a file where a folder should be"),
    ],
)
def test_a_command_ends_with_two_lines(tmp_path, command, exit_code):
    done = segue(command, tmp_path)
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (exit_code, 2), done.stderr
    assert (lines[0][:7], lines[1][:7]) == ("error: ", "  fix: ")


@pytest.mark.slow
def test_a_read_only_volume_is_named_and_can_be_read(tmp_path):
    """If this fails, a home on a read-only volume ends in a traceback, or hides what is on it."""
    root_here = ["unshare", "--map-root-user", "--mount"]  # a namespace of its own, in which it may mount
    if not shutil.which("unshare") or subprocess.run([*root_here, "true"], capture_output=True).returncode:
        pytest.skip("no user may make a namespace here")
    assert segue("segue data import synthetic --size nano --seed 0", tmp_path).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    volume = "mount --bind home home && mount -o remount,bind,ro home"
    for command, exit_code in (("data import synthetic", 2), ("doctor", 2), ("data describe", 0)):
        inside = f"export -f segue; {shlex.join(root_here)} bash -c '{volume} && segue {command}'"
        done = segue(inside, tmp_path)
        assert done.returncode == exit_code, done.stderr
        said = done.stdout if command == "doctor" else done.stderr
        assert ("Read-only file system" in said, "Traceback" in said) == (exit_code == 2, False)
        assert len(said.splitlines()) <= 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.slow
def test_an_empty_home_is_the_default(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keep.txt").touch()
    done = segue("SEGUE_HOME= segue data import synthetic; segue models list 2>&- <&-", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "keep.txt").is_file()
    assert (tmp_path / ".segue" / "data" / "manifest.json").is_file()
