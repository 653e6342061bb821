"""Example requests: their values come from the card, their shapes from the signature."""

import numpy as np
import pytest

from segue.files import read_json
from segue.settings import MODEL_CARD
from serving.client.example_request import example_inputs

CARD = {
    "axes": {"tokens": {"item_id": ["i1", "i2"], "action": ["play", "skip"], "country": ["SE"], "plan": []}},
    "split": {"end": "2026-02-01T00:00:00+00:00"},
}


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "expected"),
    [
        ("candidate_ids", "string", [None, None], [["i1", "i2", "i1"]]),
        ("history_actions", "string", [None, None], [["play", "skip", "play"]]),
        ("item_id", "string", [None], ["i1"]),
        ("country", "string", [None], ["SE"]),
        ("plan", "string", [None], [""]),
        ("market", "string", [None], [""]),
        ("k", "int32", [None], [10]),
        ("request_ts", "int64", [None], [1_769_904_000]),
        ("genre_shares", "float32", [None, 2], [[0.0, 0.0]]),
        ("retrieval_scores", "float32", [None, None], [[0.0, 0.0, 0.0]]),
        ("x", "float64", None, [0.0]),
        ("x", "bool", [3], [False, False, False]),
    ],
)
def test_values(name, dtype, shape, expected):
    array = example_inputs({name: {"dtype": dtype, "shape": shape}}, CARD)[name]
    assert array.tolist() == expected
    assert array.dtype == (object if dtype == "string" else np.dtype(dtype))


def test_a_model_without_a_card_gets_neutral_values():
    specs = {"item_id": {"dtype": "string", "shape": [None]}, "request_ts": {"dtype": "int64", "shape": [None]}}
    assert {name: array.tolist() for name, array in example_inputs(specs, {}).items()} == {
        "item_id": [""],
        "request_ts": [0],
    }


@pytest.mark.slow
def test_every_signature_of_a_trained_home_answers_its_example(trained):
    from serving.client.example_request import stored_inputs
    from serving.client.sync_client import Client
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig
    from serving.store.model_store import CONFIG, stable

    store = trained.home.models
    with ModelServer(ServerConfig(store / CONFIG)) as server, Client(server.address) as client:
        for model, folder in stable(store).items():
            card = read_json(folder / MODEL_CARD)
            for signature in client.metadata(model)["signatures"]:
                if not signature.startswith("__"):
                    assert client.predict(model, example_inputs(stored_inputs(folder, signature), card), signature)
