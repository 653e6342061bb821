"""The record of the pages that a simulated day was shown: all that is needed to let the same day happen again.

A listener's response is determined by the world, so only what the gateway answered is kept. A day that was killed is
played again from its record and goes on where the record ends.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True)
class Shown:
    """A page as the gateway answered it.

    Args:
        request_id: The request that it answers.
        rows: Item ids of each row.
        explored: Whether each of these items was shown to learn about it.
        level: Degradation of the page; 0 is whole.
        versions: Model versions that decided.
    """

    request_id: str
    rows: list[list[str]]
    explored: list[list[bool]]
    level: int
    versions: Mapping[str, int]


@dataclass
class Record:
    """The record of one day: for each page a line before it is asked for, one with it, and one once its events are
    acknowledged.

    Args:
        path: The file.
        asked: How often the page of each request number was asked for.
        pages: The page of each request number.
        told: Requests whose events the gateway has acknowledged.
    """

    path: Path
    asked: Counter[int] = field(default_factory=Counter)
    pages: dict[int, Shown] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, path: Path) -> "Record":
        """Open a record, or begin one. A line that a killed process left unfinished is dropped."""
        record = cls(path)
        written = path.read_bytes() if path.exists() else b""
        whole = written[: written.rfind(b"\n") + 1]
        if whole != written:
            path.write_bytes(whole)
        for line in map(orjson.loads, whole.splitlines()):
            record._note(line)
        return record

    def ask(self, request: int) -> str:
        """Keep that a page is asked for, and return the id of the request.

        An answer that a kill has cut off may be in the journal, and need not be the one that comes now. So a page that
        is asked for again has another id, and nothing is ever said about the first one.
        """
        self._append({"request": request, "asked": True})
        again = self.asked[request] - 1
        return f"sim-{request}" + (f".{again}" if again else "")

    def show(self, request: int, shown: Shown) -> None:
        """Keep a page before anything is done with it."""
        self._append({"request": request, "page": shown})

    def tell(self, request: int) -> None:
        """Keep that the events of a page are acknowledged."""
        self._append({"request": request})

    def _append(self, line: dict[str, Any]) -> None:
        text = orjson.dumps(line)
        with self.path.open("ab") as file:
            file.write(text + b"\n")
        self._note(orjson.loads(text))

    def _note(self, line: dict[str, Any]) -> None:
        if "asked" in line:
            self.asked[line["request"]] += 1
        elif "page" in line:
            self.pages[line["request"]] = Shown(**line["page"])
        else:
            self.told.add(line["request"])
