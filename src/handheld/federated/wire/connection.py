"""HTTPS for a device: one connection that is kept, retried with patience, and never trusted more
than it must be.

Blocking, as a device does one thing at a time. Only the certificates that it is given count, not
those of the system.
"""

import http.client
import math
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from handheld.errors import FetchError, InputError
from handheld.ranges import in_range, whole_in_range

# Of a proxy whose server is away, or of a server that is busy: it may be there in a moment.
_AGAIN_STATUS = (502, 503, 504)
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class ConnectionPatience:
    """How long a device waits, and how often it tries.

    Args:
        seconds: without a byte, after which a connection is given up.
        attempts: at a request, 1 or more.
        pause: seconds before the second attempt; it doubles each time, up to ``longest_pause``, and
            half of it is drawn at random, so that devices do not come back all at once.
        longest_pause: in seconds.
    """

    seconds: float = 30.0
    attempts: int = 8
    pause: float = 0.2
    longest_pause: float = 10.0

    def __post_init__(self) -> None:
        in_range("seconds", self.seconds, low=0, low_open=True)
        whole_in_range("attempts", self.attempts, low=1)
        in_range("pause", self.pause, low=0)
        in_range("longest_pause", self.longest_pause, low=self.pause)


@dataclass(frozen=True)
class WireAnswer:
    """What came back.

    Args:
        status: of HTTP.
        content: of the body.
        sent: bytes of the request's body.
    """

    status: int
    content: bytes


class FederationConnection:
    """A connection to a federation's server.

    Args:
        url: such as ``https://federation.example:8443``; http only where it leads to this machine
            or ``allow_open`` says so.
        authority: file of the certificates that vouch for the server; None: those of the system.
        certificate, key: files of the device's own, where the server asks for one.
        patience: how long to wait, and how often to try.
        allow_open: whether http may be spoken to other machines.
        sleep: waits; an argument for tests.

    Raises:
        InputError: the address or a file is none.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        url: str,
        *,
        authority: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        patience: ConnectionPatience | None = None,
        allow_open: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = _server_address(url, allow_open=allow_open)
        self.patience = patience or ConnectionPatience()
        self.sent = 0
        self.received = 0
        self._host = address.host
        self._port = address.port
        self._context = None
        if address.is_secure:
            self._context = client_context(authority, certificate, key)
        self._sleep = sleep
        self._open: http.client.HTTPConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        most_bytes: int,
    ) -> WireAnswer:
        """Ask, and again where the server is away for a moment: requests must bear being repeated.

        Args:
            method: GET or POST.
            path: from the first slash on.
            content: of the body.
            headers: beside those of every request.
            most_bytes: of an answer; a longer one is an error.

        Raises:
            FetchError: the server cannot be reached, or answers more than it may.
        """
        problem: Exception | str = ""
        was_kept = self._open is not None
        for attempt in range(self.patience.attempts):
            # A connection that was kept may have been closed meanwhile, which says nothing.
            if attempt > was_kept:
                self._sleep(self._pause(attempt))
            try:
                answer = self._once(method, path, content, headers or {}, most_bytes)
            # Before OSError, of which it is one: another try would meet the same certificate.
            except ssl.SSLCertVerificationError as error:
                self.close()
                raise FetchError(
                    f"{self._host}: its certificate is not vouched for: {error.verify_message}"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                problem = error
                continue
            if answer.status not in _AGAIN_STATUS:
                return answer
            problem = f"status {answer.status}"
        raise FetchError(f"{self._host}: no answer after {self.patience.attempts} tries: {problem}")

    def close(self) -> None:
        """End the connection; the next request makes another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _once(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str], most_bytes: int
    ) -> WireAnswer:
        connection = self._connected()
        everything = {"Content-Type": "application/msgpack", "Accept": "application/msgpack"}
        connection.request(method, path, content or None, everything | dict(headers))
        response = connection.getresponse()
        body = self._read(response, most_bytes)
        self.sent += len(content)
        self.received += len(body)
        if response.will_close:
            self.close()
        return WireAnswer(response.status, body)

    def _read(self, response: http.client.HTTPResponse, most_bytes: int) -> bytes:
        pieces = []
        room = most_bytes
        # A byte more than there is room for shows that an answer is too long without reading it
        # all.
        while piece := response.read(min(_CHUNK, room + 1)):
            room -= len(piece)
            if room < 0:
                self.close()
                raise FetchError(f"{self._host}: expected an answer of {most_bytes} bytes at most")
            pieces.append(piece)
        # http.client does not say so where a body that is read in pieces was cut short.
        if response.length:
            raise http.client.IncompleteRead(b"".join(pieces), response.length)
        return b"".join(pieces)

    def _connected(self) -> http.client.HTTPConnection:
        if self._open is not None:
            return self._open
        if self._context is None:
            self._open = http.client.HTTPConnection(
                self._host, self._port, timeout=self.patience.seconds
            )
        else:
            self._open = http.client.HTTPSConnection(
                self._host, self._port, timeout=self.patience.seconds, context=self._context
            )
        return self._open

    def _pause(self, attempt: int) -> float:
        doubled = math.ldexp(self.patience.pause, attempt - 1)
        longest = min(doubled, self.patience.longest_pause)
        # Not seeded: devices that fail together must not come back together.
        return longest * (0.5 + random.random() / 2)


class _ServerAddress(NamedTuple):
    """Where a server is, and whether it is spoken to by https."""

    host: str
    port: int | None
    is_secure: bool


def _server_address(url: str, *, allow_open: bool) -> _ServerAddress:
    """Return what an address leads to. Raises :class:`InputError` where it may not be used."""
    address, port = _split(url)
    if address.scheme not in ("https", "http") or not address.hostname:
        raise InputError(f"expected an https:// address, got {url[:80]!r}")
    if address.path not in ("", "/") or address.query or address.username is not None:
        raise InputError(f"expected https://host:port and nothing else, got {url[:80]!r}")
    is_here = address.hostname in ("127.0.0.1", "::1", "localhost")
    if address.scheme == "http" and not (is_here or allow_open):
        raise InputError(f"expected an https:// address, got {url[:80]!r}: http is read by all")
    return _ServerAddress(address.hostname, port, address.scheme == "https")


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of an address, and its port."""
    try:
        address = urlsplit(url)
        # A port that is no number shows as it is read.
        return address, address.port
    except ValueError as error:
        raise InputError(f"expected an https:// address, got {url[:80]!r}: {error}") from error


def client_context(
    authority: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext:
    """Return what a device demands of a server: TLS 1.3, and a certificate that is vouched for.

    Raises:
        InputError: a file is not there, or is no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{authority or certificate}: no certificate: {error}") from error
    return context
