"""What is kept and said of a fault of MLflow has no password: MLflow's errors name the whole address."""

import pytest

from segue.files import read_json, write_json
from segue.settings import Home
from tracking import decisions, outbox
from tracking.runs import EXPERIMENT
from workloads.operating import agree

RUN = "training-20260301T120000"


@pytest.fixture
def lost(home, monkeypatch) -> Home:
    """A home whose MLflow answers the first check, and no call after it."""

    def connect(address: str):
        raise ConnectionError(f"API request to {address}/api/2.0/mlflow failed\nwith exception time-out")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://segue:secretpw@mlflow:5000")
    for module in (decisions, outbox, agree):
        monkeypatch.setattr(module, "connect", connect)
    return home


SAID = "API request to http://segue:***@mlflow:5000/api/2.0/mlflow failed with exception time-out"


def test_of_a_run(lost, capsys):
    run = lost.run(RUN)
    run.path.mkdir(parents=True)
    assert outbox.track(lost, run, {"experiment": EXPERIMENT, "version": None}) == {"not_tracked": SAID}
    assert read_json(run.unsent)["not_tracked"] == SAID
    assert capsys.readouterr().out == f"not tracked: {SAID}\n"


def test_of_decisions(lost):
    assert decisions.log_decisions(lost, []) == (0, SAID)


def test_of_aliases(lost, monkeypatch):
    monkeypatch.setattr(agree, "labelled_runs", lambda root: {"ranking": {"stable": RUN}})
    write_json(lost.run(RUN).evaluation, {})
    assert agree.agree(lost) == f"MLflow's aliases do not follow the labels yet: {SAID}"
