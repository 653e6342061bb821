"""Limits before the application: the size and the time of a body, the callers' tokens, and the requests at once."""

import asyncio
import hmac
import time
from collections.abc import Collection

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surfaces.engine.metrics import GatewayMetrics
from surfaces.engine.stage import came

BODY_BYTES = 64 * 1024
BODY_SECONDS = 10.0
OPEN_PATHS = ("/healthz", "/readyz")  # probes have no token
# Pages that are decided at once. Each takes about 0.02 s of a core, so many more would all miss their deadlines.
MOST_RUNNING = 32
# These take no page's place: they wait for the journal, each for a bounded time.
OF_THE_JOURNAL = ("/v1/events", "/v1/dislikes", "/v1/why/")
RETRY_SECONDS = 1
GONE = 499  # nginx's status for a client that has gone before its answer


class Limits:
    """Middleware that refuses a request before it reaches the application, and counts every answer.

    Args:
        app: the application.
        metrics: counts the answers.
        tokens: the callers' tokens; empty lets everyone in.
        body_seconds: the longest time in which a body must arrive.
    """

    def __init__(
        self, app: ASGIApp, metrics: GatewayMetrics, tokens: Collection[str] = (), body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tokens = [token.encode() for token in tokens]
        self._body_seconds = body_seconds
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, ended, status = time.perf_counter(), 0.0, 500

        async def counted(message: Message) -> None:
            nonlocal ended, status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended = time.perf_counter()  # side effects follow

        token = came.set(began)
        try:
            await self._limited(scope, receive, counted)
        except ConnectionResetError:
            status = GONE
        finally:
            came.reset(token)
            route = scope.get("route")
            endpoint = getattr(route, "path", "") or "none"
            self._metrics.requests.inc(endpoint, str(status))
            self._metrics.latency.observe((ended or time.perf_counter()) - began, endpoint)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if self._tokens and scope["path"] not in OPEN_PATHS and not self._allowed(headers.get(b"authorization", b"")):
            await refuse(
                send, 401, "A call needs the token of a caller.", "Send the header Authorization: Bearer TOKEN."
            )
            return
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await read_body(headers, receive)
        except TimeoutError:
            await refuse(
                send, 408, f"A body must arrive within {self._body_seconds:g} s.", "Send it again.", close=True
            )
            return
        if body is None:
            fix = "Send fewer events in a batch."
            await refuse(send, 413, f"A body has at most {BODY_BYTES} bytes. This one has more.", fix, close=True)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        if not scope["path"].startswith("/v1/") or scope["path"].startswith(OF_THE_JOURNAL):
            await self._app(scope, replay, send)
        elif self._running >= MOST_RUNNING:
            await refuse(send, 503, f"At most {MOST_RUNNING} pages are decided at once.", "Send the request again.")
        else:
            self._running += 1
            try:
                await self._app(scope, replay, send)
            finally:
                self._running -= 1

    def _allowed(self, header: bytes) -> bool:
        """Whether a header has a known token. All tokens are compared, in constant time."""
        scheme, _, given = header.partition(b" ")
        matches = [hmac.compare_digest(given.strip(), token) for token in self._tokens]
        return scheme.lower() == b"bearer" and any(matches)


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
    """The body of a request; None if it is too long. A length that is announced is believed before a byte is read.

    Raises:
        ConnectionResetError: the client has gone.
    """
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > BODY_BYTES:
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            return None
        if not message.get("more_body"):
            return body


async def refuse(send: Send, status: int, error: str, fix: str, close: bool = False) -> None:
    """Answer a request without the application; `close` ends the connection, whose body was not read to its end."""
    body = orjson.dumps({"error": error, "fix": fix})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_SECONDS).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
