"""Stage 6, compose: the scored candidates become the list that is shown, with a few places for exploration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.request import Exploration


@dataclass(frozen=True)
class Recommendation:
    """One item of a list, and why it is there.

    Args:
        item_id: the item.
        title: its title; the id where no title is known.
        scores: what the ranking model says: `reward`, by which the list is ordered, and the other outputs.
        source_scores: by model, the score that it gave the item; None if it did not find the item.
        sources: the names of the sources that found the item.
        explored: whether the item won its place by its uncertainty.
    """

    item_id: str
    title: str
    scores: dict[str, float]
    source_scores: dict[str, float | None]
    sources: list[str]
    explored: bool

    def to_dict(self) -> dict[str, Any]:
        """A flat form for JSON, e.g. `{"item_id": "i1", "reward": 0.3, "retrieval_score": 2.1, ...}`."""
        return {
            "item_id": self.item_id,
            "title": self.title,
            **self.scores,
            **{f"{model}_score": score for model, score in self.source_scores.items()},
            "source": self.sources,
            "explored": self.explored,
        }


def compose(context: Context, candidates: Candidates, scores: Mapping[str, np.ndarray]) -> tuple[Recommendation, ...]:
    """The list of a request, at most `k` items in the order to show.

    Args:
        context: how many items are asked for, how many may be explored, and the titles.
        candidates: `n` items.
        scores: the ranking model's outputs, each `[n]`. Without `uncertainty` nothing is explored.
    """
    request = context.request
    uncertainty = scores.get("uncertainty", np.zeros_like(scores["reward"]))
    places, explored = slate(scores["reward"], uncertainty, request.k, request.exploration)
    return tuple(
        Recommendation(
            item_id=candidates.item_ids[i],
            title=context.catalogue.title(candidates.item_ids[i]),
            scores={name: float(values[i]) for name, values in scores.items()},
            source_scores={
                model: float(given[i]) if np.isfinite(given[i]) else None for model, given in candidates.scores.items()
            },
            sources=candidates.sources[i],
            explored=i in explored,
        )
        for i in places
    )


def slate(reward: np.ndarray, uncertainty: np.ndarray, k: int, exploration: Exploration) -> tuple[list[int], set[int]]:
    """The best `k` candidates by reward, of which a few may give way to uncertain candidates.

    A list ordered by reward alone never tests an item that nobody has played. So the last places of the list, as many
    as the budget allows, go to the candidates with the highest `reward + bonus * uncertainty`: optimism in the face of
    uncertainty (Auer, JMLR 2002; LinUCB, Li et al., WWW 2010). A winner that is not among the best `k` by reward is
    explored. It is placed where the lower half of the list begins: the upper half stays as good as without
    exploration, and listeners still see the explored item. The same request always has the same answer, because
    nothing is drawn at random.

    Args:
        reward: `[n]`.
        uncertainty: `[n]`, from 0 (well known) to 1 (nothing is known).
        k: how many candidates to choose.
        exploration: how many of them may be explored.

    Returns:
        The chosen candidates in the order to show, at most `k`, and those of them that are explored.
    """
    ranked = np.argsort(-reward, kind="stable").tolist()
    best, rest = ranked[:k], ranked[k:]
    contested = exploration.places(len(best))
    safe, displaced = best[: len(best) - contested], best[len(best) - contested :]
    contenders = np.array([*displaced, *rest], np.int64)
    optimistic = reward[contenders] + exploration.bonus * uncertainty[contenders]
    winners = contenders[np.argsort(-optimistic, kind="stable")][:contested].tolist()
    explored = [i for i in winners if i not in displaced]
    kept = [*safe, *(i for i in displaced if i in winners)]
    upper_half = len(best) - len(best) // 2
    return [*kept[:upper_half], *explored, *kept[upper_half:]], set(explored)
