"""Skip reaction: a graded penalty on the genres and creators that this session skips."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from events import schema
from surfaces.catalogue import Catalogue
from surfaces.now_playing.state import SessionState

# Measured on 200 sessions of the demo world: see docs/now-playing.md.
GENRE, CREATOR = 0.8, 0.8  # an item's offset for one skip of its genre, of its creator
MOST = 8.0  # the largest penalty of an item
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


def penalties(state: SessionState, catalogue: Catalogue, rows: np.ndarray) -> np.ndarray:
    """Offsets of the scores of some items, float32 `[n]`, from 0 down to `-MOST`.

    Args:
        state: of the session.
        catalogue: the items.
        rows: rows of the catalogue, int32 `[n]`.
    """
    genres, creators = evidence(state, catalogue)
    by_genre = np.array([genres.get(name, 0.0) for name in catalogue.genre_names], np.float32)
    of_genres = (catalogue.genre_vectors[rows] > 0) @ by_genre
    of_creators = np.array([creators.get(name, 0.0) for name in catalogue.creator_ids[rows].tolist()], np.float32)
    return -np.minimum(GENRE * of_genres + CREATOR * of_creators, MOST)
