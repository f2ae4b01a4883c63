"""A challenge's server: pages for people, JSON for programs."""

import asyncio
import csv
import hmac
import io
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from handheld.bench.challenge import store as state
from handheld.bench.challenge.board import board_rows, draw_board, titled
from handheld.bench.challenge.files import ModelFiles
from handheld.bench.challenge.host import ChallengeHost
from handheld.bench.challenge.job import measurement_kind
from handheld.bench.challenge.names import MAX_TEAM
from handheld.bench.challenge.referee import Referee
from handheld.bench.challenge.rules import DETECTION, PUBLIC, ChallengeFolder, time_text
from handheld.bench.challenge.store import ChallengeStore, Submission, Team
from handheld.bench.detection import require_evaluator
from handheld.engine import isolation
from handheld.errors import InputError, MissingDependencyError
from handheld.reports import percent, seconds_text
from handheld.service.answers import guarded_app
from handheld.service.database import Database
from handheld.service.events import event_stream
from handheld.service.intake import UploadError, submit
from handheld.service.jobs.folders import Folders
from handheld.service.jobs.limits import Limits
from handheld.service.jobs.queue import JOBS_SCHEMA, JobQueue
from handheld.service.jobs.worker import JobWorker
from handheld.service.pages import Pages, wants_page
from handheld.untrusted import read_json

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import (
        FileResponse,
        JSONResponse,
        PlainTextResponse,
        RedirectResponse,
        Response,
    )
    from starlette.routing import Route
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_MAX_BODY = 4096  # bytes of a registration
_BODY_SECONDS = 10.0  # in which it must come
_FORM_BYTES = 100_000  # of an upload, beside the model
_ATTEMPTS = 10  # starts of a measurement whose server died under it
_YEARS = 3650.0  # days: results are taken in long before, and then files are removed at once
_MIN_INVITATION = 8
_PACKAGE = "handheld.bench.challenge"
# What a spreadsheet takes for a formula; some take the wide signs of East Asia for it too (OWASP,
# "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def open_state(
    challenge: ChallengeFolder, *, database: str | None, files: str | None
) -> tuple[Database, ChallengeStore, JobQueue, Folders, ModelFiles]:
    """Open what the servers and workers of a challenge share.

    Args:
        challenge: that is hosted.
        database: SQLite file or ``postgresql://`` URL; None: a file in the challenge's folder.
        files: folder or URL of submitted files; None: a folder there.

    Raises:
        ServiceError: one of them cannot be opened.
    """
    folders = Folders(challenge.state)
    url = database or challenge.state / "challenge.sqlite"
    opened = Database(url, JOBS_SCHEMA, state.CHALLENGE_SCHEMA)
    store = ChallengeStore(opened, challenge.rules)
    queue = JobQueue(opened, job_limits(challenge))
    return opened, store, queue, folders, ModelFiles(files or challenge.state / "models")


def job_limits(challenge: ChallengeFolder) -> Limits:
    """Return the limits of the jobs of a challenge: one at a time."""
    limits = challenge.rules.limits
    return Limits(
        running=1,
        queued=2 * limits.queued * len(challenge.rules.devices),
        upload_bytes=limits.model_bytes + _FORM_BYTES,
        total_bytes=limits.total_bytes,
        seconds=limits.job_seconds,
        attempts=_ATTEMPTS,
        retention_days=_YEARS,
    )


def create_challenge_app(
    challenge: ChallengeFolder,
    *,
    database: str | None = None,
    files: str | None = None,
    devices: Iterable[str] | None = None,
    invitation: str | None = None,
    hosts: Iterable[str] = (),
) -> Starlette:
    """Return the application of a challenge, whose lifespan hands out and measures.

    Args:
        challenge: that is hosted.
        database: see :func:`open_state`.
        files: likewise.
        devices: of which this process is the worker; None: the first one; (): none.
        invitation: what a team must know to register, 8 characters or more; None: nothing.
        hosts: names under which the server is reached, beside localhost and addresses.

    Raises:
        InputError: a part of the data is missing or wrong, or there is no such device.
        ServiceError: the folder or the database cannot be used.
    """
    if invitation is not None and len(invitation) < _MIN_INVITATION:
        raise InputError(f"expected an invitation of {_MIN_INVITATION} characters or more")
    # Now, and not with the first submission.
    if challenge.rules.task == DETECTION:
        require_evaluator()
    for data in (PUBLIC, "hidden"):
        challenge.data(data)
    if devices is None:
        devices = [challenge.rules.devices[0].name]
    kinds = [measurement_kind(challenge.rules.device(name).name) for name in devices]
    opened, store, queue, folders, model_files = open_state(
        challenge, database=database, files=files
    )
    worker = JobWorker(queue, folders, kinds) if kinds else None
    referee = Referee(
        challenge,
        store=store,
        queue=queue,
        folders=folders,
        files=model_files,
        on_queued=worker.wake if worker else lambda: None,
    )
    host = ChallengeHost(
        challenge=challenge,
        store=store,
        queue=queue,
        folders=folders,
        files=model_files,
        limits=queue.limits,
        referee=referee,
        worker=worker,
        invitation=invitation,
    )
    return _make_app(host, hosts, opened)


