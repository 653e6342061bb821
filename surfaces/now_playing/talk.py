"""Talk content where it fits the moment: each content type gets nearer to its share at this hour.

The sequence model follows the session; it learned little of when a listener hears what. So the target is the mix that
fits the listener and the hour (`surfaces.home.calibration.content_mix`), and each type's offset is
`TOWARDS * log(target / share in the model's own draw)`. With `TOWARDS` 1 the draw would have the target's mix (Steck,
RecSys 2018, calibrates lists; here it is the distribution that is drawn from).
"""

from collections.abc import Mapping

import numpy as np

# Measured on held-out sessions of the demo world: see docs/now-playing.md.
TOWARDS = 0.1
MOST = 2.0  # the largest offset
LEAST_SHARE = 0.01  # of a type, so that one which a listener never played is not shut out


def offsets(scores: np.ndarray, types: np.ndarray, mix: Mapping[str, float]) -> np.ndarray:
    """Offsets of the scores that bring the content types nearer to a mix, float32 `[n]`.

    Args:
        scores: the model's scores with all other offsets, `[n]`.
        types: the content type of each item, str `[n]`; '' gets no offset.
        mix: content type -> share that fits the moment; empty for no offsets.
    """
    added = np.zeros(len(scores), np.float32)
    finite = np.isfinite(scores)
    if not mix or not finite.any():
        return added
    mass = np.where(finite, np.exp(scores - scores[finite].max()), 0.0)
    for name in set(types.tolist()) - {""}:
        own = types == name
        share = mass[own].sum() / mass.sum()
        if share > 0:
            target = max(mix.get(name, 0.0), LEAST_SHARE)
            added[own] = np.clip(TOWARDS * np.log(target / share), -MOST, MOST)
    return added
