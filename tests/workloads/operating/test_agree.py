"""MLflow's aliases follow the labels: after a move, after a run that was cut off, and once MLflow is back."""

import socket
from datetime import UTC, datetime

import mlflow
import pytest

from models.saved.card import CARD
from segue.files import write_json
from segue.lock import locked
from segue.settings import Home
from serving.store import model_store
from tracking.client import make_database
from workloads.operating import agree as module
from workloads.operating.agree import agree, labelled_runs

RUNS = ("training-20260301T120000", "training-20260302T120000")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """A home with two runs that were cut off after their pushes: the first is stable, the second the candidate."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(module, "flat_metrics", lambda _: {"auc": 0.5})
    home = Home(tmp_path / "home")
    for run, label in zip(RUNS, ("stable", "canary"), strict=True):
        source = tmp_path / run
        source.mkdir()
        (source / "saved_model.pb").write_text(run)
        write_json(source / CARD, {"dataset": "plays", "sha256": "0", "split": {}, "run_id": run})
        model_store.push(home.models, {"ranking": source, "retrieval": source}, label=label)
        write_json(home.run(run).evaluation, {})
    return home


def aliases(home: Home, model: str = "ranking") -> dict[str, str]:
    """The runs that MLflow's aliases of a model name."""
    client = mlflow.MlflowClient(home.own_tracking_uri)
    named = client.get_registered_model(f"segue-{model}").aliases
    return {
        alias: client.get_model_version(f"segue-{model}", version).tags["run_id"] for alias, version in named.items()
    }


def test_the_labels_say_the_runs_and_only_a_candidate_is_a_canary(home):
    assert labelled_runs(home.models)["ranking"] == {"stable": RUNS[0], "canary": RUNS[1]}
    model_store.promote(home.models)
    assert labelled_runs(home.models)["ranking"] == {"stable": RUNS[1]}


def test_a_home_whose_runs_have_reached_no_registration_gets_no_mlflow(home):
    for run in RUNS:
        home.run(run).evaluation.unlink()
    assert agree(home) is None
    assert not home.mlflow.exists()


@pytest.mark.slow
def test_runs_that_were_cut_off_are_recorded_and_the_aliases_follow_each_move(home, monkeypatch):
    assert agree(home) is None
    assert aliases(home) == aliases(home, "retrieval") == {"champion": RUNS[0], "challenger": RUNS[1]}
    monkeypatch.setattr(module, "connect", lambda _: 1 / 0)
    assert agree(home) is None  # nothing has moved, so MLflow is not asked
    model_store.promote(home.models)
    assert agree(home) == "MLflow's aliases do not follow the labels yet: division by zero"
    monkeypatch.undo()
    assert agree(home) is None
    assert aliases(home) == {"champion": RUNS[1]}
    model_store.rollback(home.models)
    assert agree(home) is None
    assert aliases(home) == {"champion": RUNS[0]}


@pytest.mark.slow
def test_a_record_that_was_not_sent_is_sent_once_no_run_is_at_work(home):
    assert agree(home) is None
    write_json(home.run(RUNS[0]).unsent, {"not_tracked": "The run ended while it was sent."})
    with locked(home.lock, "segue run training", datetime(2026, 3, 3, tzinfo=UTC)):
        assert agree(home) is None
        assert home.run(RUNS[0]).unsent.exists()
    assert agree(home) is None
    assert not home.run(RUNS[0]).unsent.exists()
    client = mlflow.MlflowClient(home.own_tracking_uri)
    assert len(client.search_model_versions("name = 'segue-ranking'")) == 2


@pytest.mark.slow
def test_a_run_that_mlflow_cannot_have_is_named_at_each_call(home):
    home.run(RUNS[1]).evaluation.unlink()
    make_database_of(home)
    for _ in range(2):
        assert agree(home) == f"MLflow's aliases do not follow the labels yet: it has no version of {RUNS[1]}."
    assert aliases(home) == {"champion": RUNS[0]}


def make_database_of(home: Home) -> None:
    """Make MLflow's database of a home."""
    home.mlflow.mkdir(parents=True, exist_ok=True)
    make_database(home.own_tracking_uri)


def test_an_mlflow_that_does_not_answer_is_named(home, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        problem = agree(home)
    assert problem.startswith("MLflow's aliases do not follow the labels yet: MLflow at http://127.0.0.1:")
