"""The request path as a whole: hydrate, sources, candidates, score, compose."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from segue.errors import InputError
from serving.client.sync_client import Client
from serving.store.model_store import STABLE
from surfaces.candidates import merge
from surfaces.compose import Recommendation, compose
from surfaces.hydrate import Features, OnlineFeatures
from surfaces.model_inputs import Signature
from surfaces.request import Request
from surfaces.score import RANKING, score
from surfaces.sources import ask_sources
from surfaces.titles import check_picks

RETRIEVAL, SEQUENCE = "retrieval", "sequence"
# The most calls that wait for the model server beside those on the callers' threads. A thread starts when it is needed.
THREADS = 32


class Recommender:
    """Answers requests by the models of one model server. Safe to share between threads.

    It reads the models' signatures once, and again if a call is refused: a push or a rollback may change them.

    Args:
        client: a client of a server with the models `retrieval` and `ranking`, and `sequence` if ranking takes its
            scores.
        features: reads the listeners' features.
        titles: item id -> title.

    Raises:
        InputError, UnavailableError, SegueError: the server does not describe the models; see `Client`.
    """

    def __init__(self, client: Client, features: OnlineFeatures, titles: Mapping[str, str]) -> None:
        self._client = client
        self._features = features
        self._titles = titles
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="segue-sources")
        self._signatures = self._read_signatures()

    def recommend(self, request: Request, at: datetime) -> list[Recommendation]:
        """The best items for a request at an instant, at most `k`, in the order to show.

        Raises:
            InputError: the listener or a picked item is not known, or a model lacks a filter that the request asks for.
            UnavailableError, SegueError: see `Client`.
        """
        check_picks(request.picks or (), self._titles)
        return self.answer(request, self._features.hydrate(request, at))

    def answer(self, request: Request, features: Features) -> list[Recommendation]:
        """The list for a request whose features were read before; otherwise as `recommend`."""
        try:
            return self._answer(request, features)
        except InputError:
            signatures = self._read_signatures()
            if signatures == self._signatures:
                raise
            self._signatures = signatures
            return self._answer(request, features)

    def _answer(self, request: Request, features: Features) -> list[Recommendation]:
        signatures = dict(self._signatures)
        ranking = signatures.pop(RANKING)
        candidates = merge(ask_sources(self._client, signatures, features, self._pool))
        if not candidates.item_ids:
            return []
        scores = score(self._client, ranking, features, candidates)
        return compose(request, candidates, scores, self._titles)

    def _read_signatures(self) -> dict[str, Signature]:
        """The inputs of each served model; of `sequence` only if the ranking model takes its scores."""
        signatures = {model: self._read_signature(model) for model in (RETRIEVAL, RANKING)}
        if f"{SEQUENCE}_scores" in signatures[RANKING]:
            signatures[SEQUENCE] = self._read_signature(SEQUENCE)
        return signatures

    def _read_signature(self, model: str) -> Signature:
        return self._client.metadata(model, label=STABLE)["signatures"]["serving_default"]["inputs"]
