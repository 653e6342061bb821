"""The command line that a check proposes works when it is pasted into a shell."""

import subprocess
from pathlib import Path

import pytest

from events.importers.own.dialects import Dialect
from events.importers.own.preview import command
from segue.terminal import visible

FIRST = ["segue", "data", "import", "parquet", "--events"]


@pytest.mark.parametrize(
    "name",
    ["a b", "user\tid", "user\nid", "it's $HOME `id` ! \\n", "it's \u202e\\\x1b[1m", "a\x85b\x7f", "a=b", "-x", "ö"],
)
def test_a_command_can_be_pasted_whatever_files_and_columns_are_called(name):
    line = command({"events": [Path(name)]}, {"user_id": name}, Dialect(separator="\t", encoding=name))
    assert line == visible(line)
    script = f"export LC_ALL=C.UTF-8; printf '%s\\0' {line}"
    pasted = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")
    assert pasted == [*FIRST, name, "--map", f"user_id={name}", "--separator", "\t", "--encoding", name, ""]
