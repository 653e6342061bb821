"""Where candidates come from: several questions to the retrieval model in one call, their answers merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Source:
    """One question to the retrieval model.

    Args:
        name: as answers tell it.
        k: how many candidates are asked for.
        days: only what came out in so many days before the request; None for everything.
    """

    name: str
    k: int
    days: int | None = None


# What is new has few plays, so the best of everything hardly ever holds it; asked for alone it comes to be ranked.
SOURCES = (Source("retrieval", 200), Source("new_releases", 50, days=14))


@dataclass(frozen=True)
class Candidates:
    """What the sources found, each item once, in the order in which it was found first.

    Args:
        ids: `[n]`.
        scores: retrieval's score of each, float32 `[n]`.
        sources: the names of the sources that found each, `[n]`.
    """

    ids: list[str]
    scores: np.ndarray
    sources: list[list[str]]


def answerable(signature: Mapping[str, Any]) -> list[Source]:
    """The sources that a retrieval model knows how to answer, by the names of its inputs."""
    return [source for source in SOURCES if source.days is None or "released_after" in signature]


def question(source: Source, request_ts: int) -> dict[str, int]:
    """What a source asks beyond the listener's features; `request_ts` in seconds."""
    asked = {"k": source.k}
    if source.days is not None:
        asked["released_after"] = request_ts - source.days * DAY_SECONDS
    return asked


def merge(sources: list[Source], ids: np.ndarray, scores: np.ndarray) -> Candidates:
    """Candidates of all sources; one that several found has the score that the first gave it.

    Args:
        sources: `[s]`, the most general first.
        ids: text `[s, k]`, '' where a source found no more.
        scores: float32 `[s, k]`.
    """
    score: dict[str, float] = {}
    found: dict[str, list[str]] = {}
    for source, row, values in zip(sources, ids.tolist(), scores.tolist(), strict=True):
        for item, value in zip(row, values, strict=True):
            if item:
                score.setdefault(item, value)
                found.setdefault(item, []).append(source.name)
    return Candidates(list(score), np.array(list(score.values()), np.float32), list(found.values()))
