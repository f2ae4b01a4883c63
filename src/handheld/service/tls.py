"""TLS of a server: its certificate, and those that it asks for."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from handheld.errors import ServiceError

CLIENT_CERTIFICATE = "handheld.client_certificate"
"""Entry of a request's ``extensions``: the certificate that the client showed, in DER."""

_HANDSHAKE_SECONDS = 10.0  # asyncio's own are 60: that long a silent connection would be held

_App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class TlsFiles(NamedTuple):
    """Files of a server's TLS, in PEM.

    Args:
        certificate: of the server, and those between it and its authority.
        key: of the certificate.
        client_authority: certificates that vouch for clients, who must show theirs; None: nobody
            is asked.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what connections are made with: TLS 1.2 or newer.

    Raises:
        ServiceError: a file cannot be read, or is no certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.client_authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(files.client_authority)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(path) for path in files if path is not None)
        raise ServiceError(f"{names}: cannot be used for TLS: {error}") from error
    return context


def with_client_certificate(app: _App, transport: Any) -> _App:
    """Return the application of one connection, which is told what certificate its client showed.

    Args:
        app: of all connections.
        transport: of this one.
    """
    connection = transport.get_extra_info("ssl_object")
    certificate = None
    if connection is not None:
        certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        return app

    async def told(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), CLIENT_CERTIFICATE: certificate}
        await app(scope, receive, send)

    return told


class ImpatientLoop(asyncio.SelectorEventLoop):
    """An event loop whose servers give up on a TLS handshake sooner than asyncio's do."""

    async def create_server(self, *args: Any, **options: Any) -> Any:
        """Listen, see asyncio."""
        if options.get("ssl"):
            options.setdefault("ssl_handshake_timeout", _HANDSHAKE_SECONDS)
        return await super().create_server(*args, **options)
