"""requirements.lock: it does not depend on the machine that wrote it, and this environment matches it."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[2]
# Packages whose versions pyproject.toml overrides, for the reasons in docs/environment.md.
OVERRIDDEN = [
    "tensorflow-data-validation",
    "tfx-bsl",
    "ml-metadata",
    "protobuf",
    "pandas",
    "pyarrow",
    "numpy",
    "attrs",
    "tensorflow",
    "tensorflow-metadata",
]
ENTRY = re.compile(r"^(?P<name>[\w.-]+)(\[[\w,-]+\])?==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))?(?P<rest>.*)")


@pytest.fixture(scope="module")
def lock() -> str:
    """The text of the file, with continued lines joined."""
    return (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")


def installed_here(lock: str) -> dict[str, str]:
    """Return the locked version of each package for this platform."""
    entries = [match for line in lock.splitlines() if (match := ENTRY.match(line))]
    return {
        entry["name"]: entry["version"]
        for entry in entries
        if not entry["marker"] or Marker(entry["marker"].split(" --hash")[0].strip()).evaluate()
    }


@pytest.mark.parametrize("address", ["://", "file:", "--index-url", "--extra-index-url", "--find-links", " @ "])
def test_the_lock_names_no_address(lock, address):
    """If this fails, the lock can be installed only from one machine or one registry."""
    assert address not in lock


def test_every_entry_is_pinned_and_hashed(lock):
    """If this fails, the installed packages can differ from the tested packages."""
    for line in lock.splitlines():
        assert ENTRY.match(line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_the_overrides_are_those_of_pyproject():
    """If this fails, an override was added or removed and the list above misses it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"override-dependencies = \[(.*?)\n\]", text, flags=re.DOTALL)
    assert block
    assert set(re.findall(r'"([\w-]+)[=<>]', block[1])) == set(OVERRIDDEN)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_package_is_installed_as_locked(lock, name):
    """If this fails, the environment is older than the lock. Run `make env`."""
    assert version(name) == installed_here(lock)[name]
