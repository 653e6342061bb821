"""Keep what gateways count of a roll-out: a file of each gateway, or a field of a hash of Redis in a cluster.

A gateway writes its own counts alone, so no two of them wait for each other; who decides adds them up. They stay when
the gateway has ended.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from segue.errors import InputError
from segue.files import read_json, write_json
from stores import online_store
from stores.settings import Settings, settings, shown

KEY = "segue:{{rollout}}:counts:{number}"
KEPT_SECONDS = 90 * 24 * 3600  # after the last count of any gateway; a roll-out of a small site takes six weeks


class CountsKeeping(Protocol):
    """Keeps counts. All methods raise UnavailableError or OSError if the keeping does not take or give them."""

    def write(self, number: int, gateway: str, counts: dict[str, Any]) -> None:
        """Replace the counts of a gateway.

        Args:
            number: The roll-out's number.
            gateway: A name that no other gateway has.
            counts: Its counts since its start, as JSON types.
        """
        ...

    def read(self, number: int) -> Iterator[tuple[str, Any]]:
        """Yield where the counts of each gateway are, for errors, and the counts as JSON types.

        Raises:
            InputError: Some are damaged.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class FileCounts:
    """Keeps counts in files `NUMBER/GATEWAY.json` of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, number: int, gateway: str, counts: dict[str, Any]) -> None:
        """Replace the file of a gateway (see `CountsKeeping`)."""
        write_json(self._folder / str(number) / f"{gateway}.json", counts)

    def read(self, number: int) -> Iterator[tuple[str, Any]]:
        """Yield the counts of each file (see `CountsKeeping`)."""
        for file in sorted((self._folder / str(number)).glob("*.json")):
            yield str(file), read_json(file)

    def close(self) -> None:
        """Do nothing: no file stays open."""


class RedisCounts:
    """Keeps counts in Redis: a hash of each roll-out, with a field of each gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = online_store.connect(settings)

    def write(self, number: int, gateway: str, counts: dict[str, Any]) -> None:
        """Replace the field of a gateway (see `CountsKeeping`)."""
        key = KEY.format(number=number)
        with online_store.faults(self._settings):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hset(key, gateway, json.dumps(counts, default=str))
            pipeline.expire(key, KEPT_SECONDS)
            pipeline.execute()

    def read(self, number: int) -> Iterator[tuple[str, Any]]:
        """Yield the counts of each field (see `CountsKeeping`)."""
        key = KEY.format(number=number)
        with online_store.faults(self._settings):
            fields = cast(dict[bytes, bytes], self._client.hgetall(key))
        for gateway, text in sorted(fields.items()):
            place = f"{gateway.decode()} in {key} of {shown(self._settings.online_store)}"
            try:
                counts = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{place} must be JSON. It is damaged: {error}.", "Remove the field: its counts are lost."
                ) from error
            yield place, counts

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def counts_keeping(folder: Path) -> CountsKeeping:
    """Return what keeps the counts of a home's gateways, as the settings say. Who asks for it closes it.

    Args:
        folder: The folder of the home, where the settings name no server.
    """
    now = settings()
    return RedisCounts(now) if now.clustered else FileCounts(folder)
