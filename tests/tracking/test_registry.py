"""Registered models: versions, and the aliases of challenger and champion."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from tracking.registry import CHALLENGER, CHAMPION, make_champions, register, registered_name
from tracking.runs import log_run

pytestmark = pytest.mark.slow  # MLflow makes its database, which takes 3 s

MODELS = ("ranking", "retrieval")


@pytest.fixture
def registered(tracking_uri, artifacts, folder):
    """`registered(name)`: a run with two models, registered; its MLflow id, and the models' versions."""

    def run(name: str) -> tuple[str, dict[str, str]]:
        saved_models = {model: folder / name / model for model in MODELS}
        for path in saved_models.values():
            path.mkdir(parents=True)
            (path / "saved_model.pb").write_text(name)
        run_id = log_run(tracking_uri, artifacts, name, {}, {}, {}, [])
        return run_id, register(tracking_uri, run_id, saved_models, {"run_id": name})

    return run


def test_a_registered_version_keeps_its_files_its_run_and_its_tags(registered, client, tmp_path):
    run_id, versions = registered("files")
    assert set(versions) == set(MODELS)
    version = client.get_model_version(registered_name("ranking"), versions["ranking"])
    assert (version.run_id, version.tags) == (run_id, {"run_id": "files"})
    saved = client.download_artifacts(run_id, "ranking/saved_model.pb", str(tmp_path))
    assert Path(saved).read_text() == "files"


def test_a_new_version_is_the_challenger_and_leaves_the_champion_alone(registered, client, tracking_uri):
    name = registered_name("ranking")
    _, served = registered("served")
    make_champions(tracking_uri, served, store_version=7)
    _, new = registered("new")
    assert int(new["ranking"]) == int(served["ranking"]) + 1
    assert str(client.get_model_version_by_alias(name, CHALLENGER).version) == new["ranking"]
    assert str(client.get_model_version_by_alias(name, CHAMPION).version) == served["ranking"]


def test_a_champion_version_is_the_champion_and_names_its_version_in_the_store(registered, client, tracking_uri):
    _, versions = registered("champion")
    make_champions(tracking_uri, versions, store_version=8)
    for model in MODELS:
        champion = client.get_model_version_by_alias(registered_name(model), CHAMPION)
        assert (str(champion.version), champion.tags["store_version"]) == (versions[model], "8")
        with pytest.raises(MlflowException, match=CHALLENGER):
            client.get_model_version_by_alias(registered_name(model), CHALLENGER)
