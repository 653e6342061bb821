"""What a calling service does: one query to retrieval, its candidates to ranking, the best by reward."""

from typing import Any

import numpy as np

from serving.client import Client
from serving.store import STABLE

HISTORY = "history_"  # inputs that are lists over time, oldest first in the store, newest first in the model
MODELS = ("retrieval", "ranking")


def query_inputs(known: dict[str, Any], signature: dict[str, dict]) -> dict[str, np.ndarray]:
    """One listener's features as a batch of one, in the dtypes and widths that a signature states.

    Args:
        known: features by name; None or missing where nothing is known.
        signature: the `inputs` of `Client.metadata`: name to `dtype` and `shape`.

    Returns:
        Arrays `[1]`, `[1, width]`, or `[1, n]` for histories; unknown ones are '' or 0.
    """
    inputs = {}
    for name, spec in signature.items():
        dtype = object if spec["dtype"] == "string" else np.dtype(spec["dtype"])
        empty = "" if dtype is object else 0
        value = known.get(name)
        if name.startswith(HISTORY):
            inputs[name] = np.array([list(reversed(value or [empty]))], dtype=dtype)
        elif len(spec["shape"]) == 2:
            inputs[name] = np.array([value if value is not None else [empty] * spec["shape"][1]], dtype=dtype)
        else:
            inputs[name] = np.array([empty if value is None else value], dtype=dtype)
    return inputs


class Recommender:
    """Retrieval then ranking over one model server.

    Args:
        client: of a server that serves both models.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.inputs = {
            model: client.metadata(model, label=STABLE)["signatures"]["serving_default"]["inputs"] for model in MODELS
        }

    def recommend(self, known: dict[str, Any], k: int) -> list[dict[str, Any]]:
        """The best `k` items for a listener.

        Args:
            known: features by name, with `request_ts` (seconds) and `surface`.
            k: how many.

        Returns:
            At most `k` of `item_id`, `reward` and the probability of each head, best first.
        """
        query = query_inputs(known, self.inputs["retrieval"])
        found = self.client.predict("retrieval", query, label=STABLE)["item_ids"][0]
        ids = np.array([item for item in found.astype(str) if item], dtype=object)
        if len(ids) == 0:
            return []
        signature = {name: spec for name, spec in self.inputs["ranking"].items() if name != "candidate_ids"}
        request = {**query_inputs(known, signature), "candidate_ids": ids[None, :]}
        scores = {name: values[0] for name, values in self.client.predict("ranking", request, label=STABLE).items()}
        best = np.argsort(-scores["reward"], kind="stable")[:k]
        names = ("reward", *sorted(set(scores) - {"reward"}))
        return [{"item_id": ids[i], **{name: float(scores[name][i]) for name in names}} for i in best]
