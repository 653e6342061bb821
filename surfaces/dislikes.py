"""What listeners do not want to be shown again, in memory; the journal keeps it."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from events.journal.keeping import Keeping
from events.journal.records import Dislike, read_dislike
from segue.errors import SegueError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the journal, where other gateways write too
MOST = 500  # items of a listener; the one that was named first goes first


class Dislikes:
    """The lasting dislikes of all listeners. All calls come from one event loop."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, None]] = {}
        self._place = ""  # in the journal, up to which they were read

    def of(self, user_id: str) -> tuple[str, ...]:
        """The items that a listener said no to, in the order in which they were named."""
        return tuple(self._items.get(user_id, ()))

    def take(self, dislikes: Iterable[Dislike]) -> None:
        """Take dislikes in the order in which they were said; what is known already changes nothing."""
        for one in dislikes:
            items = self._items.setdefault(one.user_id, {})
            if one.withdrawn:
                items.pop(one.item_id, None)
            else:
                items[one.item_id] = None
            if len(items) > MOST:
                del items[next(iter(items))]

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the dislikes of the listeners for whom `gone` is true."""
        for user_id in [name for name in self._items if gone(name)]:
            del self._items[user_id]

    async def follow(self, keeping: Keeping, seconds: float = LOOK_SECONDS) -> None:
        """Take what comes to the journal, for ever: what is there already, and what other gateways write.

        Args:
            keeping: of the journal.
            seconds: between two looks.
        """
        while True:
            try:
                bodies, self._place = await asyncio.to_thread(keeping.dislikes, self._place)
                self.take(map(read_dislike, bodies))
            except SegueError as error:
                log.error("the journal does not give the dislikes: %s", error)
            await asyncio.sleep(seconds)
