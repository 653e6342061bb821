"""Where candidates come from: questions to the models that find them, a call a model, their answers merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Source:
    """One question to a model that finds candidates.

    Args:
        name: as answers tell it.
        model: who is asked.
        k: how many candidates are asked for.
        days: only what came out in so many days before the request; None for everything.
    """

    name: str
    model: str
    k: int
    days: int | None = None


# What is new has few plays, so the best of everything hardly ever holds it; asked for alone it comes to be ranked.
SOURCES = (
    Source("retrieval", "retrieval", 200),
    Source("new_releases", "retrieval", 50, days=14),
    Source("sequence", "sequence", 100),
)


@dataclass(frozen=True)
class Candidates:
    """What the sources found, each item once, in the order in which it was found first.

    Args:
        ids: `[n]`.
        scores: by model, the score of each item that it found.
        least: by model, the least score of its most general source; 0 if that found nothing.
        sources: the names of the sources that found each, `[n]`.
    """

    ids: list[str]
    scores: dict[str, dict[str, float]]
    least: dict[str, float]
    sources: list[list[str]]

    def inputs(self) -> dict[str, Any]:
        """As the ranking model takes them: what a model did not find has the least of what it did, as in training."""
        return {"candidate_ids": self.ids} | {
            f"{model}_scores": [known.get(item, self.least[model]) for item in self.ids]
            for model, known in self.scores.items()
        }


def answerable(model: str, signature: Mapping[str, Any]) -> list[Source]:
    """The sources that a model knows how to answer, by the names of its inputs."""
    own = [source for source in SOURCES if source.model == model]
    return [source for source in own if source.days is None or "released_after" in signature]


def question(source: Source, request_ts: int) -> dict[str, int]:
    """What a source asks beyond the listener's features; `request_ts` in seconds."""
    asked = {"k": source.k}
    if source.days is not None:
        asked["released_after"] = request_ts - source.days * DAY_SECONDS
    return asked


def merge(answers: list[tuple[Source, np.ndarray, np.ndarray]]) -> Candidates:
    """Candidates of all sources; one that several of a model's found has the score that the first gave it.

    Args:
        answers: of each source, the most general of a model first, ids as text `[k]`, '' where it found no more, and
            scores, float32 `[k]`.
    """
    scores: dict[str, dict[str, float]] = {}
    least: dict[str, float] = {}
    found: dict[str, list[str]] = {}
    for source, ids, values in answers:
        known = {item: value for item, value in zip(ids.tolist(), values.tolist(), strict=True) if item}
        least.setdefault(source.model, min(known.values(), default=0.0))
        scores[source.model] = known | scores.get(source.model, {})
        for item in known:
            found.setdefault(item, []).append(source.name)
    return Candidates(list(found), scores, least, list(found.values()))
