"""Run the tests of the manifests, and write what ran, and where, into k8s/README.md.

`python k8s/tested.py` replaces the table between the two comments of the page. A test compares its rows with the tests
that there are, so a new test asks for a new table.
"""

import ast
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "k8s/README.md"
TESTS = "tests/k8s"
BLOCK = re.compile(r"(?<=<!-- tested -->\n).*?(?=<!-- /tested -->)", re.DOTALL)
NEEDS_A_CLUSTER = "# needs a cluster"


def module_of(case: ElementTree.Element) -> str:
    """The file of a test: pytest writes `tests.k8s.test_policy` as its class name."""
    return case.attrib["classname"].split(".")[2] + ".py"


def rows(report: ElementTree.Element) -> list[tuple[str, str, str]]:
    """What was tested, by which file, and how it ended: one row a file of tests."""
    passed: Counter[str] = Counter()
    skipped: dict[str, list[str]] = {}
    for case in report.iter("testcase"):
        reason = case.find("skipped")
        if reason is None:
            passed[module_of(case)] += 1
        else:
            skipped.setdefault(module_of(case), []).append(reason.attrib["message"])
    found = []
    for name in sorted({*passed, *skipped}):
        source = (ROOT / TESTS / name).read_text(encoding="utf-8")
        what = str(ast.get_docstring(ast.parse(source))).partition("\n")[0].rstrip(".")
        ended = [f"{passed[name]} passed"] if passed[name] else []
        ended += [f"{len(reasons)} not run: {reasons[0]}" for reasons in [skipped.get(name)] if reasons]
        found.append((what, f"[{name}](../{TESTS}/{name})", ", ".join(ended)))
    return found


def commands_of_a_cluster(page: str) -> list[str]:
    """The commands of the blocks that need a cluster."""
    blocks = re.findall(rf"^```bash\n{NEEDS_A_CLUSTER}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


def table(report: ElementTree.Element, page: str) -> str:
    """The table of what ran here and of what needs a cluster."""
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(encoding="utf-8"))
    where = f"{system[1] if system else platform.system()}, {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Where: {where}, without a cluster.", "", "| what | by | how it ended |", "|---|---|---|"]
    lines += [f"| {what} | {by} | {ended} |" for what, by, ended in rows(report)]
    lines += [f"| `{command}` | a person | not run: needs a cluster |" for command in commands_of_a_cluster(page)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the tests and write the table; nothing is written if a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            TESTS,
            f"--junitxml={report}",
            "--deselect",
            f"{TESTS}/test_readme.py",
        ]
        done = subprocess.run(command, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(done.returncode)
        page = PAGE.read_text(encoding="utf-8")
        text = table(ElementTree.parse(report).getroot(), page)
    PAGE.write_text(BLOCK.sub(lambda _: text, page), encoding="utf-8")


if __name__ == "__main__":
    main()
