"""Always-valid intervals: they hold at all looks together, however many there are and whenever one stops.

The mixture sequential probability ratio test (Robbins 1970; Johari, Pekelis and Walsh 2015, "Always Valid Inference")
has a normal mixture over effects. Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit
theory and asymptotic confidence sequences", show that the same interval holds for means of any distribution as units
grow.
"""

import math


def critical(units: int, alpha: float, tuned: int) -> float:
    """Return how many standard errors wide the interval is on both sides.

    With a = units * rho^2 it is sqrt(2 (a + 1) / a * log(sqrt(a + 1) / alpha)): Waudby-Smith et al., theorem 2.2.

    Args:
        units: Units so far, in both arms.
        alpha: Risk that the interval misses the effect at any look.
        tuned: Units at which the interval is narrowest.
    """
    a = mixture(units, alpha, tuned)
    return math.sqrt(2 * (a + 1) / a * math.log(math.sqrt(a + 1) / alpha))


def p_value(z: float, units: int, alpha: float, tuned: int) -> float:
    """Return the p-value of the mixture test at a look: the alpha at which the interval would just touch 0.

    The smallest p-value of all looks so far is valid at each look.
    """
    a = mixture(units, alpha, tuned)
    return min(1.0, math.sqrt(a + 1) * math.exp(-(z**2) * a / (2 * (a + 1))))


def mixture(units: int, alpha: float, tuned: int) -> float:
    """Return a = units * rho^2, with the rho that makes the interval narrowest at `tuned` units (appendix B.2)."""
    return units * (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned
