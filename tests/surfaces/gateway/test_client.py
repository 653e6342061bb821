"""The typed client: batches that the gateway takes."""

from surfaces.gateway import api
from surfaces.gateway.client import batches
from surfaces.gateway.limits import BODY_BYTES
from tests.surfaces.conftest import NOW


def events(count, letters=1):
    """Events with an item id of so many letters."""
    return [
        api.Event(event_id=f"e{n}", request_id="r1", user_id="u1", item_id="é" * letters, action="play", ts=NOW)
        for n in range(count)
    ]


def test_events_are_split_by_number_and_by_bytes():
    assert [len(batch.events) for batch in batches(events(501))] == [500, 1]
    for letters in (1, 100, 256):
        given = events(700, letters)
        split = list(batches(given))
        assert [event for batch in split for event in batch.events] == given
        sizes = [len(batch.model_dump_json(exclude_none=True).encode()) for batch in split]
        assert max(sizes) <= BODY_BYTES
        full = [len(batch.events) == 500 or size > BODY_BYTES - 1000 for size, batch in zip(sizes, split, strict=True)]
        assert all(full[:-1])
