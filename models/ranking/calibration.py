"""Recalibration: a head's logits so that its probabilities come true, in the same order as before."""

import numpy as np

FEWEST = 100  # labels of either kind below which two scalars are not to be trusted
STEPS = 50
IDENTITY = (1.0, 0.0)


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make `sigmoid(slope * logit + offset)` most likely.

    Platt 1999, with his smoothed targets, by Newton's method; the slope alone is the temperature scaling
    of Guo et al., ICML 2017. Fitted on examples that the model was not trained on.

    Args:
        logits: of a trained head, `[n]`.
        labels: 0 or 1, `[n]`.

    Returns:
        The slope, above 0, and the offset. `IDENTITY` with fewer than 100 labels of either kind, with
        logits that do not vary, and where the likeliest slope would turn the order around.
    """
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < FEWEST or np.ptp(logits) == 0:
        return IDENTITY
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([logits.astype(np.float64), np.ones(len(logits))], axis=1)  # [n, 2]
    found = np.array(IDENTITY)
    for _ in range(STEPS):
        chance = sigmoid(design @ found)
        gradient = design.T @ (chance - target)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        while deviance(design @ (found - step), target) > deviance(design @ found, target) + 1e-9:
            step = step / 2  # a full step may overshoot where the curve is flat
        found = found - step
        if np.abs(step).max() < 1e-8:
            break
    slope, offset = (float(value) for value in found)
    return (slope, offset) if slope > 0 else IDENTITY


def deviance(logits: np.ndarray, target: np.ndarray) -> float:
    """Cross-entropy of probabilities against targets within 0 and 1, in nats, summed."""
    return float(np.sum(np.logaddexp(0, logits) - target * logits))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of a logit, without overflow."""
    return np.exp(-np.logaddexp(0, -logits))
