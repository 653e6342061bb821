"""What the gateway has answered since it started, in figures for a person. `/metrics` has the same for Prometheus."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from serving.server.metrics import Histogram
from surfaces.gateway.gateway import Gateway

OWN = ("/v1/operator", "/v1/player")  # endpoints of the pages, which are no traffic of listeners


def traffic(gateway: Gateway) -> dict[str, Any]:
    """Return the gateway's figures as JSON types.

    Returns:
        `down`, what does not answer; `models`, the versions in use; `pages`, the number decided; `fallbacks`, the share
        of them that some stage did not take its normal part in, None without a page; `levels`, the pages by surface and
        level of degradation; `endpoints` and `stages` with `count`, `p50_ms` and `p95_ms`, and for a stage how often it
        ended `ok`, `off`, `late` and `failed`; `journal_backlog` and `online_backlog`, records that wait; `exposures`,
        pages by what became of their record.
    """
    metrics, state = gateway.metrics, gateway.state()
    levels: dict[str, dict[str, float]] = defaultdict(dict)
    for (surface, level), count in metrics.levels.samples():
        levels[surface][level] = count
    outcomes: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for (surface, stage, outcome), count in metrics.stages.samples():
        outcomes[surface, stage][outcome] = count
    readings = {reading.name: reading.read() for reading in metrics.readings}
    pages = sum(sum(counts.values()) for counts in levels.values())
    whole = sum(counts.get("0", 0) for counts in levels.values())
    return {
        "down": state.down,
        "models": state.models,
        "pages": pages,
        "fallbacks": 1 - whole / pages if pages else None,
        "levels": levels,
        "endpoints": [
            {"endpoint": labels[0], **times}
            for labels, times in latencies(metrics.latency)
            if labels[0].startswith("/v1/") and not labels[0].startswith(OWN)
        ],
        "stages": [
            {"surface": surface, "stage": stage, **times, "outcomes": outcomes[surface, stage]}
            for (surface, stage), times in latencies(metrics.stage_seconds)
        ],
        "journal_backlog": readings["segue_gateway_journal_backlog"],
        "online_backlog": readings["segue_gateway_online_backlog"],
        "exposures": {outcome: count for (_, outcome), count in metrics.effects.samples()},
    }


def latencies(histogram: Histogram) -> list[tuple[tuple[str, ...], dict[str, float]]]:
    """Return the label values of a histogram of seconds, with `count`, `p50_ms` and `p95_ms`."""
    return [
        (
            values,
            {"count": sum(counts)} | {f"p{q}_ms": 1000 * quantile(histogram.bounds, counts, q / 100) for q in (50, 95)},
        )
        for values, counts, _ in histogram.samples()
    ]


def quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float:
    """Return an estimate of a quantile from a histogram's buckets, linear within a bucket.

    It is `histogram_quantile` of Prometheus: beyond the last bound the answer is the last bound.

    Args:
        bounds: the upper bounds of the buckets, ascending.
        counts: of each bucket, and of the one beyond the last bound; at least one is not 0.
        q: from 0 to 1.
    """
    rank = q * sum(counts)
    for bucket, below in enumerate(accumulate(counts)):
        if below >= rank and counts[bucket]:
            if bucket == len(bounds):
                break
            low = bounds[bucket - 1] if bucket else 0.0
            return low + (bounds[bucket] - low) * (rank - (below - counts[bucket])) / counts[bucket]
    return bounds[-1]
