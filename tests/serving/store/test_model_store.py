"""The model store: complete versions, labels that move together, promotion and rollback."""

from pathlib import Path

import numpy as np
import pytest

from segue.errors import InputError
from segue.files import TEMPORARY
from serving.protocol import config_files, prediction_log, tensors
from serving.store import model_store
from serving.store.versions import faults, verify
from tests.serving.store.conftest import corrupt
from tests.support.killed import killed_at_each_step


def test_a_push_gives_all_models_one_new_version(root, source):
    assert model_store.push(root, {"a": source}) == 1
    assert model_store.push(root, {"a": source, "b": source}) == 2

    assert model_store.versions(root, "a") == [1, 2]
    assert model_store.versions(root, "b") == [2]
    assert model_store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}}
    assert model_store.models(root) == ["a", "b"]
    assert verify(root, "a", 2)


def test_an_empty_store_has_no_models(root):
    assert model_store.labels(root) == {}
    assert model_store.models(root) == []
    assert model_store.versions(root, "a") == []


def test_old_versions_are_removed_unless_they_are_in_use(root, source):
    for _ in range(3):
        model_store.push(root, {"a": source}, keep=3)
    model_store.promote(root, 1, "best")

    model_store.push(root, {"a": source}, keep=1, label="canary")
    model_store.rollback(root)
    model_store.push(root, {"a": source}, keep=1)

    # 5 is stable, a rollback would return to 3, and 1 has a label. 4 was a candidate that was taken back.
    assert model_store.versions(root, "a") == [1, 3, 5]


def test_a_model_that_is_new_in_the_last_push_stays_while_the_others_roll_back(root, source):
    for models in ("ab", "ab", "abc"):
        model_store.push(root, dict.fromkeys(models, source))

    assert model_store.rollback(root) == ("stable", {"a": 2, "b": 2})
    assert model_store.labels(root) == {"a": {"stable": 2}, "b": {"stable": 2}, "c": {"stable": 3}}


@pytest.mark.slow
def test_a_push_killed_at_any_moment_leaves_the_old_labels_or_the_new_ones(root, source):
    models = {"a": source, "b": source}
    for _ in range(3):
        model_store.push(root, models)
    # The store begins with three versions, so that the push also removes old ones.
    before, moved = model_store.labels(root), []
    for _ in killed_at_each_step(lambda: model_store.push(root, models, keep=1, warmup={"a": [{"x": [1.0]}]}), every=4):
        after = model_store.labels(root)
        assert after["a"] == after["b"], "the labels of both models move together"
        moved.append(after != before)
        before = after
        for model in models:
            for version in model_store.versions(root, model):
                assert verify(root, model, version), "only whole versions are in the store"

    assert len(moved) > 15
    assert any(moved[:-1]), "some push was killed after its labels had moved"
    model_store.push(root, models)
    assert not list(root.rglob(f"{TEMPORARY}*"))


@pytest.mark.slow
@pytest.mark.parametrize("change", ["canary", "promote", "rollback"])
def test_a_change_killed_at_any_moment_moves_all_labels_or_none(root, source, change):
    models = {"a": source, "b": source}
    model_store.push(root, models)
    for label in ["stable"] if change == "canary" else ["stable", "canary"]:
        model_store.push(root, models, label=label)
    act = {
        "canary": lambda: model_store.push(root, models, label="canary"),
        "promote": lambda: model_store.promote(root),
        "rollback": lambda: model_store.rollback(root),
    }[change]
    before = model_store.labels(root)
    for steps in killed_at_each_step(act, every=2):  # noqa: B007  # the last step is asked for below
        after = model_store.labels(root)
        assert after["a"] == after["b"]
        if change == "canary":
            assert after["a"]["stable"] == before["a"]["stable"]
        if after != before:
            break

    assert steps > 1
    assert after != before
    assert all(verify(root, name, v) for name, labels in after.items() for v in labels.values())


@pytest.mark.parametrize("change", ["push", "promote", "drop"])
def test_every_change_that_holds_the_store_removes_what_a_killed_one_left(root, source, change):
    model_store.push(root, {"a": source})
    model_store.push(root, {"a": source})
    model_store.promote(root, 1, "before")
    (root / "a" / f"{TEMPORARY}3").mkdir()
    (root / f"{TEMPORARY}{model_store.CONFIG}-0123abcd").touch()
    {
        "push": lambda: model_store.push(root, {"a": source}),
        "promote": lambda: model_store.promote(root, 1),
        "drop": lambda: model_store.drop(root, "before"),
    }[change]()
    assert not list(root.rglob(f"{TEMPORARY}*"))


def test_a_change_leaves_what_others_write_in_the_folder(root, source):
    model_store.push(root, {"a": source})
    (root / "decisions").mkdir()
    of_others = [
        root / f"{TEMPORARY}rollout.json-0123abcd",
        root / "decisions" / f"{TEMPORARY}20260306T120000.000000-rollback.json-0123abcd",
    ]
    for path in of_others:
        path.touch()
    model_store.push(root, {"a": source})
    assert all(path.exists() for path in of_others)


