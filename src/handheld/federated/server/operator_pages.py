"""What the operator sees and does: pages, and the same as JSON."""

from handheld.errors import MissingDependencyError
from handheld.federated.server.host import FederationHost
from handheld.service.pages import Pages

try:
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PACKAGE = "handheld.federated.server"


class OperatorEndpoints:
    """A method for each address."""

    def __init__(self, host: FederationHost) -> None:
        self._host = host
        self.pages = Pages("Federation", package=_PACKAGE)

    def routes(self) -> list[Route]:
        """Return the addresses, and what answers them."""
        return [Route("/healthz", self.health), Route("/static/{name}", self.pages.static)]

    async def health(self, _request: Request) -> Response:
        """Say whether all goes on."""
        if not self._host.is_alive:
            return JSONResponse({"status": "a part of the server stands still"}, 503)
        return JSONResponse({"status": "ok"}, 200)
