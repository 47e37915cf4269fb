"""Which requests reach the application at all, and the headers of every answer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlp_gym.errors import shown
from nlp_gym_agents.serve.answers import error_answer
from nlp_gym_agents.serve.limits import RequestError

_HEADERS = {
    # Scripts and files come from the server alone. Drawings of episodes colour their words by
    # style attributes, which can load nothing: images and fonts are named here too.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" the forms of our own pages would come with "Origin: null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\s:/?#@\[\]\\]+))(?::[0-9]{0,5})?")
"""A host as browsers send it: a name, or an address, IPv6 in brackets; then perhaps a port."""


class Guard:
    """Lets a request through where the names in it are those of this server.

    A page of somebody else can make a browser send requests here: to a name of its own that it has
    pointed at this machine (DNS rebinding), which the ``Host`` header gives away, or as a form,
    which the ``Origin`` header does. An address of the machine cannot be pointed elsewhere, so
    that addresses are let through, and names only where they are known.

    Args:
        app: The application.
        names: Names under which the server is asked for, besides ``localhost``.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower().rstrip(".") for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(Headers(scope=scope))
        app = self.app if refused is None else error_answer(refused)
        await app(scope, receive, send_with_headers)

    def _refused(self, headers: Headers) -> RequestError | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(host):
            return RequestError(
                400,
                f"Host={shown(host)} is not a name of this server: ask for its address, or start "
                "it with --allow-host NAME.",
            )
        if origin is not None and _place(origin) != host.lower():
            return RequestError(403, f"Origin={shown(origin)}: other sites are not let in.")
        return None

    def _is_own(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.lower())
        if parts is None:
            return False
        address, name = parts["address"], parts["name"]
        if name is not None and name.rstrip(".") in self.names:
            return True
        try:
            ipaddress.ip_address(name if address is None else address)
        except ValueError:
            return False
        return True


def _place(origin: str) -> str:
    """Host and port of an origin; ``""`` for one that has none, such as ``null``."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
