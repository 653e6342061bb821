"""The documentation keeps its word: links lead somewhere, commands exist, files that it names are there."""

import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli import cli

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
PAGES = sorted(ROOT / name for name in TRACKED if name.endswith(".md"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SHELLS = ("bash", "sh", "console")
FILE = re.compile(r"`((?:[\w-]+/)+[\w.-]*\.(?:py|md|yaml|json|csv|config))`")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The language and the text of each fenced block of a page."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines(page: Path) -> Iterator[str]:
    """The commands of a page's shell blocks, continued lines joined, prompts removed."""
    for language, text in blocks(page):
        if language not in SHELLS:
            continue
        for line in text.replace("\\\n", " ").splitlines():
            if language == "console" and not line.startswith("$ "):
                continue
            yield line.removeprefix("$ ")


def segue_commands(line: str) -> Iterator[list[str]]:
    """The arguments of each `segue` or `python -m serving` command in a shell line."""
    words = shlex.split(line, comments=True)
    commands: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "||", "|", ";", "&"):
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
            command = command[1:]
        if command and Path(command[0]).name == "segue":
            yield command[1:]


def options_of(command: click.Command) -> set[str]:
    """Every spelling of a command's options."""
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return names | {"--help", "-h"}


def unknown(arguments: list[str]) -> str:
    """What a `segue` command line names that does not exist; empty if all exists."""
    command: click.Command = cli
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        context = click.Context(command)
        if rest[0].isupper():
            return ""  # a placeholder, such as `segue bench NAME`
        chosen = command.get_command(context, rest[0])
        if chosen is None:
            return rest[0]
        command, rest = chosen, rest[1:]
    options = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    return ", ".join(sorted(options - options_of(command)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page if not name else (page.parent / name).resolve()
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page):
    for name in FILE.findall(prose(page)):
        if not (ROOT / name.split("/")[0]).exists():
            continue  # a file of a run or a home
        assert (ROOT / name).exists() or (page.parent / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_exist(page):
    inline = [f"segue {text}" for text in re.findall(r"`segue ([^`]+)`", prose(page)) if "…" not in text]
    for line in [*shell_lines(page), *inline]:
        for arguments in segue_commands(re.sub(r"\[[^\]]*\]", "", line)):
            assert not unknown(arguments), f"{page.name}: {line!r} names {unknown(arguments)}"
        for target in re.findall(r"(?:^|&& )make ([a-z-]+)", line):
            assert target in TARGETS, f"{page.name}: make {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_of_a_page_imports_what_there_is(page):
    for language, text in blocks(page):
        if language != "python":
            continue
        for module, names in re.findall(r"^from ([a-z_.]+) import ([\w, ]+)", text, re.MULTILINE):
            if not (ROOT / module.split(".")[0]).is_dir():
                continue
            for name in (part.strip() for part in names.split(",")):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {module} has no {name}"


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("segue data import parquet --events plays.csv", ""),
        ("SEGUE_HOME=x segue run training --config f.yaml && segue status", ""),
        ("segue recomend --user u", "recomend"),
        ("segue recommend --usr u", "--usr"),
        ("segue serve --rest_api_port=8501 &", ""),
        ("segue bench NAME", ""),
    ],
)
def test_a_command_that_does_not_exist_is_seen(line, missing):
    assert "".join(unknown(arguments) for arguments in segue_commands(line)) == missing
