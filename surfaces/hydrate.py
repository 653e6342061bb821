"""Stage 1, hydrate: a request gets the features that the models take as inputs.

This is the only module of the room that reads the online store.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from segue.errors import InputError
from segue.settings import Home
from surfaces.request import Request

# Feature name -> value, None where it is not known. Histories are lists with the newest entry first, as in the models.
Features = dict[str, Any]


class OnlineFeatures:
    """The features of listeners and sessions in the online store of a home.

    Feast is imported when the store is opened: it takes seconds, which the other stages need not wait for.
    """

    def __init__(self, home: Home) -> None:
        from feature_repo.feast_store import open_store

        self._home = home
        self._store = open_store(home)

    def hydrate(self, request: Request, at: datetime) -> Features:
        """The features of a request at an instant; see `hydrate_all`."""
        _, (features,) = self.hydrate_all([request], at)
        return features

    def hydrate_all(self, requests: Sequence[Request], at: datetime | None) -> tuple[datetime, list[Features]]:
        """The features of requests that are made at one instant.

        Args:
            requests: for each, the features of the listener and the session are read, and the surface and the filters
                are added.
            at: the instant, with its time zone; events after it are left out. None for the instant of the newest event
                in the online store: the end of the log, or a later push of one of these listeners.

        Returns:
            The instant, and the features of each request.

        Raises:
            InputError: the instant has no time zone, the online store is empty, or it does not know a listener whom the
                request does not call new.
        """
        from feature_repo import online

        if at is None:
            log_end = datetime.fromisoformat(online.state(self._home)["last_event"]).astimezone(UTC)
            at = max(log_end, *(online.newest(self._store, request.user_id) for request in requests))
        if at.tzinfo is None:
            raise InputError(f"The instant of a request has a time zone. Received {at}.", "Give it in UTC.")
        hydrated = []
        for request in requests:
            if request.picks is None:
                listener = newest_first(online.user_state(self._store, request.user_id, at))
            else:
                listener = cold_start(request.picks, at)
            session = online.session_state(self._store, request.session_id)
            hydrated.append({**listener, **session, **request_features(request, at)})
        return at, hydrated


def request_features(request: Request, at: datetime) -> Features:
    """The features that a request brings itself: its time, surface and filters."""
    return {
        "request_ts": int(at.timestamp()),
        "surface": request.surface,
        "content_types": list(request.content_types) or None,
        "market": request.market or None,
    }


def newest_first(features: Features) -> Features:
    """Features with their histories turned round: the online store appends, so it keeps the oldest entry first."""
    return {name: value[::-1] if name.startswith("history_") and value else value for name, value in features.items()}


def cold_start(picks: Sequence[str], at: datetime) -> Features:
    """Features of a new listener: each item picked at sign-up counts as liked at the instant of the request.

    Args:
        picks: item ids in the order of the choice; may be empty.
        at: the instant of the request.
    """
    return {
        "history_items": list(reversed(picks)),
        "history_actions": ["like"] * len(picks),
        "history_times": [int(at.timestamp())] * len(picks),
    }
