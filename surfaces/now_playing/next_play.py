"""How likely each candidate is the next play: the models' distribution, mixed with two habits of the listener.

    p(item) = (1 - s) * ((1 - CREATORS) * models(item) + CREATORS * creators(item)) + s * saved(item)

- `models`: the softmax of the weighted mean of both models' logits.
- `creators`: the creator's share of the listener's history, times the item's share of the creator's plays. What is
  older counts less, because listeners move on. The two-tower has one vector for a listener, which cannot point at a
  handful of creators without their neighbours (Weston, Weiss and Yee, Nonlinear latent factorization by embedding
  multiple user interests, RecSys 2013).
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
from surfaces.sources.source import DAY_SECONDS
from surfaces.versions import RETRIEVAL, SEQUENCE

MODELS = {RETRIEVAL: 0.8, SEQUENCE: 0.2}
CREATORS = 0.3
SAVED = 0.5
KEPT_DAYS = 30.0  # after so many days an entry of the history counts 1 / e for its creator
PLAYED, NAMED = 1.0, 0.5  # what a play, and any other action, tells of a creator: a skipped item was offered for it too


def log_chances(
    candidates: Candidates,
    playable: np.ndarray,
    features: Features,
    state: SessionState,
    catalogue: Catalogue,
    now: float,
) -> np.ndarray:
    """The logarithm of each candidate's chance to be the next play, float32 `[n]`; minus infinity if it may not play.

    Args:
        candidates: `n` items, with the scores of at least one model.
        playable: which of them may be played, bool `[n]`.
        features: of the listener, with the session's own actions in the history.
        state: of the session.
        catalogue: the items.
        now: the instant of the request, seconds since 1970 UTC.
    """
    out = np.full(len(playable), -np.inf, np.float32)
    if not playable.any():
        return out
    open_, saved_items = candidates.keep(playable), saved(features, state)
    chances = softmax(logits(open_))
    for weight, habit in (
        (CREATORS, by_creator(open_, features, catalogue, now)),
        (SAVED * share_of_session(saved_items, state), np.array([item in saved_items for item in open_.item_ids])),
    ):
        if habit.any():
            chances = (1 - weight) * chances + weight * habit / habit.sum()
    out[playable] = np.log(chances)
    return out


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
    mass = np.exp(values - values.max())
    return mass / mass.sum()


def by_creator(candidates: Candidates, features: Features, catalogue: Catalogue, now: float) -> np.ndarray:
    """What each candidate gets of its creator's share of the history, float64 `[n]`; 0 for a creator not in it."""
    items, actions, times = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    fresh = np.exp((np.array(times, np.float64) - now) / (KEPT_DAYS * DAY_SECONDS)).tolist()
    shares: dict[str, float] = defaultdict(float)
    for creator, action, weight in zip(
        catalogue.creator_ids[catalogue.rows(items)].tolist(), actions, fresh, strict=True
    ):
        if creator:
            shares[creator] += weight * (PLAYED if action == schema.PLAY else NAMED)
    creators = catalogue.creator_ids[candidates.rows].tolist()
    of_creator = np.fromiter(map(shares.get, creators, repeat(0.0)), np.float64, len(creators))
    return of_creator * catalogue.creator_shares[candidates.rows]


def saved(features: Features, state: SessionState) -> set[str]:
    """The items of the history that were added before the session began."""
    columns = (features.get(f"history_{name}") or [] for name in ("items", "actions", "times"))
    began = int(state.actions[0].ts.timestamp()) if state.actions else np.inf
    return {item for item, action, at in zip(*columns, strict=True) if action == schema.ADD and at < began}


def share_of_session(items: set[str], state: SessionState) -> float:
    """The share of the session's plays and skips that were of some items; 0 without a play or skip."""
    tried = [action.item_id in items for action in state.actions if action.action in (schema.PLAY, schema.SKIP)]
    return sum(tried) / len(tried) if tried else 0.0
