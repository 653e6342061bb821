"""An empty model store, models to push, and a store in the object store."""

from pathlib import Path

import pytest

from serving.store import model_store
from stores import trees


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


@pytest.fixture
def pushed(bucket, tmp_path):
    """A function that pushes models with a text to a local store and publishes it; returns the store."""
    root = tmp_path / "pusher" / "models"

    def push(text: str, models=("ranking", "retrieval"), **options):
        saved = tmp_path / "saved"
        saved.mkdir(exist_ok=True)
        (saved / "saved_model.pb").write_text(text)
        model_store.push(root, dict.fromkeys(models, saved), **options)
        trees.publish(bucket, "", root, trees.current(bucket, "").number)
        return root

    return push


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder that a server reads, which does not exist yet."""
    return tmp_path / "server" / "models"


def texts(folder: Path) -> dict[str, str]:
    """`<model>/<version>` -> the text of its model."""
    found = sorted(folder.glob("*/*/saved_model.pb"))
    return {path.parent.relative_to(folder).as_posix(): path.read_text() for path in found}


def config(folder: Path) -> str:
    """The text of a folder's `models.config`."""
    return (folder / "models.config").read_text()
