"""What the player's pages stand on, beside the gateway."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segue.settings import Home
from surfaces.follow import written
from surfaces.operator.operator import Operator


@dataclass(frozen=True)
class Player:
    """The settings of the pages.

    Args:
        listeners: finds the ids of listeners.
        read_only: whether every change is refused.
        operator: the operator's page beside them; None for none.
    """

    listeners: "Listeners"
    read_only: bool = False
    operator: Operator | None = None


class Listeners:
    """The ids of the imported listeners, read again once their table has changed, because one may be forgotten.

    Args:
        table: `users.parquet` of a home.
    """

    def __init__(self, table: Path) -> None:
        self._table, self._written = table, written(table)
        self._ids = ids_of(table)

    @classmethod
    def of(cls, home: Home) -> "Listeners":
        """The listeners of a home."""
        return cls(home.data / "users.parquet")

    def matching(self, text: str, most: int) -> list[str]:
        """The first ids that contain a text, in whatever case; all contain ''."""
        now = written(self._table)
        if now != self._written:
            self._ids, self._written = ids_of(self._table), now
        return self._ids.filter(pc.match_substring(self._ids, text, ignore_case=True))[:most].to_pylist()


def ids_of(table: Path) -> pa.StringArray:
    """The ids of a table of listeners."""
    return pq.read_table(table, columns=["user_id"])["user_id"].combine_chunks()
