"""How likely each candidate is the next play: the models' distribution, mixed with two habits of the listener.

    p(item) = (1 - s) * ((1 - CREATORS) * models(item) + CREATORS * creators(item)) + s * saved(item)

- `models`: the softmax of the weighted mean of both models' logits.
- `creators`: the creator's share of the listener's history, times the item's share of the creator's plays. The
  two-tower has one vector for a listener, which cannot point at a handful of creators without their neighbours (Weston,
  Weiss and Yee, Nonlinear latent factorization by embedding multiple user interests, RecSys 2013).
- `saved`: even over the items that the listener added before the session. `s` is `SAVED` times the share of the session
  that was spent on such items: who began in the library goes on there.

A mixture, and no sum of logits: the next play comes from one of the three, and an item that one of them is sure of need
not please the others. The weights were fitted to the validation span of the demo world (`segue bench surfaces` measures
on the test span): see docs/now-playing.md.
"""

from collections import defaultdict
from itertools import repeat

import numpy as np

from events import schema
from surfaces.candidates import Candidates
from surfaces.catalogue import Catalogue
from surfaces.hydrate import Features
from surfaces.now_playing.state import SessionState
from surfaces.versions import RETRIEVAL, SEQUENCE

MODELS = {RETRIEVAL: 0.8, SEQUENCE: 0.2}
CREATORS = 0.3
SAVED = 0.5
PLAYED, NAMED = 1.0, 0.5  # what a play, and any other action, tells of a creator: a skipped item was offered for it too


def log_chances(candidates: Candidates, features: Features, state: SessionState, catalogue: Catalogue) -> np.ndarray:
    """The logarithm of each candidate's chance to be the next play, float32 `[n]`.

    Args:
        candidates: `n` items, with the scores of at least one model.
        features: of the listener, with the session's own actions in the history.
        state: of the session.
        catalogue: the items.
    """
    chances, saved_items = softmax(logits(candidates)), saved(features, state)
    for weight, habit in (
        (CREATORS, by_creator(candidates, features, catalogue)),
        (SAVED * share_of_session(saved_items, state), np.array([item in saved_items for item in candidates.item_ids])),
    ):
        if habit.any():
            chances = (1 - weight) * chances + weight * habit / habit.sum()
    return np.log(chances).astype(np.float32)


def logits(candidates: Candidates) -> np.ndarray:
    """The weighted mean of the models' scores, float64 `[n]`.

    An item that a model did not find has the least score of its list. Both models are trained by a softmax over items,
    so their scores are logits, and their mean is the geometric mean of two distributions (Hinton, Neural Computation
    2002: a product of experts). One model alone has the whole weight.
    """
    given, weights = candidates.features(), {model: MODELS[model] for model in candidates.scores}
    total = sum(weights.values())
    return sum(weight / total * given[f"{model}_scores"].astype(np.float64) for model, weight in weights.items())


def softmax(values: np.ndarray) -> np.ndarray:
    """The softmax, float64 `[n]`."""
    mass = np.exp(values - values.max(initial=-np.inf))
    return mass / mass.sum()


def by_creator(candidates: Candidates, features: Features, catalogue: Catalogue) -> np.ndarray:
    """What each candidate gets of its creator's share of the history, float64 `[n]`; 0 for a creator not in it.

    The candidates of a creator share by their plays of the last 28 days, and one more each.
    """
    items, actions = (features.get(f"history_{name}") or [] for name in ("items", "actions"))
    shares: dict[str, float] = defaultdict(float)
    for creator, action in zip(catalogue.creator_ids[catalogue.rows(items)].tolist(), actions, strict=True):
        if creator:
            shares[creator] += PLAYED if action == schema.PLAY else NAMED
    creators = catalogue.creator_ids[candidates.rows].tolist()
    plays = (catalogue.popularity[""][candidates.rows] + 1.0).tolist()
    totals: dict[str, float] = defaultdict(float)
    for creator, count in zip(creators, plays, strict=True):
        totals[creator] += count
    each = {creator: share / totals[creator] for creator, share in shares.items() if creator in totals}
    return np.fromiter(map(each.get, creators, repeat(0.0)), np.float64, len(creators)) * plays


def saved(features: Features, state: SessionState) -> set[str]:
    """The items of the history that were added before the session began."""
    columns = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    began = int(state.actions[0].ts.timestamp()) if state.actions else np.inf
    return {item for item, action, at in zip(*columns, strict=True) if action == schema.ADD and at < began}


def share_of_session(items: set[str], state: SessionState) -> float:
    """The share of the session's plays and skips that were of some items; 0 without a play or skip."""
    tried = [action.item_id in items for action in state.actions if action.action in (schema.PLAY, schema.SKIP)]
    return sum(tried) / len(tried) if tried else 0.0
