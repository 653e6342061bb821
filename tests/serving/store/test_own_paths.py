"""A store that was copied or moved is served from where it is."""

import shutil

import pytest

from serving.server_config import ServerConfig
from serving.store.model_store import push


@pytest.fixture
def written(tmp_path):
    """A store with two models, and the file that was pushed."""
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    root = tmp_path / "home" / "models"
    push(root, {"ranking": tmp_path / "saved", "retrieval": tmp_path / "saved"})
    return root


def base_paths(root) -> list:
    return [model.base_path for model in ServerConfig(model_config_file=root / "models.config").read_models()]


@pytest.mark.parametrize("name", ["copy", "other place/models", "seg [v2] #1", 'a "quoted" é'])
@pytest.mark.parametrize("keep", [True, False], ids=["copied", "moved"])
def test_a_store_is_served_from_where_it_is(written, tmp_path, name, keep):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (shutil.copytree if keep else shutil.move)(written, tmp_path / name)
    assert base_paths(tmp_path / name) == [tmp_path / name / "ranking", tmp_path / name / "retrieval"]


def test_a_push_into_a_copy_announces_and_writes_its_own_paths(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    push(copy, {"ranking": tmp_path / "saved"})
    assert str(written) not in (copy / "models.config").read_text()
    assert str(copy) not in (written / "models.config").read_text()


def test_the_base_path_of_another_file_stays(written, tmp_path):
    text = (written / "models.config").read_text()
    (tmp_path / "ranking" / "1").mkdir(parents=True)  # no push wrote this version
    (tmp_path / "models.config").write_text(text)
    assert base_paths(tmp_path) == [written / "ranking", written / "retrieval"]
