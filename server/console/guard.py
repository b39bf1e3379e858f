"""Who may ask the console, and what a browser may do with its answers.

A page from elsewhere must not use it: not by a form or a script that sends requests here (the
Origin is looked at, and a body must be JSON, which a form cannot send), and not by a name of its
own that it makes point here (DNS rebinding: the Host is looked at).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web

from server.console.answers import error_response
from server.logs import LOG

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        "img-src 'self' blob:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "trusted-types 'none'",
    )
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # of files: asked for anew, and not sent if they did not change
}


class Guard:
    """names  hosts that browsers may know it by, beside addresses and localhost"""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {"localhost", *(name.lower() for name in names)}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What `handler` answers, or a refusal; each with the headers."""
        if (refusal := self._refusal(request)) is not None:
            LOG.warning("refused", extra={"reason": refusal})
            return _with_headers(error_response(403, "PERMISSION_DENIED", refusal))
        try:
            return _with_headers(await handler(request))
        except web.HTTPException as error:
            code = "NOT_FOUND" if error.status == 404 else "INVALID_ARGUMENT"
            return _with_headers(error_response(error.status, code, error.reason))
        except (ConnectionError, TimeoutError):  # the page is gone
            raise
        except Exception:
            LOG.exception("the console failed")
            return _with_headers(error_response(500, "INTERNAL", "the console failed; see its log"))

    def _refusal(self, request: web.Request) -> str | None:
        if not self._is_known(request.host):
            return "the console is not known by this Host; start it with --name"
        origin = request.headers.get("Origin")
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if origin is None:
            return "an Origin is needed" if is_socket else self._wrong_body(request)
        if urlsplit(origin).netloc.lower() != request.host.lower():
            return "another Origin"
        return self._wrong_body(request)

    def _wrong_body(self, request: web.Request) -> str | None:
        if request.method == "POST" and request.content_type != "application/json":
            return "a body is application/json"
        return None

    def _is_known(self, host: str) -> bool:
        """An address is no name that somebody else could make point here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
    return response
