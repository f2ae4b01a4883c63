"""The application: which address is answered by what."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from handheld.errors import HandheldError, MissingDependencyError
from handheld.service._answers import Answers
from handheld.service._context import Context
from handheld.service.guard import Guard

try:
    from sqlalchemy.exc import SQLAlchemyError
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error


def make_app(context: Context, *, hosts: tuple[str, ...], close: Callable[[], None]) -> Starlette:
    """Return the application; its lifespan runs the worker, and calls ``close`` at the end."""
    answers = Answers(context)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        context.worker.start()
        yield
        context.stopping.set()
        context.worker.stop()
        close()

    routes = [
        Route("/", answers.index),
        Route("/new/{kind}", answers.form),
        Route("/jobs", answers.submit, methods=["POST"]),
        Route("/jobs/{id}", answers.job),
        Route("/jobs/{id}", answers.remove, methods=["DELETE"]),
        Route("/jobs/{id}/cancel", answers.cancel, methods=["POST"]),
        Route("/jobs/{id}/remove", answers.remove, methods=["POST"]),
        Route("/jobs/{id}/events", answers.events),
        Route("/jobs/{id}/result.zip", answers.archive),
        Route("/jobs/{id}/files/{name:path}", answers.file),
        Route("/static/{name}", answers.pages.static),
        Route("/healthz", answers.health),
    ]
    handlers: dict[Any, Any] = {
        HandheldError: answers.refuse,
        HTTPException: answers.refuse_http,
        SQLAlchemyError: answers.wait_for_database,
    }
    guard = Middleware(Guard, hosts=hosts)
    app = Starlette(
        routes=routes, middleware=[guard], exception_handlers=handlers, lifespan=lifespan
    )
    app.state.context = context
    return app
