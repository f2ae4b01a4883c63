"""What all of our servers answer where something goes wrong, and the application around a room's
own addresses.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from handheld.errors import BusyError, HandheldError, InputError, MissingDependencyError
from handheld.service._form import UploadError
from handheld.service.guard import Guard
from handheld.service.pages import Pages

try:
    from sqlalchemy.exc import SQLAlchemyError
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error


def guarded_app(
    routes: Iterable[Route],
    pages: Pages,
    *,
    hosts: Iterable[str],
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
) -> Starlette:
    """Return an application behind the guard, which explains errors on a room's pages.

    Args:
        routes: addresses, and what answers them.
        pages: on which errors are told.
        hosts: names under which the server is reached, see :class:`Guard`.
        lifespan: what runs beside the application.
    """
    answers = _ErrorAnswers(pages)
    handlers: dict[Any, Any] = {
        HandheldError: answers.refuse,
        HTTPException: answers.refuse_http,
        # It may be away for a moment; whoever asked is told to come again.
        SQLAlchemyError: answers.wait_for_database,
    }
    # Before all routes, so that none of them can forget its headers.
    guard = Middleware(Guard, hosts=tuple(hosts))
    return Starlette(
        routes=list(routes), middleware=[guard], exception_handlers=handlers, lifespan=lifespan
    )


class _ErrorAnswers:
    """A method for each kind of error."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def refuse(self, request: Request, error: HandheldError) -> Response:
        if isinstance(error, BusyError):
            return self.pages.problem(request, 503, str(error), {"Retry-After": "60"})
        status = 500
        if isinstance(error, UploadError):
            status = error.status
        elif isinstance(error, InputError):
            status = 422
        headers = {}
        if status == 401:
            # What HTTP asks of such an answer: how to show who one is (RFC 9110, 15.5.2).
            headers["WWW-Authenticate"] = "Bearer"
        return self.pages.problem(request, status, str(error), headers)

    def refuse_http(self, request: Request, error: HTTPException) -> Response:
        return self.pages.problem(request, error.status_code, error.detail, error.headers)

    def wait_for_database(self, request: Request, _error: SQLAlchemyError) -> Response:
        return self.pages.problem(
            request,
            503,
            "the database does not answer; try again in a moment",
            {"Retry-After": "10"},
        )
