"""Stage 2, sources: the models that find candidates are asked, all at the same time."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from segue.candidates import NEW_RELEASE_CANDIDATES, RETRIEVAL_CANDIDATES, SEQUENCE_CANDIDATES
from segue.errors import InputError
from serving.client.sync_client import Client
from serving.store.model_store import STABLE
from surfaces.hydrate import Features
from surfaces.model_inputs import Signature, model_inputs

DAY_SECONDS = 86_400
FILTERS = ("content_types", "market")


@dataclass(frozen=True)
class Source:
    """A question to a model that finds candidates.

    Args:
        name: the source's name in the answer, e.g. `new_releases`.
        model: the model that is asked.
        k: how many candidates are asked for.
        days: ask only for items released in that many days before the request; None for items of any age.
    """

    name: str
    model: str
    k: int
    days: int | None = None

    def question(self, request_ts: int) -> dict[str, int]:
        """The inputs that this source adds to the listener's features; `request_ts` in seconds since 1970 UTC."""
        if self.days is None:
            return {"k": self.k}
        return {"k": self.k, "released_after": request_ts - self.days * DAY_SECONDS}


# A new item has few plays, so it is seldom among retrieval's best 200. A source of its own brings it before ranking.
# The most general source of a model comes first: its least score fills the gaps (see `Candidates.features`).
SOURCES = (
    Source("retrieval", "retrieval", RETRIEVAL_CANDIDATES),
    Source("new_releases", "retrieval", NEW_RELEASE_CANDIDATES, days=14),
    Source("sequence", "sequence", SEQUENCE_CANDIDATES),
)


@dataclass(frozen=True)
class SourceAnswer:
    """The candidates that one source found, best first.

    Args:
        source: the source.
        item_ids: str `[k]`; '' where it found no more.
        scores: the model's scores, float32 `[k]`.
    """

    source: Source
    item_ids: np.ndarray
    scores: np.ndarray


def ask_sources(
    client: Client, signatures: Mapping[str, Signature], features: Features, pool: Executor
) -> list[SourceAnswer]:
    """The answers of all sources, with one call a model and all calls at the same time.

    Args:
        client: of the model server.
        signatures: the inputs of each model that finds candidates, by the model's name; at least one model.
        features: of the listener and the request.
        pool: runs all calls except the first, which runs on the caller's thread.

    Raises:
        InputError, UnavailableError, SegueError: the error of a call, unchanged. If several calls fail, it is the error
            of the model that comes first in `signatures`.
    """
    (first, signature), *others = signatures.items()
    pending = [pool.submit(ask_model, client, model, other, features) for model, other in others]
    answers = ask_model(client, first, signature, features)
    return answers + [answer for future in pending for answer in future.result()]


def ask_model(client: Client, model: str, signature: Signature, features: Features) -> list[SourceAnswer]:
    """The answers of one model's sources, which share a call: one row of the batch for each.

    Raises:
        InputError: the features ask for a filter that the model does not have. An answer without the filter would hold
            items that the caller excluded.
    """
    for name in FILTERS:
        if features.get(name) and name not in signature:
            raise InputError(
                f"The served {model} model cannot filter by {name!r}: its export is older than that filter.",
                "Run `segue run training`, or leave the filter out.",
            )
    sources = answerable(model, signature)
    rows = [model_inputs({**features, **source.question(features["request_ts"])}, signature) for source in sources]
    batch = {name: np.concatenate([row[name] for row in rows]) for name in signature}
    outputs = client.predict(model, batch, label=STABLE)
    item_ids = outputs["item_ids"].astype(str)  # [sources, k]
    return [SourceAnswer(*answer) for answer in zip(sources, item_ids, outputs["scores"], strict=True)]


def answerable(model: str, signature: Signature) -> list[Source]:
    """The sources that a model can answer. An older export has no input `released_after`, so no new releases."""
    own = [source for source in SOURCES if source.model == model]
    return [source for source in own if source.days is None or "released_after" in signature]
