"""Registered models: versions, and the aliases of those that the labels name."""

from pathlib import Path

import pytest

from tracking.aliases import CHALLENGER, CHAMPION, set_aliases
from tracking.registry import register, registered_name
from tracking.runs import EXPERIMENT, log_run

pytestmark = pytest.mark.slow  # MLflow makes its database, which takes 3 s

MODELS = ("ranking", "retrieval")


@pytest.fixture
def registered(client, artifacts, folder):
    """`registered(name, store_version)`: a run with two models; its MLflow id, and the models' versions."""

    def run(name: str, store_version: int) -> tuple[str, dict[str, str]]:
        saved_models = {model: folder / name / model for model in MODELS}
        for path in saved_models.values():
            path.mkdir(parents=True)
            (path / "saved_model.pb").write_text(name)
        run_id = log_run(client, EXPERIMENT, artifacts, name, {}, {}, {}, [])
        return run_id, register(client, run_id, saved_models, {"run_id": name}, store_version)

    return run


def test_a_registered_version_keeps_its_files_its_run_and_its_tags(registered, client, tmp_path):
    run_id, versions = registered("files", 3)
    assert set(versions) == set(MODELS)
    version = client.get_model_version(registered_name("ranking"), versions["ranking"])
    assert (version.run_id, version.tags) == (run_id, {"run_id": "files", "store_version": "3"})
    saved = client.download_artifacts(run_id, "ranking/saved_model.pb", str(tmp_path))
    assert Path(saved).read_text() == "files"


def test_a_repeated_registration_keeps_the_versions(registered, client, folder):
    run_id, versions = registered("repeated", 9)
    saved_models = {model: folder / "repeated" / model for model in MODELS}
    assert register(client, run_id, saved_models, {"run_id": "repeated"}, 9) == versions


def test_aliases_name_the_versions_of_runs_and_go_where_there_is_none(registered, client):
    _, served = registered("served", 7)
    _, new = registered("new", 8)

    def aliases(model):
        return {
            name: str(version) for name, version in client.get_registered_model(registered_name(model)).aliases.items()
        }

    both = {model: {CHAMPION: "served", CHALLENGER: "new"} for model in MODELS}
    assert set_aliases(client, both) == set()
    assert all(aliases(model) == {CHAMPION: served[model], CHALLENGER: new[model]} for model in MODELS)

    promoted = {"ranking": {CHAMPION: "new"}, "retrieval": {CHAMPION: "gone"}, "sequence": {CHAMPION: "gone"}}
    assert set_aliases(client, promoted) == {"gone"}
    assert aliases("ranking") == {CHAMPION: new["ranking"]}
    assert aliases("retrieval") == {}  # none is better than a wrong one
