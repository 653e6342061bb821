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
        for path in inputs["models"].values():
            write_json(path / CARD, {**read_json(path / CARD), "run_id": name})
        step(Run(run.home, name, {}), **inputs)
    assert stable_reference(run.home) == run.home.reference("r2")
    model_store.rollback(run.home.models)
    assert stable_reference(run.home) == run.home.reference("r1")


def test_a_reference_goes_with_the_last_version_of_its_run(run, inputs):
    keep_window(run.home, "r0", inputs["window"])
    step(run, **inputs)
    assert [path.name for path in run.home.references.iterdir()] == ["r1.parquet"]
