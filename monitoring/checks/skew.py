"""The check that pages were served with the features that training joins to the same requests.

Each request is compared with itself, so without a fault nothing differs and no limit needs calibration. The limit
leaves room for requests that came while an interaction was on its way to the online store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.checks.rules import RULES
from monitoring.report import Check
from segue.verdict import Verdict

Values = Mapping[str, Any]  # by feature: a number, a text or a list of them; a feature that is unknown is not in it

NAME = "skew"
LIMIT = 0.05  # of the share of requests, and of the distance
LEAST_REQUESTS = 3  # in which a feature differs; fewer are none
SAID = 5  # features in the sentence


@dataclass(frozen=True)
class Difference:
    """How far a feature as served is from the join.

    Args:
        requests: Number of requests in which it differs.
        share: The same as a share of all requests.
        distance: Jensen-Shannon divergence of its values by TFDV, 0 to 1; 0 too where one side has no values.
    """

    requests: int
    share: float
    distance: float

    @property
    def size(self) -> float:
        """The larger of share and distance, which the limit is for; 0 for fewer than `LEAST_REQUESTS` requests."""
        return max(self.share, self.distance) if self.requests >= LEAST_REQUESTS else 0.0


def skew(served: Sequence[Values], joined: Sequence[Values]) -> Check:
    """Return the check of some requests.

    Args:
        served: What each request was served with, at least one.
        joined: What training joins to the same requests, in the same order.
    """
    found = differences(served, joined)
    names = sorted(found, key=lambda name: (-found[name].size, -found[name].distance, name))
    failed = [name for name in names if found[name].size > LIMIT]
    effect = found[names[0]].size if names else 0.0
    figures = {name: {"different": found[name].share, "distance": found[name].distance} for name in names}
    verdict = Verdict(
        passed=not failed,
        reason=sentence(len(served), found, names, failed),
        figures={"requests": len(served), "features": figures, "failed_levels": failed},
        limits={"change": LIMIT},
    )
    rule = RULES[NAME]
    return Check(NAME, rule.kind, rule.response, verdict, effect, LIMIT)


def differences(served: Sequence[Values], joined: Sequence[Values]) -> dict[str, Difference]:
    """Return how far each feature that differs in any request is from the join."""
    every = sorted({name for values in (*served, *joined) for name in values})
    counts = {name: sum(a.get(name) != b.get(name) for a, b in zip(served, joined, strict=True)) for name in every}
    counts = {name: count for name, count in counts.items() if count}
    distance = distances(served, joined, list(counts)) if counts else {}  # equal values have none
    return {name: Difference(count, count / len(served), distance.get(name, 0.0)) for name, count in counts.items()}


def distances(served: Sequence[Values], joined: Sequence[Values], names: Sequence[str]) -> dict[str, float]:
    """Return the skew of features as TFDV measures it: the Jensen-Shannon divergence of their values.

    A feature without values on one side, or of another type there, has no distance.
    """
    import pandas as pd
    import tensorflow_data_validation as tfdv  # its import takes many seconds

    serving, training = (
        tfdv.generate_statistics_from_dataframe(
            pd.DataFrame({name: pd.Series([values.get(name) for values in side], dtype=object) for name in names})
        )
        for side in (served, joined)
    )
    schema = tfdv.infer_schema(training, infer_feature_shape=False)
    for feature in schema.feature:
        feature.skew_comparator.jensen_shannon_divergence.threshold = LIMIT
    compared = tfdv.validate_statistics(training, schema, serving_statistics=serving)
    return {
        ".".join(info.path.step): round(measured.value, 4)
        for info in compared.drift_skew_info
        for measured in info.skew_measurements
    }


def sentence(requests: int, found: Mapping[str, Difference], names: Sequence[str], failed: Sequence[str]) -> str:
    """Return what differs, the largest first, and the limit in a sentence or two."""
    if not names:
        return f"All {requests:,} requests were served with the features that training joins to them."
    first, *others = [*names[:1], *failed[1:]]
    told = found[first]
    said = (
        f"{first} differs from the join of training in {told.share:.1%} of {requests:,} requests, at a distance of "
        f"{told.distance:.2f}; the limit is {LIMIT:.1%} and {LIMIT:g}."
    )
    if not others:
        return said
    listed = [f"{name} ({found[name].share:.1%}, {found[name].distance:.2f})" for name in others[: SAID - 1]]
    more = [f"{len(others) - len(listed)} more"] if len(others) > len(listed) else []
    return f"{said} So {'does' if len(others) == 1 else 'do'} {', '.join([*listed, *more])}."
