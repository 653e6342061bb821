"""What the gateway's endpoints take and answer."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from events.journal.rules import check_id
from segue.errors import InputError

MOST_ITEMS = 100
MOST_EVENTS = 500
MOST_PICKS = 100


def for_the_journal(value: str) -> str:
    """Refuse an id that the journal refuses: nothing that was shown for it would be kept."""
    try:
        check_id("an id", value)
    except InputError as error:
        raise ValueError(error.headline) from None
    return value


# The characters beyond ASCII that an id may have, as ranges of a regular expression: all but surrogates and the area
# for private use. `for_the_journal` refuses those among them that are not printable.
BEYOND_ASCII = "¡-\ud7ff\uf900-\ufffd\U00010000-\U0003fffd"

# Ids are printable text without spaces around it, as in the data contract.
Id = Annotated[
    str,
    Field(min_length=1, max_length=256, pattern=rf"^[!-~{BEYOND_ASCII}]([ -~{BEYOND_ASCII}]*[!-~{BEYOND_ASCII}])?$"),
    AfterValidator(for_the_journal),
]


def as_text(value: object) -> object:
    """Refuse numbers as times, also as text: pydantic would read them as seconds or milliseconds, as it thinks fit."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and "-" in value[1:]):  # 2026-01-31, not -5
        raise ValueError("a time is text in ISO 8601 with a time zone")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(as_text), Field(strict=False)]


class Body(BaseModel):
    """A body with exactly the named fields, of exactly the named types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class HomeRequest(Body):
    """A request for a Home page."""

    user_id: Id
    session_id: Id | None = Field(None, description="The session that the page is shown in.")
    market: Id | None = Field(None, description="Only items that are available in this market.")
    content_types: list[Id] = Field([], max_length=20, description="Only items of these types; empty for all.")
    picks: list[Id] | None = Field(
        None, max_length=MOST_PICKS, description="Of a new listener: the items that were picked at sign-up."
    )
    k_rows: int | None = Field(None, ge=1, le=20, description="The most shelves of the page.")
    explore: float | None = Field(None, ge=0, le=0.5, description="The share of places that may be explored.")
    explicit: bool = Field(True, description="Whether items that are marked as explicit may be shown.")
    request_id: Id | None = Field(None, description="Names the request. The same id and inputs give the same page.")


class Item(BaseModel):
    """What a person recognises an item by."""

    item_id: str
    title: str
    creator: str
    content_type: str
    genres: list[str]
    duration_ms: int | None
    release_date: str | None = Field(description="ISO 8601.")


class PlacedItem(Item):
    """An item at its place on a page."""

    position: int = Field(description="The place in the reading order of the page, from 1.")
    new: bool = Field(description="Released in the last two weeks.")
    explored: bool = Field(description="Shown to learn about it.")


class Shelf(BaseModel):
    """A row of the page."""

    id: str
    title: str
    reason: str
    items: list[PlacedItem]


class Decided(BaseModel):
    """What every answer that shows items says about itself."""

    request_id: str
    level: int = Field(
        description="Degradation: 0 whole, 1 without ranking, 2 the listener's last page, 3 popular items."
    )
    degraded: list[str] = Field(description="The stages whose fallback stood in.")
    versions: dict[str, int] = Field(description="The model versions that decided.")


class HomeAnswer(Decided):
    """A Home page."""

    shelves: list[Shelf]


class ListAnswer(Decided):
    """A list of items in the order to show."""

    items: list[PlacedItem]


class Event(Body):
    """Something that a listener did with an item that was shown, or `impression`: the item was in the viewport."""

    event_id: Id = Field(description="A second event of the same id counts for nothing.")
    request_id: Id
    user_id: Id
    session_id: Id | None = None
    item_id: Id
    action: Literal["impression", "play", "skip", "like", "add"]
    ms_played: int | None = Field(None, ge=0, lt=2**53)
    ts: Time


class Events(Body):
    """A batch of events, which counts as a whole or not at all."""

    events: list[Event] = Field(min_length=1, max_length=MOST_EVENTS)


class EventsAnswer(BaseModel):
    """What became of a batch; its events are durable."""

    accepted: int
    duplicates: int


class DislikeRequest(Body):
    """A listener does not want to be shown an item again, nor others of its creator."""

    user_id: Id
    item_id: Id
    withdrawn: bool = Field(False, description="Take the dislike back.")


class Dislikes(BaseModel):
    """What a listener does not want to be shown again; nor is anything else of the creators of these items."""

    user_id: str
    items: list[str] = Field(description="In the order in which they were named, the last 500.")


class Why(BaseModel):
    """Why an item was shown."""

    request_id: str
    item_id: str
    title: str
    shelf: str
    position: int
    reasons: list[str]
    sources: list[str]
    scores: dict[str, float]
    policy: str
    propensity: float
    versions: dict[str, int]
    level: int
    at: datetime


class State(BaseModel):
    """Whether the gateway answers, and what it stands on."""

    ready: bool
    models: dict[str, int] = Field(description="The model versions in use; empty without a model server.")
    down: list[str] = Field(description="The dependencies that do not answer now.")


class Problem(BaseModel):
    """Why a request was refused, and how to correct it."""

    error: str
    fix: str
