"""The application of a federation's server."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from handheld.errors import MissingDependencyError
from handheld.federated.server.devices import DeviceEndpoints
from handheld.federated.server.host import FederationHost
from handheld.federated.server.operator_pages import OperatorEndpoints
from handheld.service.answers import guarded_app

try:
    from starlette.applications import Starlette
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error


def create_federation_app(host: FederationHost, *, hosts: Iterable[str] = ()) -> Starlette:
    """Return the application, whose lifespan leads rounds.

    Args:
        host: the parts of the server.
        hosts: names under which it is reached, beside localhost and addresses.
    """
    devices = DeviceEndpoints(host)
    operator = OperatorEndpoints(host)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await host.start()
        yield
        await host.stop()

    routes = [*devices.routes(), *operator.routes()]
    # The operator's pages say what is wrong to browsers; devices' endpoints answer their errors
    # themselves.
    app = guarded_app(routes, operator.pages, hosts=hosts, lifespan=lifespan)
    app.state.context = host
    return app