def _make_app(host: ChallengeHost, hosts: Iterable[str], database: Database) -> Starlette:
    endpoints = _ChallengeEndpoints(host)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        host.referee.start()
        if host.worker is not None:
            host.worker.start()
        yield
        # First of all: pages that follow a submission would wait for its next report.
        host.stopping.set()
        if host.worker is not None:
            host.worker.stop()
        host.referee.stop()
        database.close()

    routes = [
        Route("/", endpoints.index),
        Route("/board.json", endpoints.board_json),
        Route("/board.csv", endpoints.board_csv),
        Route("/register", endpoints.register_form),
        Route("/teams", endpoints.register, methods=["POST"]),
        Route("/teams/{number:int}", endpoints.team),
        Route("/submit", endpoints.submit_form),
        Route("/submissions", endpoints.submit, methods=["POST"]),
        Route("/submissions/{id}", endpoints.submission),
        Route("/submissions/{id}/events", endpoints.events),
        Route("/data/public.npz", endpoints.public_data),
        Route("/samples/{name}", endpoints.sample),
        Route("/static/{name}", endpoints.pages.static),
        Route("/healthz", endpoints.health),
    ]
    app = guarded_app(routes, endpoints.pages, hosts=hosts, lifespan=lifespan)
    app.state.context = host
    return app


