"""Infra validation runs candidates in a server process of their own."""

import contextlib

import numpy as np
import pytest

from segue.errors import InputError
from serving.store import infra_validation, model_store
from serving.store.infra_validation import validate

pytestmark = pytest.mark.slow  # each test starts a model server, which takes 5 s


@pytest.fixture
def in_process(monkeypatch):
    """Run the candidates' server in this process, which is faster, for tests of requests and answers."""
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    @contextlib.contextmanager
    def server(folder):
        with ModelServer(ServerConfig(folder / "models" / model_store.CONFIG)) as running:
            yield running.address

    monkeypatch.setattr(infra_validation, "_server", server)


@pytest.fixture
def processes(monkeypatch):
    """The processes that the validation starts."""
    started = []
    popen = infra_validation.subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(infra_validation.subprocess, "Popen", start)
    return started


def test_good_models_pass_and_leave_no_process(saved_models, x, processes):
    requests = {"scale": [{"x": x}] * 5, "half": [{"x": np.array([1.0], np.float32)}]}

    verdict = validate({"scale": saved_models["two"], "half": saved_models["tf1"]}, requests)

    assert verdict.passed, verdict.reason
    assert verdict.figures["models"]["scale"]["requests"] == 5
    assert 0 < verdict.figures["latency_ms"] < 1000
    assert [process.returncode for process in processes] == [0]


def test_a_model_that_does_not_load_fails_with_the_servers_reason(saved_models, x, processes):
    verdict = validate({"scale": saved_models["corrupt"]}, {"scale": [{"x": x}]})

    assert not verdict.passed
    assert "{name: scale version: 1} due to error: " in verdict.reason
    assert "saved_model.pb" in verdict.reason
    assert verdict.figures["latency_ms"] is None
    assert [process.poll() for process in processes] == [1]


def test_outputs_that_are_not_finite_fail(saved_models, in_process):
    infinite = np.array([[np.inf, 1.0]], np.float32)

    verdict = validate({"scale": saved_models["two"]}, {"scale": [{"x": infinite}]})

    assert not verdict.passed
    assert "is not finite" in verdict.reason


def test_a_request_that_the_model_rejects_fails_with_its_text(saved_models, x, in_process):
    verdict = validate({"scale": saved_models["two"]}, {"scale": [{"x": x}, {"z": x}]})

    assert not verdict.passed
    assert "Request 1 to model scale failed" in verdict.reason
    assert "input tensor alias not found in signature: z" in verdict.reason
    assert verdict.figures["models"]["scale"]["requests"] == 1


def test_a_folder_without_a_saved_model_fails(tmp_path, x):
    verdict = validate({"scale": tmp_path}, {"scale": [{"x": x}]})

    assert not verdict.passed
    assert "has none" in verdict.reason


def test_models_without_requests_are_an_input_error(saved_models):
    with pytest.raises(InputError, match="Received none for scale"):
        validate({"scale": saved_models["two"]}, {})
