"""What the player's pages stand on, beside the gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from segue.settings import Home

# Answers the address of a page of another server, and starts that server if need be; None while it starts.
Open = Callable[[], str | None]


@dataclass(frozen=True)
class Player:
    """The settings of the pages.

    Args:
        listeners: finds the ids of listeners.
        read_only: whether every change is refused.
        links: name -> opens another server's pages.
    """

    listeners: "Listeners"
    read_only: bool = False
    links: Mapping[str, Open] = field(default_factory=dict)


class Listeners:
    """The ids of the imported listeners.

    Args:
        table: `users.parquet` of a home.
    """

    def __init__(self, table: Path) -> None:
        self._ids = pq.read_table(table, columns=["user_id"])["user_id"].combine_chunks()

    @classmethod
    def of(cls, home: Home) -> "Listeners":
        """The listeners of a home."""
        return cls(home.data / "users.parquet")

    def matching(self, text: str, most: int) -> list[str]:
        """The first ids that contain a text, in whatever case; all contain ''."""
        return self._ids.filter(pc.match_substring(self._ids, text, ignore_case=True))[:most].to_pylist()
