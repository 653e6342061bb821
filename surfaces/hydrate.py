"""Stage 1, hydrate: a request gets the features that the models take as inputs.

This is the only module of the room that reads the online store.
"""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from segue.errors import InputError, UnavailableError
from segue.settings import Home
from surfaces.request import Request

if TYPE_CHECKING:
    from feature_repo.online import Listener

REOPEN_SECONDS = 1.0  # between two attempts to open a store that failed

# Feature name -> value, None where it is not known. Histories are lists with the newest entry first, as in the models.
Features = dict[str, Any]


OF_THE_REQUEST = ("surface", "request_ts", "content_types", "market")  # the others are of the listener and session


class UnknownListenerError(InputError):
    """The online store holds nothing about a listener, and the request does not say that the listener is new."""


class OnlineFeatures:
    """The features of listeners and sessions in the online store of a home.

    Feast is imported when the store is opened: it takes seconds, which the other stages need not wait for.
    """

    def __init__(self, home: Home) -> None:
        """Open the online store of `home`.

        Raises:
            InputError: No run has filled it.
        """
        from feature_repo.feast_store import open_store
        from feature_repo.online import state

        state(home)
        self._home = home
        self._store = open_store(home)

    def read(self, user_id: str) -> "Listener":
        """Everything that the online store holds about a listener, in one call."""
        from feature_repo.online import listener

        return listener(self._store, user_id)

    def newest(self, listeners: "Iterable[Listener]") -> datetime:
        """The instant of the newest event: the end of the log, or a later push of one of these listeners."""
        from feature_repo import online

        log_end = datetime.fromisoformat(online.state(self._home)["last_event"]).astimezone(UTC)
        return max([log_end, *(listener.newest for listener in listeners)])

    def hydrate(self, request: Request, listener: "Listener | None" = None) -> Features:
        """The features of the request's listener and session, and the request's own: time, surface and filters.

        Args:
            request: the request.
            listener: what `read` returned for its listener; None reads it.

        Raises:
            UnknownListenerError: the online store does not know the listener, and the request does not say that the
                listener is new.
        """
        from feature_repo import online

        if request.picks is None:
            read = listener or self.read(request.user_id)
            try:
                features = newest_first(read.features_at(request.at))
            except InputError as error:
                raise UnknownListenerError(error.headline, error.fix) from None
        else:
            features = cold_start(request.picks, request.timestamp)
        return with_request(features | online.session_state(self._store, request.session_id), request)


class Hydrator:
    """The features of requests for an event loop: read on a thread of its own, because the store's drivers wait.

    A store that failed is opened anew, at most once a second: opening takes long, and requests wait for the one thread.
    Until then requests fail at once.

    Args:
        home: the home whose online store is read.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._features: OnlineFeatures | None = None
        self._open_from = 0.0  # of `time.monotonic`
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segue-features")

    def open(self) -> OnlineFeatures:
        """The open store.

        Raises:
            InputError: as `OnlineFeatures`.
            UnavailableError: the store does not answer, or was opened less than a second ago and has failed since.
        """
        if self._features is None:
            if time.monotonic() < self._open_from:
                raise UnavailableError(
                    f"A store that failed is opened anew after {REOPEN_SECONDS:g} s.", "Check the online store."
                )
            self._open_from = time.monotonic() + REOPEN_SECONDS
            self._features = OnlineFeatures(self._home)
        return self._features

    async def __call__(self, request: Request) -> Features:
        """The features of a request; errors as in `OnlineFeatures`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, request)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _read(self, request: Request) -> Features:
        try:
            return self.open().hydrate(request)
        except UnknownListenerError:
            raise
        except Exception:
            self._features = None
            raise


def with_request(features: Features, request: Request) -> Features:
    """Features of a listener with those of the request: its time, its surface and its filters."""
    return {
        **features,
        "surface": request.surface,
        "request_ts": request.timestamp,
        "content_types": list(request.content_types) or None,
        "market": request.market or None,
    }


def as_text(features: Features) -> str:
    """A listener's and a session's features as a JSON object in the order of their names; unknown ones are left out.

    The journal keeps it, so that a later join can be held against what the models were given.
    """
    values = {name: value for name, value in features.items() if name not in OF_THE_REQUEST and value not in (None, [])}
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def fingerprint(text: str) -> str:
    """16 hexadecimal digits of the SHA-256 of features (`as_text`); empty for none."""
    return text and hashlib.sha256(text.encode()).hexdigest()[:16]


def newest_first(features: Features) -> Features:
    """Features with their histories turned round: the online store appends, so it keeps the oldest entry first."""
    return {name: value[::-1] if name.startswith("history_") and value else value for name, value in features.items()}


def cold_start(picks: Sequence[str], request_ts: int) -> Features:
    """Features of a new listener: each item picked at sign-up counts as liked at the instant of the request.

    Args:
        picks: item ids in the order of the choice; may be empty.
        request_ts: seconds since 1970 UTC.
    """
    return {
        "history_items": list(reversed(picks)),
        "history_actions": ["like"] * len(picks),
        "history_times": [request_ts] * len(picks),
    }
