"""Pages and feedback for the tests of the journal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.journal.records import Exposure, Feedback

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def exposure(request: str, position: int) -> Exposure:
    """Return the exposure of the item `i<position>` to the listener `u0`, five items in a row of the page."""
    row, column = divmod(position - 1, 5)
    return Exposure(
        request_id=request,
        user_id="u0",
        session_id="s0",
        ts=NOON,
        surface="home",
        shelf=f"shelf-{row + 1}",
        row=row + 1,
        column=column + 1,
        position=position,
        item_id=f"i{position}",
        policy="layout",
        policy_version="7",
        model_versions={"ranking": 3},
        propensity=0.5,
        layout_propensity=0.25,
        scores={"ranking": 1.5},
        sources=("retrieval", "popular"),
    )


@pytest.fixture(scope="session")
def page() -> Callable[..., list[Exposure]]:
    """`page("r1")`: ten exposures in two rows, decided at noon of 2026-01-05 for `u0`."""

    def build(request: str, items: int = 10, **values: Any) -> list[Exposure]:
        return [exposure(request, position)._replace(**values) for position in range(1, items + 1)]

    return build


@pytest.fixture(scope="session")
def feedback() -> Callable[..., Feedback]:
    """`feedback("e1", "r1", "i3")`: a play of 40 s by `u0`, a minute after noon."""

    def build(event: str, request: str, item: str, action: str = "play", **values: Any) -> Feedback:
        defaults: dict[str, Any] = {
            "user_id": "u0",
            "session_id": "s0",
            "ms_played": 40_000 if action == "play" else None,
            "ts": NOON + timedelta(minutes=1),
        }
        return Feedback(event_id=event, request_id=request, item_id=item, action=action, **{**defaults, **values})

    return build
