"""What the operator sees and does: pages, and the same as JSON for programs.

A browser shows a cookie that it gets for the token; a program shows the token itself.
"""

import hmac
from importlib import resources
from urllib.parse import parse_qs

from handheld.errors import InputError, MissingDependencyError
from handheld.federated.server.bodies import read_body
from handheld.federated.server.host import FederationHost
from handheld.federated.server.metrics import Labels
from handheld.federated.server.overview import (
    as_json,
    charts,
    device_states,
    round_view,
    task_views,
)
from handheld.reports import seconds_text
from handheld.service.intake import UploadError
from handheld.service.pages import Pages, wants_page

try:
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PACKAGE = "handheld.federated.server"
_COOKIE = "__Host-operator"
_COOKIE_SECONDS = 8 * 3600.0  # a day's work
_FORM_BYTES = 2048
_MODELS_SHOWN = 1000
_ROUNDS_SHOWN = 200


class OperatorEndpoints:
    """A method for each address.

    Args:
        host: the parts of the server.
    """

    def __init__(self, host: FederationHost) -> None:
        self._host = host
        self.pages = Pages(
            "Federation",
            package=_PACKAGE,
            values={"seconds": seconds_text, "number": _number},
            static={"picture.css": _picture_style()},
        )

    def routes(self) -> list[Route]:
        """Return the addresses, and what answers them."""
        return [
            Route("/", self.index),
            Route("/login", self.login_form),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/tasks/{name}", self.task),
            Route("/tasks/{name}/start", self.start, methods=["POST"]),
            Route("/tasks/{name}/pause", self.pause, methods=["POST"]),
            Route("/tasks/{name}/rollback", self.roll_back, methods=["POST"]),
            Route("/metrics", self.metrics),
            Route("/healthz", self.health),
            Route("/static/{name}", self.pages.static),
        ]

    async def index(self, request: Request) -> Response:
        """Show tasks and devices."""
        if not self._is_operator(request):
            return self._to_login(request)
        host = self._host
        views = await host.in_thread(task_views, host)
        if not wants_page(request):
            return JSONResponse(await host.in_thread(as_json, host, views))
        return self.pages.page(
            "overview.html",
            views=views,
            devices=await host.in_thread(device_states, host),
            pace=host.steering.pace,
            rules=host.steering.rules,
            processes=host.steering.processes,
            has_room=host.has_room,
        )

    async def task(self, request: Request) -> Response:
        """Show a task: its rounds and its models."""
        if not self._is_operator(request):
            return self._to_login(request)
        host = self._host
        name = self._task_name(request)
        row = await host.in_thread(host.ledger.task, name)
        history = await host.in_thread(host.ledger.history, name, _MODELS_SHOWN)
        rounds = await host.in_thread(host.store.last_rounds, name, _ROUNDS_SHOWN)
        return self.pages.page(
            "task.html",
            task=row,
            history=history,
            rounds=[round_view(host, one) for one in rounds],
            charts=charts(history, rounds),
            settings=host.tasks[name].settings,
        )

    async def start(self, request: Request) -> Response:
        """Let a task have rounds."""
        return await self._change(request, "running", "")

    async def pause(self, request: Request) -> Response:
        """Let a task have no further rounds."""
        return await self._change(request, "paused", "the operator paused it")

    async def roll_back(self, request: Request) -> Response:
        """Make an earlier model the newest."""
        self._require_operator(request)
        values = await self._form(request)
        name = self._task_name(request)
        number = values.get("number", "")
        # SQL's integers have 32 bits, and int() takes digits of all scripts.
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise InputError(f"number: expected the number of a model, got {number[:40]!r}")
        commit = await self._host.in_thread(self._host.ledger.roll_back, name, int(number))
        self._host.log.event("model rolled back", task=name, number=commit.number, to=int(number))
        return self._done(request, name)

    async def login_form(self, _request: Request) -> Response:
        """Ask for the token."""
        return self.pages.page("login.html", problem="")

    async def login(self, request: Request) -> Response:
        """Give a browser a cookie for the token."""
        values = await self._form(request)
        if not self._is_token(values.get("token", "")):
            self._host.log.event("login refused")
            return self.pages.page("login.html", 401, problem="That is not the operator's token.")
        response = RedirectResponse("/", 303)
        self._set_cookie(response, self._host.keys.cookie(_COOKIE_SECONDS), int(_COOKIE_SECONDS))
        return response

    async def logout(self, _request: Request) -> Response:
        """Take the cookie away."""
        response = RedirectResponse("/login", 303)
        self._set_cookie(response, "", 0)
        return response

    async def metrics(self, request: Request) -> Response:
        """Give all figures as Prometheus reads them."""
        self._require_operator(request)
        host = self._host
        devices = await host.in_thread(device_states, host)
        views = await host.in_thread(task_views, host)
        figures: list[tuple[Labels, float]] = []
        for view in views:
            for name, value in view.head.figures.items():
                figures.append(((("task", view.row.name), ("figure", name)), value))
        gauges: dict[str, list[tuple[Labels, float]]] = {
            "devices": [((("state", state),), count) for state, count in devices],
            "model_number": [((("task", view.row.name),), view.row.number) for view in views],
            "task_running": [
                ((("task", view.row.name),), float(view.row.state == "running")) for view in views
            ],
            "figure": figures,
            "check_ins_a_second": [((), host.steering.pace.rate_seen)],
            "check_ins_a_second_wanted": [((), host.steering.rules.rate)],
            "disk_has_room": [((), float(host.has_room))],
        }
        return PlainTextResponse(host.metrics.text(gauges), media_type="text/plain; version=0.0.4")

    async def health(self, _request: Request) -> Response:
        """Say whether all goes on."""
        host = self._host
        if not host.is_alive:
            return JSONResponse({"status": "a part of the server stands still"}, 503)
        # Raises where the database does not answer.
        await host.in_thread(host.ledger.task, "")
        if not host.has_room:
            return JSONResponse({"status": "the disk is full"}, 503)
        return JSONResponse({"status": "ok"}, 200)

    async def _change(self, request: Request, state: str, reason: str) -> Response:
        self._require_operator(request)
        name = self._task_name(request)
        await self._host.in_thread(self._host.ledger.set_state, name, state, reason)
        self._host.log.event("task changed", task=name, state=state)
        self._host.coordinator.tend()
        return self._done(request, name)

    def _done(self, request: Request, name: str) -> Response:
        if wants_page(request):
            return RedirectResponse(f"/tasks/{name}", 303)
        return JSONResponse({"task": name})

    async def _form(self, request: Request) -> dict[str, str]:
        content = await read_body(request, _FORM_BYTES)
        try:
            pairs = parse_qs(content.decode("utf-8"), max_num_fields=8, errors="strict")
        except ValueError as error:
            raise UploadError(400, "expected a form") from error
        return {name: entries[0] for name, entries in pairs.items()}

    def _task_name(self, request: Request) -> str:
        """Return the name of a task of ours: no other text reaches the database."""
        name: str = request.path_params["name"]
        if name not in self._host.tasks:
            raise UploadError(404, "there is no such task")
        return name

    def _is_token(self, token: str) -> bool:
        expected = self._host.operator_token
        # In bytes: texts with other letters than ASCII cannot be compared in constant time.
        return expected is not None and hmac.compare_digest(token.encode(), expected.encode())

    def _is_operator(self, request: Request) -> bool:
        header = request.headers.get("authorization", "")
        if self._is_token(header.removeprefix("Bearer ")):
            return True
        # A cookie of a server that had a token before is good no more.
        if self._host.operator_token is None:
            return False
        return self._host.keys.is_cookie(request.cookies.get(self._cookie_name, ""))

    def _require_operator(self, request: Request) -> None:
        if not self._is_operator(request):
            raise UploadError(401, "expected the operator's token")

    def _to_login(self, request: Request) -> Response:
        if self._host.operator_token is None:
            return self.pages.problem(request, 404, "this server has no operator's page")
        if wants_page(request):
            return RedirectResponse("/login", 303)
        return self.pages.problem(request, 401, "expected the operator's token")

    @property
    def _cookie_name(self) -> str:
        if self._host.settings.certificate:
            return _COOKIE
        # Browsers take a name with that prefix over https alone.
        return "operator"

    def _set_cookie(self, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            self._cookie_name,
            value,
            max_age=seconds,
            path="/",
            secure=bool(self._host.settings.certificate),
            httponly=True,
            # No other site's form can start, pause or roll back with the operator's cookie.
            samesite="strict",
        )


def _picture_style() -> bytes:
    """Return the style of charts, which the reports have in their pages."""
    file = resources.files("handheld.reports").joinpath("templates", "picture.css")
    return file.read_bytes()


def _number(value: float) -> str:
    return f"{value:.4g}"
