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
    mass = np.exp(logits - logits[open_].max(initial=-np.inf)) if len(open_) else logits
    # What is left before each place, summed from the end, so that no difference of nearly equal sums loses its digits.
    rest = mass[np.setdiff1d(open_, drawn)].sum()
    left = rest + np.cumsum(mass[drawn][::-1])[::-1]
    return drawn, mass[drawn] / left
