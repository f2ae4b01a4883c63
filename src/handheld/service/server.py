"""Serving kinds of jobs. Nothing here imports the extra ``server`` before it is used."""

import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from handheld.errors import InputError, MissingDependencyError, ServiceError
from handheld.ranges import whole_in_range
from handheld.service.jobs.kinds import JobKind
from handheld.service.jobs.limits import Limits
from handheld.service.tls import ImpatientLoop, TlsFiles, server_context, with_client_certificate

if TYPE_CHECKING:
    from starlette.applications import Starlette

_CONNECTIONS = 512  # half of what a process may open by default
_GOODBYE_SECONDS = 3  # that answers under way get when the server ends
_MIN_TOKEN = 8  # characters; a shorter one is guessed
_HEADER_SECONDS = 30.0  # in which a connection must send the head of its first request
# For the rest of a body that was answered before it had come whole, as what is refused is: whoever
# hangs up at once takes the answer away from clients that send first and read then.
_UNREAD_SECONDS = 3.0


def create_app(  # noqa: PLR0913  # options by keyword, each by itself
    kinds: Iterable[JobKind],
    *,
    folder: str | os.PathLike[str],
    database: str | None = None,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Iterable[str] = (),
    title: str = "handheld",
) -> "Starlette":
    """Return the ASGI application of :func:`serve`, whose lifespan runs the jobs."""
    from handheld.service._app import make_app
    from handheld.service._context import ServiceContext
    from handheld.service.database import Database
    from handheld.service.jobs.folders import Folders
    from handheld.service.jobs.queue import JOBS_SCHEMA, JobQueue
    from handheld.service.jobs.worker import JobWorker

    by_name = {job_kind.name: job_kind for job_kind in kinds}
    if not by_name:
        raise InputError("expected one kind of job or more to serve, got none")
    if token is not None and len(token) < _MIN_TOKEN:
        raise InputError(
            f"expected a token of {_MIN_TOKEN} characters or more; "
            "leave it out to let everybody submit"
        )
    folders = Folders(folder)
    url: str | Path = folders.root / "jobs.sqlite"
    if database is not None:
        url = database
    opened = Database(url, JOBS_SCHEMA)
    queue = JobQueue(opened, limits or Limits())
    worker = JobWorker(queue, folders, by_name.values())
    context = ServiceContext(
        kinds=by_name,
        queue=queue,
        folders=folders,
        worker=worker,
        limits=queue.limits,
        token=token,
        title=title,
    )
    return make_app(context, hosts=tuple(hosts), close=opened.close)


