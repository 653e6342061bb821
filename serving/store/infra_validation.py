"""Validate before a push that the model server can load the candidates and answer real requests with them.

The server runs in a process of its own, on a model store of its own: a model that crashes the server must not crash the
pipeline.
"""

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from segue.errors import InputError, SegueError
from segue.verdict import Verdict
from serving.client.sync_client import Client
from serving.store import model_store

START_SECONDS = 180.0  # importing TensorFlow takes 7 to 26 s, and models with large tables load for longer
STOP_SECONDS = 15.0
READY = "serving at "  # what the server prints on stdout when it answers


class _Rejected(Exception):
    """The candidates fail the validation; the text is the reason."""


def validate(
    saved_models: Mapping[str, Path],
    requests: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    timeout: float = 10.0,
) -> Verdict:
    """Load candidates in a model server of their own, and send them real requests.

    The candidates pass if all of them load, and every request is answered in time with finite outputs.

    Args:
        saved_models: model name -> folder of its SavedModel.
        requests: model name -> at least one request for `serving_default` (input name -> array).
        timeout: how many seconds a request may take.

    Returns:
        The verdict. Its figures: `latency_ms`, the median over all requests (None if none was answered), and `models`:
        model name -> `requests` (how many were answered), `latency_ms` (their median) and `first_latency_ms`. Its
        limits: `timeout_s` of a request.

    Raises:
        InputError: there are no models, or a model has no requests.
    """
    without_requests = sorted(name for name in saved_models if not requests.get(name))
    if without_requests or not saved_models:
        raise InputError(
            f"Infra validation needs at least one request for each model. Received none for "
            f"{', '.join(without_requests)}."
            if without_requests
            else "Infra validation needs at least one model. Received none.",
            "Take requests from the test span.",
        )
    latencies: dict[str, list[float]] = {name: [] for name in saved_models}
    try:
        with tempfile.TemporaryDirectory(prefix="segue-infra-") as folder:
            _try_candidates(Path(folder), saved_models, requests, timeout, latencies)
    except _Rejected as rejection:
        return _verdict(False, str(rejection), latencies, timeout)
    return _verdict(True, "Every model loads and answers all requests with finite outputs.", latencies, timeout)


def _try_candidates(
    folder: Path,
    saved_models: Mapping[str, Path],
    requests: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    timeout: float,
    latencies: dict[str, list[float]],
) -> None:
    """Validate the candidates in a temporary folder.

    Args:
        folder: the temporary folder.
        saved_models, requests, timeout: see `validate`.
        latencies: receives the latency of each answered request, in ms, by model.

    Raises:
        _Rejected: the candidates fail.
    """
    try:
        model_store.push(folder / "models", saved_models)
    except InputError as error:
        raise _Rejected(error.headline) from error
    with _server(folder) as address, Client(address) as client:
        for name in saved_models:
            for index, inputs in enumerate(requests[name]):
                began = time.perf_counter()
                try:
                    outputs = client.predict(name, inputs, label=model_store.STABLE, timeout=timeout)
                except SegueError as error:
                    raise _Rejected(f"Request {index} to model {name} failed: {error.headline}") from error
                latencies[name].append((time.perf_counter() - began) * 1000)
                for output, values in outputs.items():
                    if values.dtype.kind in "fc" and not np.isfinite(values).all():
                        raise _Rejected(f"Request {index} to model {name}: output {output} is not finite.")


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """Run a model server on the store in `folder` while the body runs, and yield its address."""
    stdout, stderr = folder / "stdout", folder / "stderr"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[
            1
        ]  # the server cannot choose a port itself: to it, as to TF Serving, port 0 means no port
    # `python -m serving` is `segue serve` without the other commands: this room must not import `cli`. -P keeps the
    # working directory off the path, since it may hold folders with the names of our packages.
    command = [sys.executable, "-P", "-m", "serving", f"--port={port}"]
    command += [f"--model_config_file={folder / 'models' / model_store.CONFIG}"]
    command += ["--allow_version_labels_for_unavailable_models=true", "--max_num_load_retries=0"]
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            yield _wait_for_address(process, stdout, stderr)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_address(process: subprocess.Popen, stdout: Path, stderr: Path) -> str:
    """Wait for the address that the server prints, and return it; `_Rejected` if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in stdout.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                return line.removeprefix(READY).strip()
        if process.poll() is not None:
            raise _Rejected(_why_it_ended(process.returncode, stderr))
        time.sleep(0.05)
    raise _Rejected(f"The model server did not start within {START_SECONDS:g} s.")


def _why_it_ended(returncode: int, stderr: Path) -> str:
    """Why the server ended: its error line, or its exit code with the last lines that it printed."""
    if returncode < 0:
        return f"The model server died of signal {-returncode} while it loaded the models."
    lines = stderr.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return f"The model server ended with code {returncode}: {' | '.join(lines[-3:]) or 'it printed nothing'}"


def _verdict(passed: bool, reason: str, latencies: Mapping[str, Sequence[float]], timeout: float) -> Verdict:
    """The verdict that `validate` returns."""
    every = [value for values in latencies.values() for value in values]
    figures = {
        "latency_ms": statistics.median(every) if every else None,
        "models": {
            name: {
                "requests": len(values),
                "latency_ms": statistics.median(values) if values else None,
                "first_latency_ms": values[0] if values else None,
            }
            for name, values in latencies.items()
        },
    }
    return Verdict(passed, reason, figures, {"timeout_s": timeout})
