"""Serving a federation."""

import os
from collections.abc import Callable
from pathlib import Path

from handheld.errors import InputError
from handheld.federated.server.app import create_federation_app
from handheld.federated.server.config import ServerSettings, read_settings
from handheld.federated.server.database import FederationDatabase
from handheld.federated.server.enrolment import EnrolmentStore
from handheld.federated.server.host import located, open_host
from handheld.service.server import run_app
from handheld.service.tls import TlsFiles

ENROLMENT_TOKEN = "HANDHELD_ENROLMENT_TOKEN"
OPERATOR_TOKEN = "HANDHELD_OPERATOR_TOKEN"
_LEAST_TOKEN = 8  # characters; a shorter one is guessed
_LOCAL = ("127.0.0.1", "::1", "localhost")
_SPARE_FILES = 64  # beside connections


def serve_federation(
    config: Path,
    *,
    enrolment_token: str | None = None,
    operator_token: str | None = None,
    port: int | None = None,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve a federation until the process is told to end (SIGINT, SIGTERM).

    Args:
        config: TOML file, see ``federated.server.config``.
        enrolment_token: that devices enrol with, where the file says that they do.
        operator_token: that opens the operator's page; None: there is none.
        port: to listen on, instead of the file's.
        on_start: called with the address.

    Raises:
        InputError: the file or a task is wrong.
        ServiceError: the database, the blobs, a key, a certificate or the port cannot be used.
    """
    settings = read_settings(config)
    server = settings.server
    folder = config.absolute().parent
    _check_tokens(server, enrolment_token, operator_token)
    tls = tls_files(server, folder)
    host = open_host(
        settings, folder, enrolment_token=enrolment_token, operator_token=operator_token
    )
    # Systems allow 1,024 or fewer by default, and accept() fails beyond.
    _allow_files(server.connections + _SPARE_FILES)
    run_app(
        create_federation_app(host, hosts=(*server.names, server.host)),
        host=server.host,
        port=server.port if port is None else port,
        on_start=on_start,
        # Devices that wait would else keep the server from ending.
        on_end=host.watcher.stop,
        tls=tls,
        connections=server.connections,
    )


def tls_files(server: ServerSettings, folder: Path) -> TlsFiles | None:
    """Return the files of a server's TLS; None where it speaks http.

    Raises:
        InputError: it would speak http to other machines.
    """
    if not server.certificate:
        if server.host not in _LOCAL:
            raise InputError(
                f"server.certificate: expected one, as {server.host} is reached by other machines: "
                "make one with 'handheld federated certificates', or listen on 127.0.0.1 behind a "
                "proxy that has one"
            )
        return None
    authority = None
    if server.client_authority:
        authority = folder / server.client_authority
    return TlsFiles(folder / server.certificate, folder / server.key, authority)


def token_of(name: str) -> str | None:
    """Return a token of the environment, and take it away: a process that is started must not have
    it.
    """
    return os.environ.pop(name, None)


def open_enrolment(config: Path) -> EnrolmentStore:
    """Return the devices of a federation, beside its servers.

    Raises:
        InputError: the file is wrong.
        ServiceError: the database cannot be opened.
    """
    settings = read_settings(config)
    url = located(settings.server.database, config.absolute().parent)
    return EnrolmentStore(FederationDatabase(url))


def _check_tokens(server: ServerSettings, enrolment: str | None, operator: str | None) -> None:
    if server.enrolment == "token" and not enrolment:
        raise InputError(
            f"{ENROLMENT_TOKEN}: expected a token, as server.enrolment is 'token'; set it, or "
            "choose another way to enrol"
        )
    for name, token in ((ENROLMENT_TOKEN, enrolment), (OPERATOR_TOKEN, operator)):
        if token is not None and len(token) < _LEAST_TOKEN:
            raise InputError(f"{name}: expected {_LEAST_TOKEN} characters or more")


def _allow_files(count: int) -> None:
    """Raise what a process may open, as far as it may."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