def serve(  # noqa: PLR0913  # options by keyword, each by itself
    kinds: Iterable[JobKind],
    *,
    folder: str | os.PathLike[str],
    database: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: Iterable[str] = (),
    title: str = "handheld",
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Answer requests and run jobs until the process is told to end (SIGINT, SIGTERM).

    ``folder`` keeps the jobs' files, and the database unless ``database`` is the path of another
    SQLite file or a ``postgresql://`` URL. Servers that share a database must share the folder.
    Jobs that were running when a server ended, however it ended, go on in the same folder when one
    runs again. ``token`` is what a submitter must know; ``hosts`` are the names under which the
    server is reached, beside ``localhost`` and addresses. A proxy before it, which TLS needs, must
    pass Host on. ``on_start`` is called with the address; port 0 takes a free one. Raises
    :class:`ServiceError` if the folder, the database or the port cannot be used.
    """
    run_with_jobs(
        lambda: create_app(
            kinds,
            folder=folder,
            database=database,
            limits=limits,
            token=token,
            hosts=(*hosts, host),
            title=title,
        ),
        host=host,
        port=port,
        on_start=on_start,
    )


def run_with_jobs(
    make: Callable[[], "Starlette"],
    *,
    host: str,
    port: int,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Run an application that runs jobs until the process is told to end, see :func:`run_app`.

    Args:
        make: returns the application, whose ``state.context`` has an event ``stopping``.
        host, port: to listen on.
        on_start: called with the address.
    """
    from handheld.service.jobs._strays import adopting_orphans

    # Orphans of jobs that ended their keepers; an application in a process of others must not
    # adopt, it may not end them.
    with adopting_orphans():
        app = make()
        # Pages that follow a job would else keep the server from ending.
        run_app(app, host=host, port=port, on_start=on_start, on_end=app.state.context.stopping.set)


def run_app(  # noqa: PLR0913  # options by keyword, each by itself
    app: "Starlette",
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    on_start: Callable[[str], None] | None = None,
    on_end: Callable[[], None] = lambda: None,
    tls: TlsFiles | None = None,
    connections: int = _CONNECTIONS,
) -> None:
    """Run an application until the process is told to end (SIGINT, SIGTERM), which ``on_end`` hears
    of first.

    ``on_start`` is called with the address; port 0 takes a free one. ``connections`` that are open
    at once are answered. Raises :class:`ServiceError` if the port or a file of ``tls`` cannot be
    used, and :class:`InputError` for a number that is none.
    """
    whole_in_range("port", port, low=0, high=65535)
    secured: dict[str, Any] = {}
    scheme = "http"
    if tls is not None:
        context = server_context(tls)
        secured["ssl_context_factory"] = lambda _config, _default: context
        secured["loop"] = f"{ImpatientLoop.__module__}:{ImpatientLoop.__name__}"
        scheme = "https"
    try:
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError("uvicorn", "server", "a server") from error
    with _listen(host, port) as listening:
        # No log of requests: their addresses are the keys of jobs.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=_impatient_protocol(),
            ws="none",
            lifespan="on",
            limit_concurrency=connections,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
            **secured,
        )

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                on_end()
                super().handle_exit(sig, frame)

        if on_start is not None:
            _, real_port, *_ = listening.getsockname()
            on_start(f"{scheme}://{_in_address(host)}:{real_port}/")
        Server(config).run(sockets=[listening])


def _impatient_protocol() -> Any:
    """Return uvicorn's protocol, which waits for ever for a request, and takes whatever is sent
    after an answer, made to close connections that send none, or too much.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    protocol: Any = AutoHTTPProtocol

    # Chosen at run time, by what is installed, so its type is not known.
    class ImpatientProtocol(protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.app: Any = with_client_certificate(self.app, transport)
            # The last request that had come whole when it was looked last.
            self._answered: Any = None
            self.loop.call_later(_HEADER_SECONDS, self._close_if_silent)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._is_unread():
                self.loop.call_later(_UNREAD_SECONDS, self._close_if_unread, self.cycle)

        def _is_unread(self) -> bool:
            """Whether the last request was answered, and has not come whole."""
            cycle = self.cycle
            return cycle is not None and cycle.response_complete and cycle.more_body

        def _close_if_unread(self, answered: Any) -> None:
            if self.cycle is answered and self._is_unread():
                # Not close(): that would wait until an answer has gone that nobody reads.
                self.transport.abort()

        def _close_if_silent(self) -> None:
            if self.transport.is_closing():
                return
            is_busy = self.cycle is not None and not self.cycle.response_complete
            if not is_busy and self.cycle is self._answered:  # no request has come whole since
                self.transport.close()
                return
            self._answered = self.cycle
            self.loop.call_later(_HEADER_SECONDS, self._close_if_silent)

    return ImpatientProtocol


def _in_address(host: str) -> str:
    """Return a host as addresses have it: colons of IPv6 would be taken for that of the port."""
    if ":" in host:
        return f"[{host}]"
    return host


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET
    if ":" in host:
        family = socket.AF_INET6
    try:
        listening = socket.create_server((host, port), family=family)
        # Connections inherit it. asyncio sets it on sockets that it makes itself alone; without it
        # the body of an answer waits for the other side's delayed acknowledgement of the head:
        # 40 ms of each request on a connection that is kept.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise ServiceError(
            f"{host}:{port}: cannot be listened on: {error.strerror}; give another --port or --host"
        ) from error