@pytest.mark.parametrize(
    "function", ["shutil.copytree", "serving.store.versions.write_checksums", "pathlib.Path.rename"]
)
def test_a_push_that_finds_no_room_leaves_nothing(root, source, monkeypatch, function):
    model_store.push(root, {"a": source, "b": source})
    calls = []

    def full(*_, **__):
        calls.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(function, full)
    with pytest.raises(OSError, match="No space"):
        model_store.push(root, {"a": source, "b": source})
    assert calls
    assert not list(root.rglob(f"{TEMPORARY}*"))
    assert model_store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}


def test_a_rename_that_fails_keeps_the_labels(root, source, monkeypatch):
    model_store.push(root, {"a": source, "b": source})
    rename = Path.rename

    def fails_for_b(self, target):
        if self.parent.name == "b":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_b)
    with pytest.raises(OSError, match="disk full"):
        model_store.push(root, {"a": source, "b": source})
    monkeypatch.undo()

    assert model_store.labels(root) == {"a": {"stable": 1}, "b": {"stable": 1}}
    assert model_store.push(root, {"a": source, "b": source}) in (2, 3)


def test_a_push_keeps_the_request_logging_of_the_config(root, source):
    model_store.push(root, {"a": source, "b": source})
    path = root / model_store.CONFIG
    logging = "logging_config { sampling_config { sampling_rate: 0.5 } }"
    path.write_text(path.read_text().replace('name: "a"', f'name: "a" {logging}'))

    model_store.push(root, {"a": source, "b": source})

    first, second = config_files.parse_config(path.read_text())
    assert first.labels == {"stable": 2}
    assert first.logging_config.sampling_config.sampling_rate == 0.5
    assert second.logging_config is None


def test_warm_up_requests_are_written_into_the_pushed_version(root, source):
    requests = [{"x": np.float32([[value, 2.0]])} for value in range(3)]

    model_store.push(root, {"a": source, "b": source}, warmup={"a": requests, "b": []})

    logs = list(prediction_log.read(root / "a" / "1" / prediction_log.WARMUP_FILE))
    assert [log.predict_log.request.model_spec.name for log in logs] == ["a"] * 3
    assert tensors.decode(logs[2].predict_log.request.inputs["x"]).tolist() == [[2.0, 2.0]]
    assert not (root / "b" / "1" / prediction_log.WARMUP_FILE).exists()
    assert verify(root, "a", 1)
    (root / "a" / "1" / prediction_log.WARMUP_FILE).unlink()
    assert faults(root, "a", 1) == ["assets.extra/tf_serving_warmup_requests is missing"]


@pytest.mark.parametrize(
    ("warmup", "rule"),
    [
        ({"b": [{}]}, "for a model that is pushed. Received requests for 'b'"),
        ({"a": [{}] * 1001}, "at most 1000 warm-up requests; .* Received 1001 for a"),
        ({"a": [{"x": np.datetime64("2026-01-01")}]}, "A warm-up request cannot be sent"),
    ],
)
def test_warm_up_requests_that_break_a_rule_are_refused(root, source, warmup, rule):
    with pytest.raises(InputError, match=rule):
        model_store.push(root, {"a": source}, warmup=warmup)
    assert not root.exists()


def test_faults_name_each_file(root, source):
    model_store.push(root, {"a": source})
    folder = root / "a" / "1"
    corrupt(root, "a", 1)
    (folder / "saved_model.pb").unlink()
    (folder / "extra").touch()

    assert faults(root, "a", 1) == [
        "saved_model.pb is missing",
        "extra was not pushed",
        "variables/variables.index has changed",
    ]
    assert not verify(root, "a", 1)
    with pytest.raises(InputError, match="has no version 2"):
        verify(root, "a", 2)


def test_a_push_is_to_stable_or_canary(root, source):
    with pytest.raises(InputError, match=r"label stable or canary\. Received 'best'"):
        model_store.push(root, {"a": source}, label="best")
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
        model_store.push(root, {name: source.parent / folder for name, folder in models.items()}, keep)
    assert not root.exists()


def test_the_config_loads_the_labelled_version_and_the_one_to_roll_back_to(root, source):
    for _ in range(3):
        model_store.push(root, {"a": source})

    (entry,) = config_files.parse_config((root / model_store.CONFIG).read_text())

    assert entry.base_path == root / "a"
    assert (entry.policy, entry.specific) == ("specific", (2, 3))


def test_render_config_for_the_cluster():
    text = config_files.render_config({"b": {"stable": 2, "canary": 3}, "a": {"stable": 2}}, "/models")

    first, second = config_files.parse_config(text)
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
    assert config_files.parse_config(text)[0].wanted([1, 2, 3]) == wanted


def test_monitoring_config():
    parsed = config_files.parse_monitoring_config('prometheus_config { enable: true path: "/m" }', "f")

    assert parsed == {"enable": True, "path": "/m"}
    assert config_files.parse_monitoring_config("", "f")["path"] == "/monitoring/prometheus/metrics"
    with pytest.raises(InputError, match=r"text-format tensorflow.serving.MonitoringConfig"):
        config_files.parse_monitoring_config("prometheus { on: 1 }", "f")
