"""The rules of the checks: what each measures, which changes count, and what a failure points to and asks for."""

from dataclasses import dataclass
from typing import Literal

from monitoring.report import Kind, Response

Direction = Literal["up", "down", "both", "away"]


@dataclass(frozen=True)
class Rule:
    """What a check is about.

    Args:
        kind, response: As in `Check`.
        measure: What it measures, for the sentence; `{level}` is the level.
        direction: The changes that count. `away` are those away from 0 of a mean that may be negative.
        cause: What it points to, if it fails.
        rare: Whether its events are few on a usual day.
        count: Whether it is a number a day, and not a share.
    """

    kind: Kind
    response: Response
    measure: str
    direction: Direction = "both"
    cause: str = ""
    rare: bool = False
    count: bool = False


OUTAGE, BEHAVIOUR, CATALOGUE, GENRE = "outage", "behaviour", "catalogue", "genre"
RULES = {
    "volume": Rule("guardrail", "alert", "the number of {level} a day", "down", OUTAGE, count=True),
    "feedback": Rule("guardrail", "alert", "plays and skips per impression on {level}", "down", OUTAGE),
    "nulls": Rule("guardrail", "alert", "the share of events without {level}", "up", OUTAGE, rare=True),
    "freshness": Rule("guardrail", "alert", "the age of the newest event", "up", OUTAGE),
    "fallback": Rule("guardrail", "alert", "the share of impressions on fallback pages", "up", OUTAGE, rare=True),
    "late": Rule("guardrail", "alert", "the share of feedback that came over an hour late", "up", OUTAGE, rare=True),
    "skew": Rule("skew", "alert", "the share of requests whose {level} differs from the join of training", "up"),
    "skip_rate": Rule("cause", "retrain", "the share of skips among plays and skips", cause=BEHAVIOUR),
    "listened": Rule("cause", "retrain", "the share of an item that a play lasts", cause=BEHAVIOUR),
    "plays_by_surface": Rule("cause", "retrain", "the share of {level} among plays", cause=BEHAVIOUR),
    "plays_by_type": Rule("cause", "retrain", "the share of {level} among plays", cause=CATALOGUE),
    "catalogue_growth": Rule("cause", "retrain", "the number of new items", "up", CATALOGUE),
    "new_items": Rule("cause", "retrain", "the share of new items among items {level}", cause=CATALOGUE),
    "plays_by_genre": Rule("cause", "retrain", "the share of {level} among plays", cause=GENRE),
    "play_rate_by_genre": Rule("cause", "retrain", "the share of plays among plays and skips of {level}", cause=GENRE),
    "features": Rule("drift", "retrain", "the share of {level} among impressions"),
    "predictions": Rule("drift", "retrain", "the share of {level} among impressions"),
    "embeddings": Rule("drift", "retrain", "the share of items like {level} among plays"),
    "auc": Rule("quality", "retrain", "the AUC within pages on {level}", "down"),
    "ndcg": Rule("quality", "retrain", "the NDCG within pages on {level}", "down"),
    "calibration": Rule("quality", "retrain", "plays minus predicted plays on {level}", "away"),
}
RARE = frozenset(name for name, rule in RULES.items() if rule.rare)
SIGNED = frozenset(name for name, rule in RULES.items() if rule.direction == "away")
