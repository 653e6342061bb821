"""What the player's own endpoints answer. They are no part of the gateway's API and change with the pages."""

from datetime import datetime

from pydantic import BaseModel, Field

from surfaces.gateway import api


class Share(BaseModel):
    """A genre or a content type, with its share from 0 to 1."""

    name: str
    share: float


class ListenerSummary(BaseModel):
    """A listener in the list to choose from."""

    user_id: str
    country: str
    last_seen: datetime | None = Field(description="The newest interaction; none without a history.")
    genres: list[str] = Field(description="The genres with the largest shares, the largest first.")


class Listeners(BaseModel):
    """Listeners to choose from."""

    listeners: list[ListenerSummary]


class Entry(BaseModel):
    """One entry of a history."""

    item: api.Item
    action: str
    at: datetime


class Profile(ListenerSummary):
    """A listener with the newest history and taste."""

    history: list[Entry] = Field(description="Newest first.")
    taste: list[Share] = Field(description="Genres of what was not skipped.")
    types: list[Share] = Field(description="Content types of what was not skipped.")


class Picks(BaseModel):
    """Items that a new listener may choose from."""

    items: list[api.Item]


class Score(BaseModel):
    """A score of a model with its name in words; `probability` is none for a score without a scale."""

    name: str
    value: float
    probability: float | None


class Explanation(BaseModel):
    """Why an item was shown, in words."""

    item: api.Item
    at: datetime
    sentences: list[str] = Field(description="By what way the item was found.")
    evidence: list[str] = Field(description="Entries of the listener's history that speak for the item, or against it.")
    scores: list[Score]
    chance: float = Field(description="The probability with which the policy showed the item at its place.")
    policy: str
    versions: dict[str, int]


class Settings(BaseModel):
    """What the pages need to know once."""

    read_only: bool
    genres: list[str]
    moods: list[str] = Field(description="Mood words that stand for genres of this catalogue.")
    types: list[str]
    markets: list[str]
    newest_release: str | None = Field(description="The day of the newest release until now; none if no date is known.")
    operator: bool = Field(description="Whether the operator's page is at `/operator/`.")