class _ChallengeEndpoints:
    """A method for each address."""

    def __init__(self, host: ChallengeHost) -> None:
        self.host = host
        self.rules = host.challenge.rules
        self._samples = {path.name: path for path in host.challenge.samples()}
        self.pages = Pages(
            self.rules.title,
            package=_PACKAGE,
            static={"picture.css": _picture_style()},
            values={
                "rules": self.rules,
                "isolation": isolation(),
                "share": percent,
                "seconds": seconds_text,
                "titled": titled,
                "moment": time_text,
            },
        )

    def index(self, request: Request) -> Response:
        view = self.host.view(self._device(request))
        return self.pages.page(
            "board.html",
            view=view,
            board=view.board,
            picture=draw_board(view.board, self.rules.budget, self.rules.metric),
            samples=sorted(self._samples),
            has_samples=bool(self._samples),
        )

    def board_json(self, request: Request) -> Response:
        view = self.host.view(self._device(request))
        rows = board_rows(view.board)
        values = {
            "title": self.rules.title,
            "data": view.board.data,
            "device": view.board.device,
            "task": self.rules.task,
            "metric": self.rules.metric,
            "budget_ms": 1e3 * self.rules.budget,
            "closed": view.is_closed,
            "entries": rows,
        }
        return JSONResponse(values)

    def board_csv(self, request: Request) -> Response:
        rows = board_rows(self.host.view(self._device(request)).board)
        text = io.StringIO()
        names = list(rows[0]) if rows else ["rank", "team", "model"]
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
        headers = {"Content-Disposition": 'attachment; filename="leaderboard.csv"'}
        return PlainTextResponse(text.getvalue(), headers=headers, media_type="text/csv")

    def register_form(self, _request: Request) -> Response:
        return self.pages.page(
            "register.html",
            needs_invitation=self.host.invitation is not None,
            longest=MAX_TEAM,
        )

    async def register(self, request: Request) -> Response:
        values = await _small_form(request)
        team, token = await run_in_threadpool(self._register, values)
        address = f"/teams/{team.id}"
        if wants_page(request):
            return self.pages.page("registered.html", 201, team=team, token=token)
        answer = {"team": team.name, "number": team.id, "token": token, "url": address}
        return JSONResponse(answer, 201, {"Location": address})

    def _register(self, values: dict[str, str]) -> tuple[Team, str]:
        invitation = self.host.invitation
        sent = values.get("invitation", "")
        if invitation and not hmac.compare_digest(sent.encode(), invitation.encode()):
            raise UploadError(401, "expected the invitation to this challenge, got none or another")
        return self.host.store.register(values.get("name", ""))

    def team(self, request: Request) -> Response:
        # Larger numbers do not fit into a column.
        number = min(request.path_params["number"], 2**31 - 1)
        team = self.host.store.team(number)
        if team is None:
            raise HTTPException(404, "there is no such team here")
        return self.pages.page("team.html", team=team, history=self.host.history(team.id))

    def submit_form(self, _request: Request) -> Response:
        return self.pages.page(
            "submit.html",
            kind=self.host.kinds["model"],
            limits=self.rules.limits,
            is_closed=self.host.store.closed(),
        )

    async def submit(self, request: Request) -> Response:
        submission_id = await submit(request, self.host)
        address = f"/submissions/{submission_id}"
        if wants_page(request):
            return RedirectResponse(address, 303)
        return JSONResponse({"id": submission_id, "url": address}, 201, {"Location": address})

    def submission(self, request: Request) -> Response:
        submission_id, submission = self._find(request)
        described = self.host.describe(submission_id, submission)
        if not wants_page(request):
            return JSONResponse(described)
        return self.pages.page(
            "submission.html",
            submission=submission,
            address=f"/submissions/{submission_id}",
            is_over=submission.state != "queued",
            **described,
        )

    def events(self, request: Request) -> Response:
        submission_id, _ = self._find(request)

        def look() -> dict[str, Any] | None:
            submission = self.host.find(submission_id)
            return None if submission is None else self.host.status(submission)

        return event_stream(look, self.host.stopping)

    def public_data(self, _request: Request) -> Response:
        if not self.rules.shares_public:
            raise HTTPException(404, "the host of this challenge keeps its examples")
        path = self.host.challenge.path_of(PUBLIC)
        return FileResponse(path, media_type="application/octet-stream", filename="public.npz")

    def sample(self, request: Request) -> Response:
        # By names that were listed: no path that a request asks for is ever opened.
        path = self._samples.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "there is no such sample")
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    def health(self, _request: Request) -> Response:
        self.host.queue.get("")  # raises where the database does not answer
        if not self.host.is_alive:
            return JSONResponse({"status": "the referee or the worker stands still"}, 503)
        return JSONResponse({"status": "ok", "isolation": isolation()}, 200)

    def _device(self, request: Request) -> str:
        return request.query_params.get("device", self.rules.devices[0].name)

    def _find(self, request: Request) -> tuple[str, Submission]:
        submission_id = request.path_params["id"]
        try:
            submission = self.host.find(submission_id)
        except InputError:
            # What cannot be an id is answered like one that is none.
            submission = None
        if submission is None:
            raise HTTPException(404, "there is no such submission here")
        return submission_id, submission


async def _small_form(request: Request) -> dict[str, str]:
    """Return the texts of a small form, or of a JSON object.

    Raises :class:`UploadError` for what is too large, too slow or neither.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        expected = "application/x-www-form-urlencoded or application/json"
        raise UploadError(415, f"expected a body of type {expected}, got {content_type[:80]!r}")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            content = await _small_body(request)
        if "json" in content_type:
            values = read_json(content)
        else:
            pairs = parse_qs(content.decode("utf-8"), max_num_fields=8, errors="strict")
            values = {name: entries[0] for name, entries in pairs.items()}
    except TimeoutError as error:
        raise UploadError(408, "the form took too long") from error
    except ClientDisconnect as error:
        raise UploadError(400, "the connection ended") from error
    except ValueError as error:
        raise UploadError(400, f"expected a form or a JSON object: {error}"[:200]) from error
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise UploadError(400, "expected an object of texts")
    return values


async def _small_body(request: Request) -> bytes:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BODY:
            raise UploadError(413, f"expected at most {_MAX_BODY} bytes")
    return content


def _picture_style() -> bytes:
    """Return the style of charts, which the reports have in their pages."""
    file = resources.files("handheld.reports").joinpath("templates", "picture.css")
    return file.read_bytes()


def _cell(value: Any) -> Any:
    """Return a value as a spreadsheet may have it: a stranger's name is no formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
