"""A record that MLflow does not take stays in the run's folder, and a later run sends it first."""

import socket

import mlflow
import pytest

from segue.files import read_json
from segue.settings import Home
from tracking import outbox
from tracking.outbox import track
from tracking.runs import EXPERIMENT

OLD, NEW = "training-20260301T120000", "training-20260301T130000"


def record(version: int | None = None, **changes) -> dict:
    """The record of a run."""
    return {
        "experiment": EXPERIMENT, "params": {"seed": 1}, "metrics": {"auc": 0.5}, "tags": {"status": "pushed"},
        "files": [], "failed": False, "trials": [], "version": version,
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory) -> str:
    """The tracking URI of a database of these tests, whose experiment keeps its files in a home of theirs."""
    return f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(tracking_uri) -> mlflow.MlflowClient:
    """MLflow's own view of the database."""
    return mlflow.MlflowClient(tracking_uri)


@pytest.fixture
def home(tmp_path, tracking_uri, monkeypatch) -> Home:
    """A home with two runs and their two pushed versions of one model; all tests share one MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    home = Home(tmp_path / "home")
    for version, name in enumerate((OLD, NEW), 1):
        home.run(name).path.mkdir(parents=True)
        saved_model = home.models / "ranking" / str(version) / "saved_model.pb"
        saved_model.parent.mkdir(parents=True)
        saved_model.write_text(name)
    return home


@pytest.fixture
def dead(monkeypatch):
    """MLflow's address is one where nobody listens, as long as the fixture's context lasts."""

    def context():
        patched = pytest.MonkeyPatch()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            patched.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        return patched

    return context


def tracked(client, name: str) -> list[mlflow.entities.Run]:
    """The runs of a name in MLflow."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'") if experiment else []


@pytest.fixture(autouse=True)
def clean(client):
    """Delete the runs of other tests."""
    yield
    for name in (OLD, NEW):
        for run in tracked(client, name):
            client.delete_run(run.info.run_id)


@pytest.mark.slow
def test_a_record_is_sent_and_nothing_is_left(home, client):
    result = track(home, home.run(OLD), record())
    (run,) = tracked(client, OLD)
    assert result == {"mlflow_run": run.info.run_id, "versions": {}}
    assert (run.data.params, run.data.metrics) == ({"seed": "1"}, {"auc": 0.5})
    assert not home.run(OLD).unsent.exists()


@pytest.mark.slow
def test_what_a_dead_server_did_not_take_is_sent_by_the_next_run_in_the_order_of_the_pushes(home, client, dead):
    patched = dead()
    result = track(home, home.run(OLD), record(version=1))
    patched.undo()
    assert result["not_tracked"].startswith("MLflow at http://127.0.0.1:")
    assert read_json(home.run(OLD).unsent)["not_tracked"] == result["not_tracked"]
    assert tracked(client, OLD) == []

    versions = track(home, home.run(NEW), record(version=2))["versions"]
    assert len(tracked(client, OLD)) == len(tracked(client, NEW)) == 1
    assert not home.run(OLD).unsent.exists()
    pushed = {
        str(each.version): each.tags["store_version"] for each in client.search_model_versions("name = 'segue-ranking'")
    }
    assert (pushed[versions["ranking"]], max(pushed, key=int)) == ("2", versions["ranking"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gone", "sender"),
    [(False, NEW), (True, NEW), (False, OLD)],
    ids=["by the next run", "deleted meanwhile", "by a repeated step"],
)
def test_a_half_sent_record_is_sent_whole_and_once(home, client, monkeypatch, gone, sender):
    def fail(*_):
        raise ConnectionError("reset by peer")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "register", fail)
        assert track(home, home.run(OLD), record(version=1)) == {"not_tracked": "reset by peer"}
    assert len(tracked(client, OLD)) == 1
    if gone:
        client.delete_run(tracked(client, OLD)[0].info.run_id)
    track(home, home.run(sender), record(version=1 if sender == OLD else None))
    (run,) = tracked(client, OLD)
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["ranking"]


@pytest.mark.slow
def test_a_record_that_can_never_be_sent_does_not_hold_up_others(home, client):
    assert "not_tracked" in track(home, home.run(OLD), record(experiment=""))
    assert "mlflow_run" in track(home, home.run(NEW), record())
    assert home.run(OLD).unsent.exists()


@pytest.mark.slow
def test_files_that_are_gone_are_left_out(home, client):
    home.run(OLD).evaluation.write_text("{}")
    result = track(home, home.run(OLD), record(files=["evaluation.json", "gone.md"], version=9))
    assert [file.path for file in client.list_artifacts(result["mlflow_run"])] == ["evaluation.json"]
    assert result["versions"] == {}
