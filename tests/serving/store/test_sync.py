"""A mirror keeps a server's folder equal to the model store in the object store, whatever is broken there."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from segue.errors import UnavailableError
from serving.protocol import config_files
from serving.store import model_store, versions
from serving.store.sync import GRACE, Mirror
from serving.store.unloaded import unloaded
from stores import servers, trees
from stores.s3 import Bucket, Missing
from tests.serving.store.conftest import config, texts

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_folder_follows_pushes(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    assert mirror.sync(NOW) == 0
    assert [path.name for path in folder.iterdir()] == []
    root = pushed("one")
    assert mirror.sync(NOW) == 1
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    assert {path.name for path in folder.iterdir()} == {".synced", "models.config", "ranking", "retrieval"}
    pushed("two", ["ranking"], label="canary")
    assert mirror.sync(NOW) == 2
    assert texts(folder) == {"ranking/1": "one", "ranking/2": "two", "retrieval/1": "one"}
    assert model_store.labels(folder) == {"ranking": {"stable": 1, "canary": 2}, "retrieval": {"stable": 1}}
    assert versions.pushed_at(folder, "ranking", 2) == versions.pushed_at(root, "ranking", 2)
    assert versions.faults(folder, "ranking", 2) == []
    assert json.loads((folder / ".synced").read_text()) == {"revision": 2, "time": NOW.isoformat()}


def test_base_paths_are_those_of_the_folder(bucket, pushed, folder):
    root = pushed("one")
    Mirror(bucket, folder).sync(NOW)
    assert str(root) not in config(folder)
    entries = config_files.parse_config(config(folder), "models.config")
    assert {entry.name: entry.base_path for entry in entries} == {
        name: folder / name for name in ("ranking", "retrieval")
    }


def test_old_versions_go_after_the_grace_period(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    for text in ("one", "two"):
        pushed(text, keep=1)
        mirror.sync(NOW)
    pushed("three", keep=1)
    mirror.sync(NOW)
    assert texts(folder).keys() >= {"ranking/1", "ranking/2", "ranking/3"}
    mirror.sync(NOW + GRACE - timedelta(seconds=1))
    assert "ranking/1" in texts(folder)
    mirror.sync(NOW + GRACE)
    assert texts(folder).keys() == {f"{model}/{v}" for model in ("ranking", "retrieval") for v in (2, 3)}


def test_a_version_that_returns_within_the_grace_period_stays(bucket, pushed, folder, tmp_path):
    root = pushed("one")
    mirror = Mirror(bucket, folder)
    mirror.sync(NOW)
    shutil.move(root / "ranking" / "1", tmp_path / "aside")
    assert trees.publish(bucket, "", root, 1) == 2
    mirror.sync(NOW)
    shutil.move(tmp_path / "aside", root / "ranking" / "1")
    assert trees.publish(bucket, "", root, 2) == 3
    mirror.sync(NOW + GRACE)
    mirror.sync(NOW + 2 * GRACE)
    assert "ranking/1" in texts(folder)


class Counting(Bucket):
    """A bucket that notes the files that are fetched."""

    def get_file(self, key, path):
        self.__dict__.setdefault("fetched", []).append(path.name)
        return super().get_file(key, path)


def test_nothing_is_fetched_twice(bucket, pushed, folder):
    bucket = Counting(bucket.name, bucket.prefix, bucket.endpoint)
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    bucket.fetched.clear()
    again = Mirror(bucket, folder)  # the sidecar after the init container
    again.sync(NOW)
    assert bucket.fetched == ["models.config"]
    again.sync(NOW)
    assert bucket.fetched == ["models.config"]


def test_a_version_with_other_files_is_replaced(bucket, pushed, folder):
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    (folder / "ranking" / "1" / "saved_model.pb").write_text("other")
    (folder / "retrieval" / "1" / "more").touch()
    Mirror(bucket, folder).sync(NOW)
    assert texts(folder) == {"ranking/1": "one", "retrieval/1": "one"}
    assert not (folder / "retrieval" / "1" / "more").exists()


def test_the_configuration_waits_for_the_versions(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    pushed("one")
    mirror.sync(NOW)
    before = config(folder)
    pushed("two")
    lost = trees.current(bucket, "").files["retrieval/2/saved_model.pb"].sha256
    bucket.delete([f"blobs/{lost}"])
    with pytest.raises(Missing):
        mirror.sync(NOW)
    assert config(folder) == before
    assert not (folder / "retrieval" / "2").exists()
    bucket.put(f"blobs/{lost}", b"two")
    assert mirror.sync(NOW) == 2
    assert texts(folder)["retrieval/2"] == "two"


def test_a_blob_with_other_bytes_is_never_installed(bucket, pushed, folder):
    mirror = Mirror(bucket, folder)
    pushed("one")
    mirror.sync(NOW)
    before = config(folder)
    pushed("two")
    blob = f"blobs/{trees.current(bucket, '').files['ranking/2/saved_model.pb'].sha256}"
    bucket.put(blob, b"owt")  # of the same size
    with pytest.raises(UnavailableError, match="other bytes than were published"):
        mirror.sync(NOW)
    assert config(folder) == before
    assert texts(folder).keys() & {"ranking/2"} == set()
    bucket.put(blob, b"two")
    assert mirror.sync(NOW) == 2
    assert versions.faults(folder, "ranking", 2) == []


def test_labels_stay_while_no_server_says_that_it_has_loaded_the_versions(bucket, pushed, folder):
    nobody = f"{servers.HOST}:{servers.free_ports(1)[0]}"
    pushed("one")
    assert Mirror(bucket, folder).sync(NOW) == 1
    mirror = Mirror(bucket, folder, nobody)  # the sidecar after the init container
    mirror.sync(NOW)
    assert mirror.waiting == ""
    pushed("two")
    mirror.sync(NOW)
    assert mirror.waiting == "ranking 2 has just come; retrieval 2 has just come"
    mirror.sync(NOW)
    assert mirror.waiting.startswith(f"{nobody} does not answer for ranking 2: ")
    entries = config_files.parse_config(config(folder))
    assert {entry.name: (dict(entry.labels), entry.specific) for entry in entries} == {
        name: ({"stable": 1}, (1, 2)) for name in ("ranking", "retrieval")
    }
    assert json.loads((folder / ".synced").read_text())["revision"] == 1


def test_a_version_that_the_file_has_dropped_is_named_again_before_a_label_moves(bucket, pushed, folder):
    """If this fails, the server may unload the version just when a label moves to it, and refuse the file for ever."""
    root = pushed("one")
    mirror = Mirror(bucket, folder)
    for text in ("two", "three"):
        pushed(text)
        mirror.sync(NOW)
    model_store.promote(root, 1)
    trees.publish(bucket, "", root, 3)
    mirror.server = f"{servers.HOST}:{servers.free_ports(1)[0]}"  # it is not asked
    mirror.sync(NOW)
    assert mirror.waiting == "ranking 1 has just come; retrieval 1 has just come"
    (ranking, _) = config_files.parse_config(config(folder))
    assert (ranking.specific, ranking.labels) == ((1, 2, 3), {"stable": 3})


def test_versions_that_still_have_labels_here_stay_when_the_store_has_dropped_them(bucket, pushed, folder):
    pushed("one")
    Mirror(bucket, folder).sync(NOW)
    mirror = Mirror(bucket, folder, f"{servers.HOST}:{servers.free_ports(1)[0]}")
    for text in ("two", "three"):
        pushed(text, keep=1)
    assert "ranking/1/saved_model.pb" not in trees.current(bucket, "").files
    mirror.sync(NOW)
    mirror.sync(NOW + 2 * GRACE)
    assert model_store.labels(folder)["ranking"] == {"stable": 1}
    assert texts(folder)["ranking/1"] == "one"


def test_leftovers_of_a_killed_sidecar_are_removed(bucket, folder):
    (folder / "ranking" / ".tmp-2-0123abcd").mkdir(parents=True)
    (folder / ".tmp-models.config").mkdir()
    Mirror(bucket, folder)
    assert [path.name for path in folder.rglob("*")] == ["ranking"]


def test_labels_move_while_the_object_store_is_away(bucket, objects, saved_models, folder, tmp_path, eventually):
    """If this fails, replicas differ as long as the object store is away. The server obeys TF Serving's own rule."""
    from serving.run_server import ModelServer
    from serving.server.label_rules import LABELS_UNUSED
    from serving.server_config import ServerConfig

    root = tmp_path / "pusher" / "models"
    for base, scale in enumerate(("one", "two")):
        model_store.push(root, {"scale": saved_models[scale]})
        trees.publish(bucket, "", root, base)
        if not base:
            Mirror(bucket, folder).sync(NOW)
    settings = ServerConfig(
        folder / "models.config", rest_port=0, labels=LABELS_UNUSED, model_config_file_poll_wait_seconds=0.1
    )
    with ModelServer(settings) as server:
        mirror = Mirror(bucket, folder, server.rest_address)
        assert mirror.sync(NOW) == 2
        assert mirror.waiting == "scale 2 has just come"
        objects.kill()
        try:
            eventually(lambda: unloaded(server.rest_address, [("scale", 2)]) == [])
            assert model_store.labels(folder) == {"scale": {"stable": 1}}
            with pytest.raises(UnavailableError):
                mirror.sync(NOW)
            assert model_store.labels(folder) == {"scale": {"stable": 2}}
        finally:
            objects.start()
