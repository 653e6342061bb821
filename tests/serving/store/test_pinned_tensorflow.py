"""The models that are trained here give the same values under the TensorFlow of the manifests' TF Serving."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from segue.files import read_json
from segue.settings import MODEL_CARD
from serving.client.example_request import example_inputs
from serving.protocol import prediction_log
from serving.store.model_store import stable
from tests.serving.store.replicas import containers

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("saved_model_values.py")
UNREACHABLE = r"(?i)failed to fetch|error sending request|connect|dns error|timed out|network"


@pytest.fixture
def requests(trained) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """The recorded requests of each model for each of its signatures; inputs that no record has get example values."""
    from serving.client.sync_client import Client
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    found = []
    store = trained.home.models
    with ModelServer(ServerConfig(store / "models.config")) as server, Client(server.address) as client:
        for model, folder in stable(store).items():
            card = read_json(folder / MODEL_CARD)
            records = prediction_log.read_inputs(folder / prediction_log.WARMUP_FILE)
            for signature, definition in client.metadata(model)["signatures"].items():
                if not signature.startswith("__"):
                    example = example_inputs(definition["inputs"], card)
                    found += [
                        (str(folder), signature, {name: record.get(name, value) for name, value in example.items()})
                        for record in records
                    ]
    return found


@pytest.fixture
def answers(requests, tmp_path):
    """A function that runs the requests by a command of Python, and returns TensorFlow's version and the answers."""
    asked = tmp_path / "requests.pickle"
    asked.write_bytes(pickle.dumps(requests))

    def run(*python: str) -> tuple[str, list[dict[str, np.ndarray]]]:
        told = tmp_path / "answers.pickle"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, *python, str(SCRIPT), str(asked), str(told)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
        if python and done.returncode and re.search(UNREACHABLE, done.stderr):
            pytest.skip("TensorFlow of the pinned image cannot be installed: the package index does not answer")
        assert done.returncode == 0, done.stderr
        return pickle.loads(told.read_bytes())

    return run


def test_all_signatures_give_equal_values_under_the_pinned_tensorflow(requests, answers, capsys):
    """If this fails, the cluster recommends otherwise than what was evaluated, or cannot load the models."""
    pinned = containers()["tf-serving"]["image"].partition(":")[2]
    uv = ("-m", "uv", "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable)
    there, other = answers(*uv, "--with", f"tensorflow=={pinned}", "python")
    here, own = answers()
    assert there == pinned
    signatures = {(Path(folder).parent.name, signature) for folder, signature, _ in requests}
    assert {model for model, _ in signatures} == {"retrieval", "ranking", "sequence"}
    largest = 0.0
    for (folder, signature, _), ours, theirs in zip(requests, own, other, strict=True):
        place = f"{folder}, {signature}"
        assert ours.keys() == theirs.keys(), place
        for name, value in ours.items():
            if value.dtype.kind == "f":
                np.testing.assert_allclose(theirs[name], value, rtol=1e-5, atol=2e-6, err_msg=f"{place}, {name}")
                largest = max(largest, float(np.max(np.abs(theirs[name] - value), initial=0.0)))
            else:
                np.testing.assert_array_equal(theirs[name], value, err_msg=f"{place}, {name}")
    with capsys.disabled():
        counted = f"{len(requests)} requests to {len(signatures)} signatures"
        print(f"\n{counted}: TensorFlow {there} and {here} differ by at most {largest:.2g}")
