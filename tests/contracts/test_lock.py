"""requirements.lock: nothing in it depends on where it was made, and this environment was made from it."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[2]
# Held or freed in pyproject.toml; docs/environment.md says why.
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
    """The file, continued lines joined."""
    return (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")


def installed_here(lock: str) -> dict[str, str]:
    """name -> version of the entries for this platform."""
    entries = [match for line in lock.splitlines() if (match := ENTRY.match(line))]
    return {
        entry["name"]: entry["version"]
        for entry in entries
        if not entry["marker"] or Marker(entry["marker"].split(" --hash")[0].strip()).evaluate()
    }


@pytest.mark.parametrize("address", ["://", "file:", "--index-url", "--extra-index-url", "--find-links", " @ "])
def test_it_names_no_address(lock, address):
    """If this fails, the lock installs from one machine or one registry only."""
    assert address not in lock


def test_every_entry_is_pinned_and_hashed(lock):
    """If this fails, what is installed can differ from what was tested."""
    for line in lock.splitlines():
        assert ENTRY.match(line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_the_overrides_are_the_ones_in_pyproject():
    """If this fails, a package was held or freed and this list does not check it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"override-dependencies = \[(.*?)\n\]", text, flags=re.DOTALL)
    assert block
    assert set(re.findall(r'"([\w-]+)[=<>]', block[1])) == set(OVERRIDDEN)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_package_is_installed_as_locked(lock, name):
    """If this fails, the environment is older than the lock: run `make env`."""
    assert version(name) == installed_here(lock)[name]
