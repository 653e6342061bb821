"""Skip reaction: the genres and creators that this session skips lose a share of what is drawn next.

A fixed penalty would be too small for a genre that fills the list and too large for a rare one, and it would depend on
the scale of the scores. So the penalty is solved for: a genre that has the share `s` of the draw, and stands at `e`
skips, gets the offset that leaves it the share `s * LEFT^(e^2 / 2)`. One skip may be chance and leaves 0.55 of it; two
leave 0.11. The models alone do not do this: they learned from logs in which a skipped item was shown because it fitted.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from events import schema
from surfaces.catalogue import Catalogue
from surfaces.now_playing.state import SessionState

# With the square of the skips, held-out plays are predicted better than with `LEFT^e`: see docs/now-playing.md.
LEFT = 0.3
MOST = 8.0  # the largest penalty, in logits of the draw
FADES = 0.9  # what is left of a skip after another item was played or skipped
PLAYED = 0.5  # what is left of a skip after an item of the same genre or creator was played, liked or added
DISLIKE = 2.0  # skips that a dislike counts for; it does not fade


def evidence(state: SessionState, catalogue: Catalogue) -> tuple[dict[str, float], dict[str, float]]:
    """How many skips each genre and each creator stands at now.

    Example: a skip, a skip and a play of jazz stand at 1, 1 * 0.9 + 1 = 1.9 and 1.9 * 0.9 * 0.5 = 0.855.

    Returns:
        Genre -> skips, and creator id -> skips.
    """
    genres: dict[str, float] = defaultdict(float)
    creators: dict[str, float] = defaultdict(float)
    for action in state.actions:
        named = traits(action.item_id, catalogue)
        for counts, names in zip((genres, creators), named, strict=True):
            if action.action in (schema.PLAY, schema.SKIP):
                for name in counts:
                    counts[name] *= FADES
            for name in names:
                counts[name] = counts[name] + 1 if action.action == schema.SKIP else counts[name] * PLAYED
    for item in state.dislikes:
        for counts, names in zip((genres, creators), traits(item, catalogue), strict=True):
            for name in names:
                counts[name] += DISLIKE
    return dict(genres), dict(creators)


def traits(item_id: str, catalogue: Catalogue) -> tuple[Sequence[str], Sequence[str]]:
    """The genres of an item, and its creator if it is known."""
    row = catalogue.index.get(item_id, -1)
    creator = str(catalogue.creator_ids[row])
    return tuple(catalogue.genres[row]), (creator,) if creator else ()


def react(
    scores: np.ndarray, state: SessionState, catalogue: Catalogue, rows: np.ndarray, temperature: float
) -> np.ndarray:
    """Scores with the penalties of the session's skips, float32 `[n]`.

    Args:
        scores: to draw by, `[n]`; minus infinity is never drawn.
        state: of the session.
        catalogue: the items.
        rows: rows of the catalogue, int32 `[n]`.
        temperature: of the draw.
    """
    genres, creators = evidence(state, catalogue)
    columns = {name: column for column, name in enumerate(catalogue.genre_names)}
    own_genres, own_creators = catalogue.genre_vectors[rows], catalogue.creator_ids[rows]
    scores = np.asarray(scores, np.float32).copy()
    for name, skips in sorted(genres.items(), key=lambda one: (one[1], one[0])):
        lower(scores, own_genres[:, columns[name]] > 0, skips, temperature)
    for name, skips in sorted(creators.items(), key=lambda one: (one[1], one[0])):
        lower(scores, own_creators == name, skips, temperature)
    return scores


def lower(scores: np.ndarray, named: np.ndarray, skips: float, temperature: float) -> None:
    """Lower the scores of some items in place, so that the part of their share of the draw is left that fits the skips.

    Args:
        scores: `[n]`.
        named: which items, bool `[n]`.
        skips: that they stand at.
        temperature: of the draw.
    """
    open_ = np.isfinite(scores)
    if not (named & open_).any() or skips <= 0:
        return
    mass = np.where(open_, np.exp((scores.astype(np.float64) - scores[open_].max()) / temperature), 0.0)
    share = mass[named].sum() / mass.sum()  # 0 if the best of them stands far below the others
    kept = skips**2 / 2 * np.log(LEFT)  # the logarithm of the part that is left
    others = max(1 - share, np.exp(-MOST) * share)  # if nothing else is left, the list stays as it is
    then = max(1 - share * np.exp(kept), others)  # what the others have afterwards: never less, however faint the skip
    scores[named] -= temperature * min(np.log(then / others) - kept, MOST)
