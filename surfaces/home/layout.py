"""The layout policy: which shelves a page shows, in which order, and how many.

Shelves are drawn one after the other from a softmax over their scores, without replacement: the Plackett-Luce model
(Plackett, The analysis of permutations, 1975). From a given row on, the end of the page competes with the shelves. The
chance of a layout is a product of softmaxes, so it is exact, under this policy and under any other. Thompson sampling
has no such formula: its chance of an order is an integral over the posterior. The posterior serves here as optimism
instead: a shelf of which little is known scores higher (Auer, JMLR 2002), and the chance stays exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from segue.errors import InputError
from surfaces.home.context import CONTEXT_FEATURES
from surfaces.home.layout_record import SHELF_FEATURES, LayoutRecord
from surfaces.home.page import kind_of

NAME = "plackett-luce"
SHARED = ("shelf", *SHELF_FEATURES)  # features that all kinds share
OF_A_KIND = ("shelf", *CONTEXT_FEATURES)  # features that each kind has of its own
FIELDS = ("version", "kinds", "mean", "covariance", "temperature", "optimism")


# The weights before anything is learned. Any shelf scores 1, so that a shelf of average items is worth more than the
# end of the page; better items, and items of types that fit the hour, score more.
PRIOR_MEAN = (1.0, 1.0, 0.0, 1.0)


@dataclass(frozen=True)
class LayoutPolicy:
    """A Plackett-Luce policy over linear scores of shelves in their context.

    Args:
        version: number of the policy; 0 before anything is learned.
        kinds: the kinds of shelves that have weights of their own. Any other kind has the shared weights only.
        mean: the weights, `[d]` with d = 4 + 5 * kinds: see `design`.
        covariance: their posterior covariance, `[d, d]`.
        temperature: the score's difference that makes a shelf e times as likely as another at the same draw.
        optimism: number of standard deviations by which a shelf's score is raised.

    Raises:
        InputError: a shape does not fit, or a number lies outside its range.
    """

    version: int = 0
    kinds: tuple[str, ...] = ()
    mean: np.ndarray = field(default_factory=lambda: np.array(PRIOR_MEAN))
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((len(PRIOR_MEAN), len(PRIOR_MEAN))))
    temperature: float = 0.25
    optimism: float = 0.0

    def __post_init__(self) -> None:
        size = len(SHARED) + len(self.kinds) * len(OF_A_KIND)
        if self.mean.shape != (size,) or self.covariance.shape != (size, size):
            raise InputError(
                f"A layout policy of {len(self.kinds)} kinds has {size} weights and their covariance. "
                f"Received shapes {list(self.mean.shape)} and {list(self.covariance.shape)}.",
                "Learn the policy again.",
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise InputError("The weights of a layout policy are finite. Received others.", "Learn the policy again.")
        if not (0 < self.temperature < np.inf and 0 <= self.optimism < np.inf):
            raise InputError(
                "The temperature of a layout policy is above 0 and its optimism at least 0. "
                f"Received {self.temperature} and {self.optimism}.",
                "Give e.g. 0.5 and 1.",
            )

    def logits(self, shelf_ids: Sequence[str], qualities: np.ndarray, context: np.ndarray) -> np.ndarray:
        """The optimistic scores of shelves over the temperature, `[n]`; the end of the page has 0. See `design`."""
        features = design(self.kinds, shelf_ids, qualities, context)
        scores = features @ self.mean
        if self.optimism:
            scores = scores + self.optimism * np.sqrt(((features @ self.covariance) * features).sum(axis=1).clip(0))
        return scores / self.temperature

    def draw(
        self,
        shelf_ids: tuple[str, ...],
        qualities: np.ndarray,
        context: np.ndarray,
        fewest: int,
        most: int,
        rng: np.random.Generator,
    ) -> LayoutRecord:
        """Draw a layout.

        Args:
            shelf_ids: the shelves that may be shown, sorted, so that their order has no influence.
            qualities: as `design`.
            context: as `design`.
            fewest: number of rows before which the page does not end.
            most: number of rows at which it ends.
            rng: draws the layout.
        """
        logits = self.logits(shelf_ids, qualities, context)
        drawn = draw_layouts(logits, fewest, most, rng)[0]
        layout = tuple(drawn[drawn >= 0].tolist())
        chances = step_chances(logits, layout, fewest, most)
        return LayoutRecord(shelf_ids, qualities, context, layout, fewest, most, chances)

    def chances(self, record: LayoutRecord) -> np.ndarray:
        """The chance of each choice of a layout under this policy, which another may have drawn, as its `chances`."""
        logits = self.logits(record.shelf_ids, record.qualities, record.context)
        return step_chances(logits, record.drawn, record.fewest, record.most)

    def raised(self, weights: Mapping[str, float]) -> "LayoutPolicy":
        """The policy with something added to the score of each shelf of some kinds.

        Args:
            weights: what is added, by kind; below 0 it is taken off.
        """
        kinds = (*self.kinds, *sorted(weights.keys() - set(self.kinds)))
        before, size = len(self.mean), len(SHARED) + len(kinds) * len(OF_A_KIND)
        mean, covariance = np.zeros(size), np.zeros((size, size))
        mean[:before], covariance[:before, :before] = self.mean, self.covariance
        for kind, weight in weights.items():
            mean[len(SHARED) + kinds.index(kind) * len(OF_A_KIND)] += weight
        return replace(self, kinds=kinds, mean=mean, covariance=covariance)

    def to_dict(self) -> dict[str, Any]:
        """The policy as JSON types."""
        return {
            "version": self.version,
            "kinds": list(self.kinds),
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
            "temperature": self.temperature,
            "optimism": self.optimism,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "LayoutPolicy":
        """The policy that `to_dict` wrote.

        Raises:
            InputError: a key is missing, or a value breaks its rule.
        """
        if missing := [name for name in FIELDS if name not in saved]:
            raise InputError(
                f"A saved layout policy has the keys {', '.join(FIELDS)}. It lacks {', '.join(missing)}.",
                "Learn the policy again, or remove the file to go on with the policy before learning.",
            )
        return cls(
            version=int(saved["version"]),
            kinds=tuple(saved["kinds"]),
            mean=np.array(saved["mean"], np.float64),
            covariance=np.array(saved["covariance"], np.float64),
            temperature=float(saved["temperature"]),
            optimism=float(saved["optimism"]),
        )


def design(kinds: Sequence[str], shelf_ids: Sequence[str], qualities: np.ndarray, context: np.ndarray) -> np.ndarray:
    """The features of shelves in their context, `[n, d]`: first `SHARED`, then `OF_A_KIND` for each kind.

    Args:
        kinds: the kinds that have features of their own.
        shelf_ids: the shelves, `[n]`.
        qualities: `SHELF_FEATURES` of each, `[n, 3]`.
        context: `HomeContext.features`, `[4]`.
    """
    own = np.array([kind_of(shelf_id) for shelf_id in shelf_ids], str)[:, None] == np.array(kinds, str)  # [n, kinds]
    of_kinds = own[:, :, None] * np.array([1.0, *context])  # [n, kinds, 5]
    return np.concatenate(
        [np.ones((len(own), 1)), qualities, of_kinds.reshape(len(own), len(kinds) * len(OF_A_KIND))], axis=1
    )


def draw_layouts(logits: np.ndarray, fewest: int, most: int, rng: np.random.Generator, draws: int = 1) -> np.ndarray:
    """Draw layouts, one row after the other.

    The largest of the logits with Gumbel noise is a draw from their softmax (Gumbel, 1954; Yellott, 1977). Each row has
    noise of its own, because the end of the page competes in some rows only.

    Args:
        logits: of the shelves, `[n]`; the end has 0.
        fewest: number of rows before which a page does not end.
        most: number of rows at which it ends.
        rng: the noise.
        draws: how many layouts.

    Returns:
        Shelves from top to bottom, int `[draws, min(most, n)]`; -1 after the end of a page.
    """
    count = len(logits)
    steps = min(most, count)
    noise = rng.gumbel(size=(steps, draws, count + 1))
    left = np.tile(np.append(logits, -np.inf), (draws, 1))  # [draws, n + 1]; the last column is the end
    drawn, rows = np.empty((draws, steps), np.intp), np.arange(draws)
    at_the_end = np.append(np.full(count, -np.inf), 0.0)
    for step in range(steps):
        if step == fewest:
            left[:, count] = 0.0
        drawn[:, step] = choice = (left + noise[step]).argmax(axis=1)
        ended = choice == count
        left[rows, choice] = -np.inf
        left[ended] = at_the_end  # a page that ended stays so
    drawn[drawn == count] = -1
    return drawn


def step_chances(logits: np.ndarray, layout: Sequence[int], fewest: int, most: int) -> np.ndarray:
    """The exact chance of each choice of a layout, given the choices above it; their product is the layout's chance.

    Args:
        logits: as `draw_layouts`, `[n]`.
        layout: the shelves from top to bottom.
        fewest: as `draw_layouts`.
        most: as `draw_layouts`.

    Returns:
        `[rows]`, or `[rows + 1]` where the page ended before it had to: the last choice is then the end.
    """
    weights = np.append(logits, 0.0)  # the last is the end
    is_open = np.ones(len(weights), bool)
    chances = []
    for step, choice in enumerate([*layout, len(logits)][: min(most, len(logits))]):
        is_open[-1] = step >= fewest
        possible = weights[is_open]
        top = possible.max()
        chances.append(is_open[choice] * np.exp(weights[choice] - top) / np.exp(possible - top).sum())
        is_open[choice] = False
    return np.array(chances)
