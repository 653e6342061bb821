"""Count the interactions of a log that cannot be joined to an impression, and so give no labels."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.bulk.database import bounded_database
from segue.errors import InputError

UNUSED = """
    select count(*)
    from (select * from events where list_contains($interactions, action)) interactions
    anti join (select * from events where action = $impression) impressions using (user_id, item_id, request_id)
"""


@dataclass(frozen=True)
class Unjoined:
    """How much of a log cannot be joined.

    Args:
        impressions: Impressions of the log.
        without_request: Those of them without `request_id`.
        interactions: Interactions of the log.
        unused: Those of them that belong to no impression.
    """

    impressions: int
    without_request: int
    interactions: int
    unused: int


def count(events: pa.Table) -> Unjoined:
    """Count what cannot be joined: an interaction and its impression share `user_id`, `item_id` and `request_id`."""
    shown = pc.equal(events["action"], schema.IMPRESSION)
    impressions = pc.sum(shown).as_py() or 0
    interactions = pc.sum(pc.is_in(events["action"], pa.array(schema.INTERACTIONS))).as_py() or 0
    without_request = unused = 0
    if impressions:
        without_request = pc.sum(pc.and_(shown, pc.is_null(events["request_id"]))).as_py()
        values = {"interactions": list(schema.INTERACTIONS), "impression": schema.IMPRESSION}
        with bounded_database() as connection:
            connection.register("events", events.select(["user_id", "item_id", "request_id", "action"]))
            ((unused,),) = connection.execute(UNUSED, values).fetchall()
    return Unjoined(impressions, without_request, interactions, unused)


def sentence(unjoined: Unjoined) -> str:
    """Say what cannot be joined and what follows from it; nothing if everything can be joined."""
    parts = []
    if unjoined.without_request:
        parts.append(
            f"{unjoined.without_request:,} of {unjoined.impressions:,} impressions have no request_id and cannot be "
            "joined to what followed"
        )
    if unjoined.unused:
        parts.append(
            f"{unjoined.unused:,} of {unjoined.interactions:,} interactions belong to no impression and are not used "
            "as labels"
        )
    return "; ".join(parts)


def with_cause(headline: str, fix: str, events: pa.Table) -> InputError:
    """Return an error about missing labels; if a log's impressions cannot be joined, it says so and how to mend it."""
    unjoined = sentence(count(events))
    if not unjoined:
        return InputError(headline, fix)
    return InputError(
        f"{headline} {unjoined[0].upper()}{unjoined[1:]}.",
        "Give each impression, and each interaction that followed it, the same `request_id`, or import the "
        "interactions alone.",
    )
