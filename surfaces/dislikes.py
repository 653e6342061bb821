"""What listeners do not want to be shown again, in memory; the journal keeps it."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from events.journal.keeping import Keeping
from events.journal.records import Dislike, read_dislike

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the journal, where other gateways write too
MOST = 500  # items of a listener; the one that was named first goes first


class Dislikes:
    """The lasting dislikes of all listeners. All calls come from one event loop."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, None]] = {}
        self._place = ""  # in the journal, up to which they were read
        self._said: list[Dislike] = []  # to this gateway, since the last look began

    def of(self, user_id: str) -> tuple[str, ...]:
        """The items that a listener said no to, in the order in which they were named."""
        return tuple(self._items.get(user_id, ()))

    def say(self, dislike: Dislike) -> None:
        """Take a dislike that was said to this gateway, and that the journal has."""
        self._said.append(dislike)
        self._take([dislike])

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the dislikes of the listeners for whom `gone` is true."""
        for user_id in [name for name in self._items if gone(name)]:
            del self._items[user_id]
        self._said = [one for one in self._said if not gone(one.user_id)]

    async def follow(self, keeping: Keeping, seconds: float = LOOK_SECONDS) -> None:
        """Look at the journal, for ever.

        Args:
            keeping: of the journal.
            seconds: between two looks.
        """
        while True:
            await self.look(keeping)
            await asyncio.sleep(seconds)

    async def look(self, keeping: Keeping) -> None:
        """Take what has come to the journal: at first what is there already, then what other gateways write.

        If the journal does not answer, what was read last stays.
        """
        self._said.clear()
        try:
            bodies, place = await asyncio.to_thread(keeping.dislikes, self._place)
            found = [read_dislike(body) for body in bodies]
        except Exception as error:  # the next look may succeed
            log.error("the journal does not give the dislikes: %s", error)
            return
        self._place = place
        self._take(found)
        # What was said meanwhile and is not among these came to the journal after them.
        keys = {one.key for one in found}
        self._take(one for one in self._said if one.key not in keys)

    def _take(self, dislikes: Iterable[Dislike]) -> None:
        """Take dislikes in the order in which the journal has them; what is known already changes nothing."""
        for one in dislikes:
            items = self._items.setdefault(one.user_id, {})
            if one.withdrawn:
                items.pop(one.item_id, None)
            else:
                items[one.item_id] = None
            if len(items) > MOST:
                del items[next(iter(items))]
