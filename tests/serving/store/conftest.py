"""An empty model store, and models to push."""

from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with the files of a SavedModel; the store does not read their contents."""
    folder = tmp_path / "exported"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder of a model store that does not exist yet."""
    return tmp_path / "store"


def corrupt(root: Path, model: str, version: int) -> None:
    """Change a file of a version."""
    (root / model / str(version) / "variables" / "variables.index").write_bytes(b"other")
