"""The rules of the journal's records."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from events import schema
from events.values.reading import MISSING
from segue.errors import InputError

LONGEST_ID = 256  # characters
NO_IDS = frozenset(MISSING)


def check_page(page: Any, items: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a page that breaks a rule of `Exposure`.

    Args:
        page: Any of its exposures, which has what all share.
        items: The columns of the other fields.
    """
    check_ids(page, "request_id", "user_id", "policy")
    check_time(page.ts)
    if page.surface not in schema.SURFACES:
        refuse("surface", f"is one of {', '.join(schema.SURFACES)}", page.surface)
    for item_id in items["item_id"]:
        check_id("item_id", item_id)
    for name in ("row", "column", "position"):
        if not 1 <= min(items[name]) <= max(items[name]) < 2**31:
            refuse(name, "counts from 1", items[name])
    if len(set(items["position"])) < len(items["position"]):
        refuse("position", "holds one item of a page", items["position"])
    for name, chances in (("propensity", items["propensity"]), ("layout_propensity", (page.layout_propensity,))):
        if not all(0 < chance <= 1 for chance in chances):
            refuse(name, "is a probability above 0", chances)
    least = min(items["propensity"]) * page.layout_propensity
    if not least > 0:
        refuse("propensity * layout_propensity", "is above 0", least)
    fallback = f"{schema.FALLBACK}{page.fallback}"
    if page.fallback and (page.policy, least) != (fallback, 1.0):
        refuse("policy", f"of level {page.fallback} is {fallback} with propensity 1", (page.policy, least))
    if not page.fallback and page.policy.startswith(schema.FALLBACK):
        refuse("policy", f"begins with {schema.FALLBACK} where fallback is above 0 alone", page.policy)


def check_ids(record: Any, *required: str) -> None:
    """Refuse ids that an import would change or refuse; a session is optional, and a dislike has none."""
    for name in required:
        check_id(name, getattr(record, name))
    if (session_id := getattr(record, "session_id", None)) is not None:
        check_id("session_id", session_id)


def check_id(name: str, value: Any) -> None:
    """Refuse an id that an import would change or refuse."""
    plain = isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()
    if not plain or value != value.strip() or value in NO_IDS:
        refuse(
            name,
            f"is printable text of 1 to {LONGEST_ID} characters, without spaces around it, "
            f"and none of {', '.join(MISSING)}",
            value,
        )


def check_time(ts: datetime, name: str = "ts") -> None:
    """Refuse a time without a zone, and a time before `schema.EARLIEST`."""
    if ts.tzinfo is None or ts < schema.EARLIEST:
        refuse(name, f"has a zone and is {schema.EARLIEST:%Y-%m-%d} or later", ts)


def refuse(name: str, rule: str, value: Any) -> NoReturn:
    """Raise InputError about a field."""
    raise InputError(f"{name} {rule}. Received {value!r:.200}.", f"Correct {name} where the record is made.")
