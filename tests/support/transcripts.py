"""The transcripts of a page: commands, and what they print."""

import re
import shlex
from pathlib import Path


def transcripts(page: Path) -> list[tuple[list[str], str]]:
    """Return the arguments of each `segue` command in a page's `console` blocks, and what the page says it prints."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for command, printed in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            program, *arguments = shlex.split(command.replace("\\\n", ""))
            if Path(program).name == "segue":
                found.append((arguments, printed))
    return found


def without_padding(printed: str) -> str:
    """Return a text without the spaces at the end of its lines, which pages do not keep."""
    return re.sub(r" +$", "", printed, flags=re.MULTILINE)
