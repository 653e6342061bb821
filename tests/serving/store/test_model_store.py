"""The model store: whole versions, labels that move as one, and the way back."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from segue.errors import InputError
from segue.files import TEMPORARY
from serving.protocol import config_files as config
from serving.protocol import prediction_log, tensors
from serving.store import model_store as store

# Ends the process, as SIGKILL would, before the n-th change to the disk during a change of the store.
KILLED = """
import os, pathlib, shutil, sys
from serving.store import model_store as store

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
models, warmup = {"a": source, "b": source}, {"a": [{"x": [1.0]}]}
{
    "push": lambda: store.push(root, models, keep=1, warmup=warmup),
    "canary": lambda: store.push(root, models, label="canary"),
    "promote": lambda: store.promote(root),
    "rollback": lambda: store.rollback(root),
}[sys.argv[4]]()
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

    store.push(root, {"a": source}, keep=1, label="canary")
    store.push(root, {"a": source}, keep=1)

    # 5 is stable, 3 is what a rollback returns to, 1 is labelled; 4 was a canary, which the push ended
    assert store.versions(root, "a") == [1, 3, 5]


def test_a_model_that_came_with_the_last_push_keeps_nobody_from_going_back(root, source):
    for models in ("ab", "ab", "abc"):
        store.push(root, dict.fromkeys(models, source))

    assert store.rollback(root) == ("stable", {"a": 2, "b": 2})
    assert store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}, "c": {"stable": 3}}


def test_a_push_killed_at_any_moment_leaves_the_old_set_or_the_new_one(root, source):
    for _ in range(3):
        store.push(root, {"a": source, "b": source})
    # Three versions to begin with, so that the push also has old ones to remove.
    steps, killed, moved = 0, True, False
    while killed:
        steps += 1
        before = store.labels(root)
        command = [sys.executable, "-c", KILLED, str(steps), str(root), str(source), "push"]
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


@pytest.mark.parametrize("change", ["canary", "promote", "rollback"])
def test_a_change_killed_at_any_moment_moves_all_labels_or_none(root, source, change):
    store.push(root, {"a": source, "b": source})
    for label in ["stable"] if change == "canary" else ["stable", "canary"]:
        store.push(root, {"a": source, "b": source}, label=label)
    before, steps, killed = store.labels(root), 0, True
    while killed and steps < 30:
        steps += 1
        command = [sys.executable, "-c", KILLED, str(steps), str(root), str(source), change]
        killed = subprocess.run(command, check=False).returncode == 9

        after = store.labels(root)
        assert after["a"] == after["b"]
        if change == "canary":
            assert after["a"]["stable"] == before["a"]["stable"]
        if after != before:
            break

    assert steps > 1
    assert after != before
    assert all(store.verify(root, name, v) for name, known in after.items() for v in known.values())


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


def test_what_the_config_says_of_request_logging_survives_a_push(root, source):
    store.push(root, {"a": source, "b": source})
    path = root / store.CONFIG
    logging = "logging_config { sampling_config { sampling_rate: 0.5 } }"
    path.write_text(path.read_text().replace('name: "a"', f'name: "a" {logging}'))

    store.push(root, {"a": source, "b": source})

    first, second = config.parse_config(path.read_text())
    assert first.labels == {"stable": 2}
    assert first.logging_config.sampling_config.sampling_rate == 0.5
    assert second.logging_config is None


def test_warm_up_requests_are_part_of_the_pushed_version(root, source):
    requests = [{"x": np.float32([[value, 2.0]])} for value in range(3)]

    store.push(root, {"a": source, "b": source}, warmup={"a": requests, "b": []})

    logs = list(prediction_log.read(root / "a" / "1" / prediction_log.WARMUP_FILE))
    assert [log.predict_log.request.model_spec.name for log in logs] == ["a"] * 3
    assert tensors.decode(logs[2].predict_log.request.inputs["x"]).tolist() == [[2.0, 2.0]]
    assert not (root / "b" / "1" / prediction_log.WARMUP_FILE).exists()
    assert store.verify(root, "a", 1)
    (root / "a" / "1" / prediction_log.WARMUP_FILE).unlink()
    assert store.faults(root, "a", 1) == ["assets.extra/tf_serving_warmup_requests is missing"]


@pytest.mark.parametrize(
    ("warmup", "rule"),
    [
        ({"b": [{}]}, "models that are pushed. Received some for 'b'"),
        ({"a": [{}] * 1001}, "at most 1000 warm-up requests, or TF Serving does not load it. Received 1001 for a"),
        ({"a": [{"x": np.datetime64("2026-01-01")}]}, "A warm-up request holds tensors"),
    ],
)
def test_warm_up_requests_that_break_a_rule(root, source, warmup, rule):
    with pytest.raises(InputError, match=rule):
        store.push(root, {"a": source}, warmup=warmup)
    assert not root.exists()


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


def test_a_push_is_to_stable_or_canary(root, source):
    with pytest.raises(InputError, match=r"to stable or canary\. Received 'best'"):
        store.push(root, {"a": source}, label="best")
    assert not root.exists()


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
