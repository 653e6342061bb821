"""The protocol of the gateway's connections: idle ones make room for new ones before the process has no file left."""

import asyncio
import resource

from serving.api.http_protocol import LimitedProtocol

OTHER_FILES = 256  # that the process opens: databases, connections to the model server, libraries


class RoomForNew(LimitedProtocol):
    """One connection. Pass the class to `uvicorn.Config(http=...)`.

    A process may open so many files (`ulimit -n`). Once connections have all but `OTHER_FILES` of them, each new one
    closes the one that has been idle for longest: clients that keep connections for nothing shut nobody out.
    """

    used = 0.0  # when it was opened or last received bytes, seconds of the event loop's clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, and close an idle one if there are too many."""
        super().connection_made(transport)
        self.used = self.loop.time()
        if len(self.connections) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_FILES:
            idle = [one for one in self.connections if isinstance(one, RoomForNew) and one.idle and one is not self]
            if idle:
                min(idle, key=lambda one: one.used).transport.close()

    def data_received(self, data: bytes) -> None:
        """Read bytes of a request."""
        self.used = self.loop.time()
        super().data_received(data)

    @property
    def idle(self) -> bool:
        """Whether no request has begun that is not answered, and it is not closing already."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self._received and not self.transport.is_closing()
