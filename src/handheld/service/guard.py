"""What stands before every answer: requests from other sites are refused, and browsers are told
what a page may do.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from handheld.errors import MissingDependencyError

try:
    from starlette.datastructures import Headers, MutableHeaders
    from starlette.responses import PlainTextResponse
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

# Everything comes from this server, no script or style stands in a page, and no other site may
# frame one.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # The address of a job is its key, so no other site gets it. Not 'no-referrer': browsers would
    # then send 'Origin: null' with our own forms, which could not be told from those of others.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Longer than any address of ours; a number of thousands of digits is not even read by Python.
_MAX_PATH = 2000


class Guard:
    """ASGI middleware: checks Host and Origin, and adds the headers of safety to what has none of
    its own.

    A Host that is an address is fine; one that is a name must be this machine's, ``localhost``, or
    one of ``hosts``: else a stranger's name that leads here would make a browser take the
    stranger's pages for ours (DNS rebinding). A request that changes something must come from our
    own pages, or from no page at all, as a script's does.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {name.lower() for name in (*hosts, "localhost", socket.gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app
        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if len(scope["path"]) > _MAX_PATH:
            refusal = (414, f"expected an address of at most {_MAX_PATH} characters")
        if refusal:
            status, reason = refusal
            app = PlainTextResponse(f"{reason}\n", status)
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._knows(host):
            return (
                421,
                f"this server does not answer for {host[:80]!r}; start it with that name among "
                "its hosts",
            )
        if method in _SAFE_METHODS:
            return None
        origin = headers.get("origin")
        is_elsewhere = origin is not None and _host_of(origin) != host
        if is_elsewhere or headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
            return (
                403,
                "this request comes from a page of another site, which may not change anything "
                "here",
            )
        return None

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # no address at all
        return ""
