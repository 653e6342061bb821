"""Kubeflow repeats a step after any failure; the step itself repeats only failures that may pass."""

import pytest

from segue.errors import EXIT_RETRY, EXIT_USAGE, InputError, UnavailableError
from segue.files import read_json
from segue.settings import Home
from workloads.run import FailedBefore, Run, refuse_repetition


@pytest.mark.parametrize(
    ("earlier", "refused"),
    [
        pytest.param({}, False, id="the first attempt"),
        pytest.param({"status": "running", "attempt": 1}, False, id="killed"),
        pytest.param({"status": "failed", "exit_code": EXIT_RETRY, "attempt": 1}, False, id="a fault that may pass"),
        pytest.param({"status": "failed", "exit_code": EXIT_USAGE, "attempt": 1}, True, id="a fault that lasts"),
        pytest.param({"status": "failed", "exit_code": 1, "attempt": 2}, True, id="a failed step"),
        pytest.param({"status": "failed", "exit_code": 1, "attempt": 3}, False, id="repeated by a person"),
        pytest.param({"status": "failed", "exit_code": 1, "attempt": 4}, True, id="after the repetition by a person"),
    ],
)
def test_kubeflow_repeats_only_what_may_pass(earlier, refused):
    record = {"cause": "A rule.", "fix": "Do this.", **earlier}
    if not refused:
        return refuse_repetition(record)
    with pytest.raises(FailedBefore) as caught:
        refuse_repetition(record)
    error = caught.value
    assert (error.headline, error.fix, error.exit_code) == ("A rule.", "Do this.", earlier["exit_code"])


@pytest.fixture
def attempt(bucket, monkeypatch, tmp_path):
    """`attempt(number, error)`: one attempt of a step in an empty home of its own; returns its exit code and record."""
    variables = {
        "PROFILE": "cluster",
        "OBJECTS": bucket.url,
        "OBJECTS_ENDPOINT": str(bucket.endpoint),
        "ONLINE_STORE": "redis://nowhere:6379/0",
        "REGISTRY": "postgresql://segue@nowhere/feast",
        "TRACKING": "http://nowhere",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"SEGUE_{name}", value)

    def make(number: int, error: Exception | None) -> tuple[int, dict]:
        run, code = Run(Home(tmp_path / str(number)), "r1", {}, ends_process=True), 0
        try:
            with run.step("workloads.ingest"):
                if error is not None:
                    raise error
        except SystemExit as ended:
            code = ended.code
        return code, read_json(run.folder.steps / "ingest.json")

    return make


@pytest.mark.slow
def test_a_failure_that_lasts_is_not_worked_on_again(attempt):
    assert attempt(1, InputError("A rule.", "Do this."))[0] == EXIT_USAGE
    code, record = attempt(2, None)  # would succeed
    assert code == EXIT_USAGE
    assert (record["status"], record["cause"], record["fix"]) == ("failed", "A rule.", "Do this.")
    assert record["attempt"] == 2


@pytest.mark.slow
def test_a_failure_that_may_pass_is_repeated(attempt, bucket):
    assert attempt(1, UnavailableError("Away."))[0] == EXIT_RETRY
    code, record = attempt(2, None)
    assert (code, record["status"], record["attempt"]) == (0, "done", 2)
    assert b'"done"' in bucket.get("runs/r1/steps/ingest.json")
