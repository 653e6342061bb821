"""The model store: whole versions, labels that move as one, and the way back."""

import subprocess
import sys
from pathlib import Path

import pytest

from segue.errors import InputError
from segue.files import TEMPORARY
from serving import config, store

# Ends the process, as SIGKILL would, before the n-th change to the disk during a push.
KILLED_PUSH = """
import os, pathlib, shutil, sys
from serving import store

left = int(sys.argv[1])

def dying(change):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return change(*args, **kwargs)
    return call

for name in ("rename", "write_text", "mkdir", "unlink"):
    setattr(pathlib.Path, name, dying(getattr(pathlib.Path, name)))
shutil.copyfile, shutil.rmtree = dying(shutil.copyfile), dying(shutil.rmtree)
root, source = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
store.push(root, {"a": source, "b": source}, keep=1)
"""


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder that looks like a SavedModel; the store does not read it."""
    folder = tmp_path / "exported"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "store"


def corrupt(root: Path, model: str, version: int) -> None:
    (root / model / str(version) / "variables" / "variables.index").write_bytes(b"other")


def test_a_push_gives_all_models_one_new_version(root, source):
    assert store.push(root, {"a": source}) == 1
    assert store.push(root, {"a": source, "b": source}) == 2

    assert store.versions(root, "a") == [1, 2]
    assert store.versions(root, "b") == [2]
    assert store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}}
    assert store.models(root) == ["a", "b"]
    assert store.verify(root, "a", 2)


def test_an_empty_store_has_nothing(root):
    assert store.labels(root) == {}
    assert store.models(root) == []
    assert store.versions(root, "a") == []


def test_old_versions_go_and_labelled_ones_stay(root, source):
    for _ in range(3):
        store.push(root, {"a": source}, keep=3)
    store.promote(root, 1, "best")

    store.push(root, {"a": source}, keep=1)

    # 4 is stable, 3 is what a rollback returns to, 1 is labelled
    assert store.versions(root, "a") == [1, 3, 4]


def test_a_push_killed_at_any_moment_leaves_the_old_set_or_the_new_one(root, source):
    for _ in range(3):
        store.push(root, {"a": source, "b": source})
    # Three versions to begin with, so that the push also has old ones to remove.
    steps, killed, moved = 0, True, False
    while killed:
        steps += 1
        before = store.labels(root)
        command = [sys.executable, "-c", KILLED_PUSH, str(steps), str(root), str(source)]
        killed = subprocess.run(command, check=False).returncode == 9
        after = store.labels(root)

        assert after["a"] == after["b"], "the labels of both models move at once"
        moved = moved or (killed and after != before)
        for model in ("a", "b"):
            for version in store.versions(root, model):
                assert store.verify(root, model, version), "only whole versions have a number"

    assert steps > 15
    assert moved, "some push was killed after its labels had moved"
    store.push(root, {"a": source, "b": source})
    assert not list(root.rglob(f"{TEMPORARY}*"))


def test_a_rename_that_fails_keeps_the_labels(root, source, monkeypatch):
    store.push(root, {"a": source, "b": source})
    rename = Path.rename

    def fails_for_b(self, target):
        if self.parent.name == "b":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_b)
    with pytest.raises(OSError, match="disk full"):
        store.push(root, {"a": source, "b": source})
    monkeypatch.undo()

    assert store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}
    assert store.push(root, {"a": source, "b": source}) in (2, 3)


def test_rollback_goes_to_the_next_older_whole_version(root, source):
    for _ in range(3):
        store.push(root, {"a": source, "b": source})
    corrupt(root, "b", 2)

    assert store.rollback(root) == 1
    assert store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}
    with pytest.raises(InputError, match="no older whole version to roll back to"):
        store.rollback(root)


def test_rollback_leaves_a_model_that_was_not_pushed_last(root, source):
    store.push(root, {"a": source, "b": source})
    store.push(root, {"a": source})

    assert store.rollback(root) == 1
    assert store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}


def test_promote_moves_a_label_of_every_model_that_has_the_version(root, source):
    store.push(root, {"a": source, "b": source})
    store.push(root, {"a": source})

    assert store.promote(root, 1) == ["a", "b"]
    assert store.promote(root, 2, "canary") == ["a"]
    assert store.labels(root) == {"a": {"stable": 1, "canary": 2}, "b": {"stable": 1}}


def test_promote_rejects_an_unknown_and_a_corrupt_version(root, source):
    store.push(root, {"a": source})

    with pytest.raises(InputError, match=r"version 7\. The versions are: 1"):
        store.promote(root, 7)
    corrupt(root, "a", 1)
    with pytest.raises(InputError, match=r"a 1: variables/variables\.index has changed"):
        store.promote(root, 1)


def test_faults_name_each_file(root, source):
    store.push(root, {"a": source})
    folder = root / "a" / "1"
    corrupt(root, "a", 1)
    (folder / "saved_model.pb").unlink()
    (folder / "extra").touch()

    assert store.faults(root, "a", 1) == [
        "saved_model.pb is missing",
        "extra was not pushed",
        "variables/variables.index has changed",
    ]
    assert not store.verify(root, "a", 1)
    with pytest.raises(InputError, match="has no version 2"):
        store.verify(root, "a", 2)


@pytest.mark.parametrize(
    ("models", "keep", "rule"),
    [
        ({}, 5, "at least one model"),
        ({"../a": "exported"}, 5, "A model name has"),
        ({"a": "nowhere"}, 5, "folder with saved_model.pb"),
        ({"a": "exported"}, 0, "keeps at least 1 version"),
    ],
)
def test_a_push_that_breaks_a_rule_changes_nothing(root, source, models, keep, rule):
    with pytest.raises(InputError, match=rule):
        store.push(root, {name: source.parent / folder for name, folder in models.items()}, keep)
    assert not root.exists()


def test_the_config_loads_the_labelled_versions_and_the_way_back(root, source):
    for _ in range(3):
        store.push(root, {"a": source})

    (entry,) = config.parse_config((root / store.CONFIG).read_text())

    assert entry.base_path == root / "a"
    assert (entry.policy, entry.specific) == ("specific", (2, 3))


def test_render_config_for_the_cluster():
    text = config.render_config({"b": {"stable": 2, "canary": 3}, "a": {"stable": 2}}, "/models")

    first, second = config.parse_config(text)
    assert (first.name, str(first.base_path), first.labels) == ("a", "/models/a", {"stable": 2})
    assert (second.specific, second.labels) == ((2, 3), {"stable": 2, "canary": 3})
    assert 'model_platform: "tensorflow"' in text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("model_config_list { config {", "text proto of ModelServerConfig"),
        ('model_config_list { config { name: "a" base_path: "/m" } }', "platform of model 'a'"),
        (
            'model_config_list { config { name: "a" base_path: "m" model_platform: "tensorflow" } }',
            "Expected model a to have an absolute path",
        ),
        ('model_config_list { config { base_path: "/m" model_platform: "tensorflow" } }', "has a name"),
        (
            'model_config_list { config { name: "a" base_path: "/m" model_platform: "tensorflow" } '
            'config { name: "a" base_path: "/n" model_platform: "tensorflow" } }',
            "Illegal to list model a multiple times",
        ),
        ("custom_model_config {}", "model_config_list only"),
    ],
)
def test_a_config_that_breaks_a_rule(text, rule):
    with pytest.raises(InputError, match=rule):
        config.parse_config(text)


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("", {3, 1}),
        ("latest { num_versions: 2 }", {2, 3, 1}),
        ("all {}", {1, 2, 3}),
        ("specific { versions: 2 versions: 9 }", {2, 1}),
    ],
)
def test_version_policies_and_the_labelled_version(policy, wanted):
    text = (
        'model_config_list { config { name: "a" base_path: "/m" model_platform: "tensorflow" '
        f'model_version_policy {{ {policy} }} version_labels {{ key: "old" value: 1 }} }} }}'
    )
    assert config.parse_config(text)[0].wanted([1, 2, 3]) == wanted


def test_monitoring_config():
    parsed = config.parse_monitoring_config('prometheus_config { enable: true path: "/m" }', "f")

    assert parsed == {"enable": True, "path": "/m"}
    assert config.parse_monitoring_config("", "f")["path"] == "/monitoring/prometheus/metrics"
    with pytest.raises(InputError, match="text proto of MonitoringConfig"):
        config.parse_monitoring_config("prometheus { on: 1 }", "f")
