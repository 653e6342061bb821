"""A home that was copied or moved keeps its record of runs in its own folder."""

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow.utils.file_utils import local_file_uri_to_path

from segue.files import tree_sha256
from segue.settings import Home
from tracking.moved_home import relocate
from tracking.outbox import track
from tracking.runs import EXPERIMENT

OLD, NEW = "training-20260301T120000", "training-20260301T130000"


def record_run(home: Home, name: str) -> None:
    """Record a run with a report and a pushed model."""
    folder = home.run(name)
    folder.path.mkdir(parents=True)
    folder.evaluation.write_text(name)
    saved_model = home.models / "ranking" / "1" / "saved_model.pb"
    saved_model.parent.mkdir(parents=True, exist_ok=True)
    saved_model.write_text(name)
    record = {
        "experiment": EXPERIMENT, "params": {}, "metrics": {}, "tags": {}, "files": [folder.evaluation.name],
        "failed": False, "trials": [], "version": 1,
    }  # fmt: skip
    assert "mlflow_run" in track(home, folder, record)


def reports(home: Home) -> dict[str, str]:
    """The report of each run, as MLflow finds it in a home's record, and of each registered model."""
    client = mlflow.MlflowClient(home.own_tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    versions = client.search_model_versions("name = 'segue-ranking'")
    found = {run.info.run_name: (run.info.artifact_uri, "evaluation.json") for run in runs}
    found |= {each.version: (each.source, "saved_model.pb") for each in versions}
    files = {name: Path(local_file_uri_to_path(folder)) / file for name, (folder, file) in found.items()}
    assert all(home.root in path.parents for path in files.values())
    return {name: path.read_text() for name, path in files.items()}


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Home:
    """A home with one recorded run."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("original")
        patched.chdir(folder)
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        record_run(Home(folder / "home"), OLD)
    return Home(folder / "home")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["copy", "home2", "é 日本 #1", 'it\'s %41 "so"', "home/inner"])
def test_a_copy_leaves_the_original_alone_and_shows_all_runs(original, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy = Home(tmp_path / name)
    shutil.copytree(original.root, copy.root)
    before = tree_sha256(original.root)
    record_run(copy, NEW)
    assert reports(copy) == {OLD: OLD, NEW: NEW, 1: OLD, 2: NEW}
    assert tree_sha256(original.root) == before
    assert {path.name for path in tmp_path.iterdir()} <= {Path(name).parts[0], "mlruns"}


@pytest.mark.slow
def test_a_home_that_moved_twice(original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(tmp_path / "first")
    shutil.copytree(original.root, home.root)
    relocate(home.tracking_database, home.tracking_artifacts)
    home = Home(home.root.rename(tmp_path / "second"))
    relocate(home.tracking_database, home.tracking_artifacts)
    assert reports(home) == {OLD: OLD, 1: OLD}


@pytest.mark.parametrize("content", [None, b""], ids=["absent", "empty"])
def test_a_database_without_tables_is_left_to_mlflow(tmp_path, content):
    database = tmp_path / "mlflow.db"
    if content is not None:
        database.write_bytes(content)
    relocate(database, tmp_path / "artifacts")
    assert database.exists() == (content is not None)
