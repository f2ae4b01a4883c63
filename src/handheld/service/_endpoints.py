"""What the application answers at each address."""

from typing import Any

from handheld.errors import InputError, MissingDependencyError
from handheld.service._context import ServiceContext, status
from handheld.service._downloads import download, download_all
from handheld.service.events import event_stream
from handheld.service.intake import submit
from handheld.service.jobs._table import JobRecord
from handheld.service.pages import Pages, wants_page

try:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, RedirectResponse, Response
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error


class ServiceEndpoints:
    """A method for each address."""

    def __init__(self, context: ServiceContext) -> None:
        self.context = context
        self.pages = Pages(context.title)

    def index(self, _request: Request) -> Response:
        kinds = tuple(self.context.kinds.values())
        if len(kinds) == 1:
            return self._form(kinds[0].name)
        return self.pages.page("index.html", kinds=kinds)

    def form(self, request: Request) -> Response:
        return self._form(request.path_params["kind"])

    def _form(self, name: str) -> Response:
        if name not in self.context.kinds:
            raise HTTPException(404, "there is no such kind of job here")
        return self.pages.page(
            "form.html",
            kind=self.context.kinds[name],
            limits=self.context.limits,
            wants_token=self.context.token is not None,
        )

    async def submit(self, request: Request) -> Response:
        job_id = await submit(request, self.context)
        address = f"/jobs/{job_id}"
        if wants_page(request):
            return RedirectResponse(address, 303)
        return JSONResponse({"id": job_id, "url": address}, 201, {"Location": address})

    def job(self, request: Request) -> Response:
        job_id, job = self._find(request)
        described = self.context.describe(job_id, job)
        if not wants_page(request):
            return JSONResponse(described)
        title = job.kind
        # A server may have been started again without this kind.
        if job.kind in self.context.kinds:
            title = self.context.kinds[job.kind].title
        return self.pages.page(
            "job.html", job=job, title=title, address=f"/jobs/{job_id}", **described
        )

    def cancel(self, request: Request) -> Response:
        job_id, job = self._find(request)
        self.context.queue.cancel(job.key)
        if wants_page(request):
            return RedirectResponse(f"/jobs/{job_id}", 303)
        # Once more, as it is another one now.
        job_id, job = self._find(request)
        return JSONResponse(self.context.describe(job_id, job))

    def remove(self, request: Request) -> Response:
        _, job = self._find(request)
        self.context.queue.cancel(job.key, remove=True)
        if wants_page(request):
            return self.pages.page("removed.html")
        return Response(status_code=204)

    def events(self, request: Request) -> Response:
        job_id, _ = self._find(request)

        def look() -> dict[str, Any] | None:
            job = self.context.find(job_id)
            return None if job is None else status(job)

        return event_stream(look, self.context.stopping)

    def file(self, request: Request) -> Response:
        return download(self.context.folders, self._ended(request), request)

    def archive(self, request: Request) -> Response:
        return download_all(self.context.folders, self._ended(request))

    def health(self, _request: Request) -> Response:
        self.context.queue.get("")  # raises where the database does not answer
        if not self.context.worker.alive:
            return JSONResponse({"status": "the worker stands still"}, 503)
        return JSONResponse({"status": "ok"}, 200)

    def _find(self, request: Request) -> tuple[str, JobRecord]:
        job_id = request.path_params["id"]
        try:
            job = self.context.find(job_id)
        except InputError:
            # What cannot be an id is answered like one that is none: nothing is told of the form.
            job = None
        if job is None:
            raise HTTPException(
                404,
                "there is no such job here; it may have been removed after the days that jobs are "
                "kept",
            )
        return job_id, job

    def _ended(self, request: Request) -> JobRecord:
        _, job = self._find(request)
        if not job.ended:
            raise HTTPException(409, "this job has not ended; its files can be downloaded then")
        return job
