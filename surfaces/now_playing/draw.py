"""Sampled places with exact propensities: a Plackett-Luce draw."""

import numpy as np

# Measured on held-out sessions of the demo world: see docs/now-playing.md.
TEMPERATURE = 0.2


def draw(scores: np.ndarray, k: int, seed: int, temperature: float = TEMPERATURE) -> tuple[np.ndarray, np.ndarray]:
    """Draw an ordered list without repeats; each place from the softmax of what is left (Plackett, 1975; Luce, 1959).

    The order of scores with Gumbel noise is such a draw (Yellott, 1977). The sequence model's own `generate` draws in
    the same way but does not tell the probabilities, so it cannot log them.

    Args:
        scores: float `[n]`; minus infinity is never drawn.
        k: places.
        seed: of the noise; the same seed and scores give the same list.
        temperature: of the softmax; a low one keeps closer to the order of the scores.

    Returns:
        The drawn indices, int64 `[min(k, n)]`, and the propensity of each at its place given the items before it.
    """
    logits = np.asarray(scores, np.float64) / temperature
    open_ = np.flatnonzero(np.isfinite(logits))
    noise = np.random.Generator(np.random.PCG64(seed)).gumbel(size=len(logits))
    drawn = open_[np.argsort(-(logits + noise)[open_], kind="stable")][:k]
    # The mass that is left before each place, summed from the end, so that no difference of nearly equal sums loses its
    # digits; in logarithms, because far below the best score the mass itself is 0.
    rest = np.logaddexp.reduce(logits[np.setdiff1d(open_, drawn)])
    left = np.logaddexp.accumulate(np.append(rest, logits[drawn][::-1]))[:0:-1]
    return drawn, np.exp(logits[drawn] - left)
