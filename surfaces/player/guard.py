"""What protects a person's own gateway from the other pages that the person's browser has open."""

import ipaddress
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from surfaces.gateway.limits import refuse

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CHANGES = ("/v1/events", "/v1/operator/")  # calls that outlive the process; sessions are in memory


class Guard:
    """Middleware that answers its own pages, and programs, which name no origin.

    A page of another site can send requests here. It cannot hide that it did: browsers send `Origin`, or
    `Sec-Fetch-Site`. A page whose name was made to lead to this machine (DNS rebinding) sends that name as `Host`.

    Args:
        app: the application.
        read_only: whether events and an operator's decisions are refused.
    """

    def __init__(self, app: ASGIApp, read_only: bool = False) -> None:
        self._app = app
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it with 403."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await refuse(send, 403, *refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[str, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not is_address(host):
            return f"The player answers at an address of this machine. Received the host {host!r}.", "Use 127.0.0.1."
        if scope["method"] in SAFE_METHODS:
            return None
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") or (origin is not None and origin != f"{scope['scheme']}://{host}"):
            return f"A change comes from the player's own pages. Received the origin {origin!r}.", "Open the player."
        if self._read_only and scope["path"].startswith(CHANGES):
            return "This is read-only: it takes no events and no decisions.", "Start `segue up` without --read-only."
        return None


def guard(app: FastAPI, read_only: bool) -> None:
    """Guard an application with pages."""
    app.state.read_only = read_only
    app.add_middleware(Guard, read_only=read_only)


def is_address(host: str) -> bool:
    """Whether a `Host` header names this machine by an IP address or as localhost."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
