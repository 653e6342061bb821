"""Alerts to a person: the first decision of each hold, and of each call, to a webhook."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from monitoring.retraining import Decision
from segue.errors import InputError, UnavailableError

ALERTING = ("hold", "call a person")
SECONDS = 5.0  # to connect, and to wait for the answer
REFUSED = 300  # from this HTTP status on; a redirect is not followed, because it could lead to another host


def alerting(history: Sequence[Decision]) -> list[int]:
    """Return the places in a history of the decisions that a person hears of.

    A hold or a call goes on over many windows. Only its first decision alerts, until the cause changes.
    """
    starts = (
        place
        for place, (before, now) in enumerate(pairwise((None, *history)))
        if now and (before is None or (before.action, before.cause) != (now.action, now.cause))
    )
    return [place for place in starts if history[place].action in ALERTING]


def body(decision: Decision) -> dict[str, Any]:
    """Return an alert as JSON types. Slack, Mattermost and others show `text`."""
    return {"text": f"Segue, {decision.action}: {decision.reason}"} | decision.to_dict()


def send(address: str, decision: Decision) -> None:
    """Send an alert to a webhook. Errors name its host alone, because the path of an address is often a secret.

    Raises:
        InputError: The address is none of HTTP, or the webhook refuses the alert.
        UnavailableError: It does not answer in 5 s, or says that it will answer later.
    """
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs the whole address of each call
    try:
        url = httpx.URL(address)
        host = url.host
    except (httpx.InvalidURL, ValueError):  # for example a port that is no number
        url, host = httpx.URL(), ""
    if url.scheme not in ("http", "https") or not host:
        raise InputError(
            "A webhook is an address such as https://hooks.example.com/TOKEN. Received another form.",
            "Correct SEGUE_ALERTS_WEBHOOK, or the file that SEGUE_ALERTS_WEBHOOK_FILE names.",
        )
    try:
        status = httpx.post(url, json=body(decision), timeout=SECONDS, follow_redirects=False).status_code
    except (httpx.HTTPError, UnicodeError) as error:  # no DNS takes a name with an empty part, such as a..b
        raise UnavailableError(
            f"The webhook at {host} must answer within {SECONDS:g} s. {type(error).__name__}.",
            "The next `segue monitor` sends the alert again.",
        ) from None
    if status >= 500 or status == 429:
        raise UnavailableError(
            f"The webhook at {host} answered with {status}.", "The next `segue monitor` sends the alert again."
        )
    if status >= REFUSED:
        raise InputError(
            f"The webhook at {host} takes JSON by POST. It answered with {status}.",
            "Correct SEGUE_ALERTS_WEBHOOK; the next `segue monitor` sends the alert again.",
        )
