"""Stage 4, score: the ranking model scores the candidates of one request in one call."""

import numpy as np

from serving.client.sync_client import Client
from serving.store.model_store import STABLE
from surfaces.candidates import Candidates
from surfaces.hydrate import Features
from surfaces.model_inputs import Signature, model_inputs

RANKING = "ranking"


def score(client: Client, signature: Signature, features: Features, candidates: Candidates) -> dict[str, np.ndarray]:
    """The outputs of the ranking model, each `[n]`: `reward`, the heads, and `uncertainty` if the model has it.

    Args:
        client: of the model server.
        signature: the inputs of the ranking model.
        features: of the listener and the request.
        candidates: `n` items, at least 1.
    """
    inputs = model_inputs({**features, **candidates.features()}, signature)
    return {name: values[0] for name, values in client.predict(RANKING, inputs, label=STABLE).items()}
