"""Stage 3, candidates: the answers of all sources become one list with each item once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, repeat

import numpy as np

from segue.candidates import fill_missing
from surfaces.catalogue import Catalogue
from surfaces.hydrate import Features


@dataclass(frozen=True)
class SourceAnswer:
    """The candidates that one source found, best first.

    Args:
        source: the name of the source.
        item_ids: str `[k]`; '' where it found no more.
        scores: float32 `[k]`.
        model: the model that gave the scores; '' for a source that asks none.
        anchor: the item that the list is about, for lists such as "because you listened to"; else ''.
    """

    source: str
    item_ids: np.ndarray
    scores: np.ndarray
    model: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class SourceList:
    """The list of one source, as positions in the candidates: best first, int32 `[k]`."""

    source: str
    anchor: str
    places: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """The items that the sources found, in the order in which they were found first.

    Args:
        item_ids: `[n]`.
        rows: rows of the catalogue, int32 `[n]`; -1 for an item that it does not have.
        scores: by model, the score of each item, float32 `[n]`; minus infinity where the model did not find it.
        listed: by model, the scores of its most general source, whose least one fills the gaps, float32 `[k]`.
        sources: for each item, the names of the sources that found it, `[n]`.
        lists: the list of each source.
    """

    item_ids: list[str]
    rows: np.ndarray
    scores: dict[str, np.ndarray]
    listed: dict[str, np.ndarray]
    sources: list[list[str]]
    lists: tuple[SourceList, ...]

    def features(self) -> Features:
        """The candidates as the ranking model takes them: `candidate_ids`, and `<model>_scores` without gaps.

        A model's least score is that of its most general source, because the lists of training hold nothing else.
        """
        filled = {f"{model}_scores": fill_missing(scores, self.listed[model]) for model, scores in self.scores.items()}
        return {"candidate_ids": self.item_ids, **filled}

    def keep(self, wanted: np.ndarray) -> "Candidates":
        """The candidates of a mask, bool `[n]`, in the same order."""
        is_wanted = wanted.tolist()
        moved = np.where(wanted, np.cumsum(wanted) - 1, -1)
        return replace(
            self,
            item_ids=list(compress(self.item_ids, is_wanted)),
            rows=self.rows[wanted],
            scores={model: scores[wanted] for model, scores in self.scores.items()},
            sources=list(compress(self.sources, is_wanted)),
            lists=tuple(replace(one, places=moved[one.places[wanted[one.places]]]) for one in self.lists),
        )


def merge(answers: Sequence[SourceAnswer], catalogue: Catalogue, longest: int | None = None) -> Candidates:
    """The candidates of all sources; an item that several sources of one model found keeps its first score.

    Args:
        answers: of each model, the most general source first.
        catalogue: gives the rows of the items.
        longest: how many items of a source's list become candidates; None for all. Scores come from the whole lists.
    """
    sources: dict[str, list[str]] = {}
    first_scores: dict[str, dict[str, float]] = {}
    listed: dict[str, np.ndarray] = {}
    lists: list[tuple[SourceAnswer, list[str]]] = []
    for answer in answers:
        found, scores = answer.item_ids.tolist(), answer.scores
        if "" in found:
            present = answer.item_ids != ""
            found, scores = answer.item_ids[present].tolist(), scores[present]
        best = found[:longest]
        lists.append((answer, best))
        for item in best:
            names = sources.setdefault(item, [])
            if answer.source not in names:
                names.append(answer.source)
        if answer.model:
            listed.setdefault(answer.model, scores)
            # Of two scores of an item the first stays, so it is written last.
            own = dict(zip(reversed(found), reversed(scores.tolist()), strict=True))
            first_scores[answer.model] = own | first_scores.get(answer.model, {})
    places = {item: place for place, item in enumerate(sources)}
    arrays = {
        model: np.fromiter(map(scores.get, sources, repeat(-np.inf)), np.float32, len(sources))
        for model, scores in first_scores.items()
    }
    return Candidates(
        list(sources),
        catalogue.rows(sources),
        arrays,
        listed,
        list(sources.values()),
        tuple(
            SourceList(answer.source, answer.anchor, np.fromiter(map(places.__getitem__, best), np.int32, len(best)))
            for answer, best in lists
        ),
    )
