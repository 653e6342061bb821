"""Stage 3, candidates: the answers of all sources become one list with each item once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.candidates import fill_missing
from surfaces.hydrate import Features
from surfaces.sources import SourceAnswer


@dataclass(frozen=True)
class Candidates:
    """The items that the sources found, in the order in which they were found first.

    Args:
        item_ids: `[n]`.
        scores: by model, the score of each item, float32 `[n]`; minus infinity where the model did not find it.
        listed: by model, the scores of its most general source, whose least one fills the gaps, float32 `[k]`.
        sources: for each item, the names of the sources that found it, `[n]`.
    """

    item_ids: list[str]
    scores: dict[str, np.ndarray]
    listed: dict[str, np.ndarray]
    sources: list[list[str]]

    def features(self) -> Features:
        """The candidates as the ranking model takes them: `candidate_ids`, and `<model>_scores` without gaps.

        A model's least score is that of its most general source, because the lists of training hold nothing else.
        """
        filled = {f"{model}_scores": fill_missing(scores, self.listed[model]) for model, scores in self.scores.items()}
        return {"candidate_ids": self.item_ids, **filled}


def merge(answers: Sequence[SourceAnswer]) -> Candidates:
    """The candidates of all sources; an item that several sources of one model found keeps its first score.

    Args:
        answers: of each model, the most general source first.
    """
    sources: dict[str, list[str]] = {}
    first_scores: dict[str, dict[str, float]] = {}
    listed: dict[str, np.ndarray] = {}
    for answer in answers:
        model, present = answer.source.model, answer.item_ids != ""
        scores = answer.scores[present]
        listed.setdefault(model, scores)
        of_model = first_scores.setdefault(model, {})
        for item, score in zip(answer.item_ids[present].tolist(), scores.tolist(), strict=True):
            sources.setdefault(item, []).append(answer.source.name)
            of_model.setdefault(item, score)
    arrays = {
        model: np.array([scores.get(item, -np.inf) for item in sources], np.float32)
        for model, scores in first_scores.items()
    }
    return Candidates(list(sources), arrays, listed, list(sources.values()))
