"""The application: which address is answered by what."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from handheld.errors import MissingDependencyError
from handheld.service._context import ServiceContext
from handheld.service._endpoints import ServiceEndpoints
from handheld.service.answers import guarded_app

try:
    from starlette.applications import Starlette
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error


def make_app(
    context: ServiceContext, *, hosts: tuple[str, ...], close: Callable[[], None]
) -> Starlette:
    """Return the application; its lifespan runs the worker, and calls ``close`` at the end."""
    endpoints = ServiceEndpoints(context)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        context.worker.start()
        yield
        # First of all: pages that follow a job would wait for its next report.
        context.stopping.set()
        context.worker.stop()
        close()

    routes = [
        Route("/", endpoints.index),
        Route("/new/{kind}", endpoints.form),
        Route("/jobs", endpoints.submit, methods=["POST"]),
        Route("/jobs/{id}", endpoints.job),
        Route("/jobs/{id}", endpoints.remove, methods=["DELETE"]),
        Route("/jobs/{id}/cancel", endpoints.cancel, methods=["POST"]),
        Route("/jobs/{id}/remove", endpoints.remove, methods=["POST"]),
        Route("/jobs/{id}/events", endpoints.events),
        Route("/jobs/{id}/result.zip", endpoints.archive),
        Route("/jobs/{id}/files/{name:path}", endpoints.file),
        Route("/static/{name}", endpoints.pages.static),
        Route("/healthz", endpoints.health),
    ]
    app = guarded_app(routes, endpoints.pages, hosts=hosts, lifespan=lifespan)
    app.state.context = context
    return app
