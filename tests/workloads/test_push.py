"""A push copies models, warm-up requests and references; a push that fails changes nothing."""

import pandas as pd
import pytest

from models.saved.card import CARD
from segue.errors import InputError
from segue.files import read_json, tree_sha256, write_json
from serving.protocol import prediction_log
from serving.store import model_store
from serving.store.model_store import labels
from workloads.operating.agree import stable_reference
from workloads.push import keep_window, step
from workloads.run import Run
from workloads.training_set import MODELS


@pytest.fixture
def run(home) -> Run:
    """A run in an empty home."""
    return Run(home, "r1", {})


@pytest.fixture
def inputs(tmp_path) -> dict:
    """The artifacts of a run's earlier steps: models, requests, a reference and a window."""
    models = {model: tmp_path / model for model in MODELS}
    for model, path in models.items():
        write_json(path / CARD, {"dataset": "plays", "log": "tiny"})
        (path / "saved_model.pb").write_bytes(model.encode())
        prediction_log.write(tmp_path / "requests" / model, [prediction_log.predict_log(model, {"user": ["u1"]})])
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "schema.pbtxt").write_text("schema")
    (tmp_path / "reference" / "statistics.pb").write_bytes(b"statistics")
    pd.DataFrame({"age": [1.0, 2.0], "prediction_play": [0.25, 0.5]}).to_parquet(tmp_path / "window.parquet")
    return {
        "models": models,
        "requests": tmp_path / "requests",
        "reference": tmp_path / "reference",
        "window": tmp_path / "window.parquet",
    }


def test_all_models_become_one_stable_version(run, inputs):
    assert step(run, **inputs) == 1
    assert labels(run.home.models) == {model: {"stable": 1} for model in MODELS}
    for model in MODELS:
        assert (run.home.models / model / "1" / "saved_model.pb").read_bytes() == model.encode()


def test_the_requests_of_infra_validation_become_the_warm_up_file(run, inputs):
    step(run, **inputs)
    for model in MODELS:
        (warmup,) = prediction_log.read(run.home.models / model / "1" / prediction_log.WARMUP_FILE)
        assert warmup.predict_log.request.model_spec.name == model
        assert list(warmup.predict_log.request.inputs["user"].string_val) == [b"u1"]


def test_the_reference_and_the_window_are_copied_whole(run, inputs):
    stale = run.home.baseline("tiny") / "stale.pb"
    stale.parent.mkdir(parents=True)
    stale.touch()

    step(run, **inputs)

    assert tree_sha256(run.home.baseline("tiny")) == tree_sha256(inputs["reference"])  # without the stale file
    assert run.home.reference("r1").read_bytes() == inputs["window"].read_bytes()


def test_a_model_without_requests_pushes_nothing(run, inputs):
    (inputs["requests"] / "sequence").unlink()

    with pytest.raises(InputError, match="sequence cannot be read"):
        step(run, **inputs)

    assert labels(run.home.models) == {}
    assert not run.home.baseline("tiny").exists()
    assert not run.home.references.exists()


def test_the_references_are_there_before_a_label_moves(run, inputs, monkeypatch):
    """A push that is cut off leaves a reference too many, never a version without one."""
    monkeypatch.setattr(model_store, "push", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        step(run, **inputs)
    assert run.home.reference("r1").is_file()
    assert run.home.baseline("tiny").is_dir()


def test_the_reference_is_that_of_the_stable_version(run, inputs):
    for name in ("r1", "r2"):
        of_run(inputs, name)
        step(Run(run.home, name, {}), **inputs)
    assert stable_reference(run.home) == run.home.reference("r2")
    model_store.rollback(run.home.models)
    assert stable_reference(run.home) == run.home.reference("r1")


def of_run(inputs: dict, name: str) -> None:
    """Make the models those of a run."""
    for path in inputs["models"].values():
        write_json(path / CARD, {**read_json(path / CARD), "run_id": name})


def push_again(run: Run, inputs: dict, name: str, config: dict, listened: bool = False) -> tuple[int, str | None]:
    """Push the models as those of another run; return the version and its label."""
    of_run(inputs, name)
    again = Run(run.home, name, config)
    write_json(again.folder.steps / "ingest.json", {"result": {"listened": listened}})
    version = step(again, **inputs)
    return version, read_json(again.folder.steps / "push.json")["result"]["label"]


@pytest.mark.parametrize(
    ("push", "listened", "label"),
    [
        ("auto", False, "stable"),
        ("auto", True, "canary"),
        ("stable", True, "stable"),
        ("canary", False, "canary"),
    ],
)
def test_once_listeners_were_served_a_push_is_a_candidate(run, inputs, push, listened, label):
    assert push_again(run, inputs, "r1", {"push": push}, listened) == (1, "stable")  # nothing else can be served
    assert push_again(run, inputs, "r2", {"push": push}, listened) == (2, label)
    assert push_again(run, inputs, "r2", {"push": push}, listened) == (2, label)  # a repeated step
    assert labels(run.home.models)["ranking"] == {"stable": 1, label: 2}


def test_a_push_beside_a_roll_out_waits_without_a_label(run, inputs):
    push_again(run, inputs, "r1", {})
    push_again(run, inputs, "r2", {}, listened=True)
    split = {"number": 1, "phase": "running", "share": 0.01, "candidate": {"ranking": 2}}
    write_json(run.home.models / "rollout.json", {"split": split})
    for _ in range(2):
        assert push_again(run, inputs, "r3", {}, listened=True) == (3, None)
    assert labels(run.home.models)["ranking"] == {"stable": 1, "canary": 2}
    write_json(run.home.models / "rollout.json", {"split": {**split, "phase": "taken back"}})
    assert push_again(run, inputs, "r4", {}, listened=True) == (4, "canary")


def test_a_push_waits_for_no_candidate_that_was_taken_back_and_drains(run, inputs):
    push_again(run, inputs, "r1", {})
    split = {"number": 1, "phase": "draining", "share": 0.0, "candidate": {"ranking": 2}}
    write_json(run.home.models / "rollout.json", {"split": split})
    assert push_again(run, inputs, "r2", {}, listened=True) == (2, "canary")


def test_a_push_that_was_cut_off_before_its_label_is_made_again(run, inputs):
    of_run(inputs, "r1")
    assert model_store.push(run.home.models, inputs["models"], label=None) == 1
    assert push_again(run, inputs, "r1", {}) == (2, "stable")


def test_a_reference_goes_with_the_last_version_of_its_run_unless_that_may_be_about_to_push(run, inputs, monkeypatch):
    monkeypatch.setattr("workloads.push.NEWEST", 2)
    for name in ("gone", "about-to-push"):
        keep_window(run.home, name, inputs["window"])
    step(run, **inputs)
    assert {path.name for path in run.home.references.iterdir()} == {"about-to-push.parquet", "r1.parquet"}
