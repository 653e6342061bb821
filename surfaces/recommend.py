"""What a calling service does: candidates from the models that find them, a list of the best by ranking's reward."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segue.errors import InputError
from serving.client.sync_client import Client
from serving.store.model_store import STABLE
from surfaces import sources

HISTORY = "history_"  # inputs that are lists over time, oldest first in the store, newest first in the model
FILTERS = ("content_types", "market")  # to leave one out would answer what the caller excluded
MODELS = ("retrieval", "ranking")
SEQUENCE = "sequence"  # finds candidates too, where the ranking model knows its scores


@dataclass(frozen=True)
class Exploration:
    """How much of a list is spent on finding out about items that few have played yet.

    Args:
        budget: the share of a list's places that may go to it, from 0 (none) to 0.5.
        bonus: what a candidate of which nothing is known gains over its reward, at least 0.

    Raises:
        InputError: one of them lies outside.
    """

    budget: float = 0.1
    bonus: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.budget <= 0.5:
            raise InputError(
                f"An exploration budget lies from 0 to 0.5. Received {self.budget}.",
                "Give the share of a list's places that may be explored: 0.1.",
            )
        if not 0 <= self.bonus < math.inf:
            raise InputError(f"An exploration bonus is at least 0. Received {self.bonus}.", "Give one such as 0.3.")

    def places(self, k: int) -> int:
        """How many places of a list of `k` may be explored, rounded down: no list exceeds the budget."""
        return math.floor(self.budget * k + 1e-9)  # 0.29 * 100 is a little less than 29


OFF = Exploration(budget=0.0)


def query_inputs(known: dict[str, Any], signature: dict[str, dict]) -> dict[str, np.ndarray]:
    """One listener's features as a batch of one, in the dtypes and widths that a signature states.

    Args:
        known: features by name; None or missing where nothing is known.
        signature: the `inputs` of `Client.metadata`: name to `dtype` and `shape`.

    Returns:
        Arrays `[1]`, `[1, width]`, or `[1, n]` for lists of open width; unknown ones are '' or 0.
    """
    inputs = {}
    for name, spec in signature.items():
        dtype = object if spec["dtype"] == "string" else np.dtype(spec["dtype"])
        empty = "" if dtype is object else 0
        value = known.get(name)
        if name.startswith(HISTORY):
            inputs[name] = np.array([list(reversed(value or [empty]))], dtype=dtype)
        elif len(spec["shape"]) == 2:
            inputs[name] = np.array([value if value is not None else [empty] * (spec["shape"][1] or 1)], dtype=dtype)
        else:
            inputs[name] = np.array([empty if value is None else value], dtype=dtype)
    return inputs


def cold_state(picks: Sequence[str], request_ts: int) -> dict[str, list]:
    """What is known of a listener who is new: the items picked at the start count as liked just now.

    Args:
        picks: item ids, in the order in which they were picked; may be empty.
        request_ts: seconds since 1970 UTC.
    """
    return {
        "history_items": list(picks),
        "history_actions": ["like"] * len(picks),
        "history_times": [request_ts] * len(picks),
    }


def slate(reward: np.ndarray, uncertainty: np.ndarray, k: int, exploration: Exploration) -> tuple[list[int], set[int]]:
    """The best `k` candidates, a few of them chosen for what they might turn out to be.

    The last places of the best by reward, as many as the budget allows, are competed for anew, by reward plus bonus
    times uncertainty: optimism in the face of uncertainty (Auer, JMLR 2002; LinUCB, Li et al., WWW 2010). Who wins
    one of them without being among the best `k` by reward is explored, and stands where the lower half begins: the
    upper half is as good as it would be without, and what is explored is still looked at. Nothing is drawn at
    random, so the same request has the same answer.

    Args:
        reward: `[n]`.
        uncertainty: `[n]`, from 0, known, to 1, nothing is known.
        k: how many.
        exploration: what may be spent.

    Returns:
        Candidates by place, at most `k`, and those of them that are explored.
    """
    ranked = np.argsort(-reward, kind="stable").tolist()
    best, beyond = ranked[:k], ranked[k:]
    places = exploration.places(len(best))
    safe, displaced = best[: len(best) - places], best[len(best) - places :]
    contenders = np.array([*displaced, *beyond], np.int64)
    optimistic = reward[contenders] + exploration.bonus * uncertainty[contenders]
    winners = contenders[np.argsort(-optimistic, kind="stable")][:places].tolist()
    explored = [i for i in winners if i not in displaced]
    kept = [*safe, *(i for i in displaced if i in winners)]
    upper = len(best) - len(best) // 2
    return [*kept[:upper], *explored, *kept[upper:]], set(explored)


class Recommender:
    """Candidates, then ranking, over one model server.

    Args:
        client: of a server that serves the models.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.inputs = self.signatures()

    def signatures(self) -> dict[str, dict[str, dict]]:
        """The inputs of the models that are asked, as they are served now."""
        inputs = {model: self.signature(model) for model in MODELS}
        if f"{SEQUENCE}_scores" in inputs["ranking"]:
            inputs[SEQUENCE] = self.signature(SEQUENCE)
        return inputs

    def signature(self, model: str) -> dict[str, dict]:
        """The inputs of a served model."""
        return self.client.metadata(model, label=STABLE)["signatures"]["serving_default"]["inputs"]

    def recommend(self, known: dict[str, Any], k: int, exploration: Exploration = OFF) -> list[dict[str, Any]]:
        """The best `k` items for a listener.

        Args:
            known: features by name, with `request_ts` (seconds) and `surface`; to have some items only,
                `content_types` (a list) and `market`.
            k: how many.
            exploration: how many of them may be explored. A ranking model that does not tell its `uncertainty`
                explores nothing.

        Returns:
            At most `k` items in the order to show: `item_id`, `reward`, what else ranking says, `retrieval_score` and
            `sequence_score` (None from a model that did not find it), `source` (the names of the sources that found
            it) and `explored`.

        Raises:
            InputError: a filter that a model does not know.
        """
        try:
            return self.ranked(known, k, exploration)
        except InputError:
            inputs = self.signatures()
            if inputs == self.inputs:
                raise
            self.inputs = inputs  # a version with other inputs was pushed, or rolled back to
            return self.ranked(known, k, exploration)

    def ranked(self, known: dict[str, Any], k: int, exploration: Exploration) -> list[dict[str, Any]]:
        """What `recommend` answers, by the inputs that the models had when they were last looked up."""
        candidates = self.candidates(known)
        if not candidates.ids:
            return []
        request = query_inputs({**known, **candidates.inputs()}, self.inputs["ranking"])
        scores = {name: values[0] for name, values in self.client.predict("ranking", request, label=STABLE).items()}
        nothing_unknown = np.zeros_like(scores["reward"])
        order, explored = slate(scores["reward"], scores.get("uncertainty", nothing_unknown), k, exploration)
        names = ("reward", *sorted(set(scores) - {"reward"}))
        return [
            {
                "item_id": candidates.ids[i],
                **{name: float(scores[name][i]) for name in names},
                **{f"{model}_score": found.get(candidates.ids[i]) for model, found in candidates.scores.items()},
                "source": candidates.sources[i],
                "explored": i in explored,
            }
            for i in order
        ]

    def candidates(self, known: dict[str, Any]) -> sources.Candidates:
        """What the sources find for a listener, in one call a model: `known` as for `recommend`."""
        finding = {model: signature for model, signature in self.inputs.items() if model != "ranking"}
        answers = [answer for model, signature in finding.items() for answer in self.ask(model, signature, known)]
        return sources.merge(answers)

    def ask(self, model: str, signature: dict[str, dict], known: dict[str, Any]) -> list[tuple]:
        """What a model's sources find: each with ids as text `[k]` and scores `[k]`."""
        for name in FILTERS:
            if known.get(name) and name not in signature:
                raise InputError(
                    f"The served {model} model cannot filter by {name!r}: its export is older than that.",
                    "Run `segue run training`, or leave the filter out.",
                )
        asked = sources.answerable(model, signature)
        rows = [query_inputs({**known, **sources.question(s, known["request_ts"])}, signature) for s in asked]
        batch = {name: np.concatenate([row[name] for row in rows]) for name in signature}
        found = self.client.predict(model, batch, label=STABLE)
        return list(zip(asked, found["item_ids"].astype(str), found["scores"], strict=True))
