"""uvicorn's HTTP/1.1 protocol with two further limits: on a request's head, and on clients that stop reading."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Pass the class to `uvicorn.Config(http=...)`.

    A client that sends an endless head, or never reads its answer, would otherwise hold memory for as long as it
    likes. A connection on which nothing was sent has no time limit, because it costs next to nothing.

    Attributes:
        head_bytes: the largest size of a request's line and headers.
        head_seconds: the longest time in which they must arrive, from their first byte.
        stall_seconds: the longest time in which a client may read nothing of an answer.
    """

    head_bytes = 64 * 1024
    head_seconds = 30.0
    stall_seconds = 30.0

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = True
        self._received = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Read bytes of a request, and refuse a head that is too long."""
        if self._in_head:
            self._received += len(data)
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)
        super().data_received(data)
        if self._in_head and self._received > self.head_bytes and not self.transport.is_closing():
            self.send_400_response(f"The request's line and headers may have {self.head_bytes} bytes. These have more.")

    def on_headers_complete(self) -> None:
        """Stop the timer of the head, which has arrived."""
        self._in_head, self._received = False, 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another head, since the body has arrived."""
        super().on_message_complete()
        self._in_head = True

    def pause_writing(self) -> None:
        """Start to watch the client, which reads more slowly than the server writes."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop watching the client, which has read most of the answer."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, since the connection has ended."""
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Look again after `stall_seconds` whether the client has read anything."""
        left = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self._end_if_stalled, left)

    def _end_if_stalled(self, before: int) -> None:
        """End the connection unless fewer bytes wait than `before`."""
        if self.transport.get_write_buffer_size() < before:
            self._watch()
        else:
            self.transport.abort()  # `close` would wait for the client to read
