"""A real MLflow on a SQLite file."""

from pathlib import Path

import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The folder of the tracking database and its artifacts."""
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="session")
def tracking_uri(folder) -> str:
    """The tracking URI of an empty database."""
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="session")
def artifacts(folder) -> str:
    """The place of the artifacts."""
    return (folder / "artifacts").as_uri()


@pytest.fixture(scope="session")
def client(tracking_uri) -> MlflowClient:
    """MLflow's own view of the database."""
    return MlflowClient(tracking_uri)


@pytest.fixture(scope="session")
def report(folder) -> Path:
    """A file to keep with a run."""
    path = folder / "evaluation.json"
    path.write_text("{}")
    return path
