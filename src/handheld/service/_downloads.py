"""Handing out results."""

from pathlib import PurePosixPath

from handheld.errors import InputError, MissingDependencyError
from handheld.service.archives import stream_zip
from handheld.service.jobs._table import JobRecord
from handheld.service.jobs.folders import Folders

try:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response, StreamingResponse
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

VIEWABLE = {
    ".html": "text/html; charset=utf-8",
    ".json": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# A result is shown as a page of nobody: it may run its own scripts, but reaches neither this site
# nor any other.
_SANDBOX = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
_ALONE = {
    "Content-Security-Policy": _SANDBOX,
    # Browsers refuse to show a sandboxed page that isolates itself.
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Referrer-Policy": "no-referrer",
}


def can_view(name: str) -> bool:
    """Whether a result may be shown in the browser rather than downloaded."""
    return PurePosixPath(name).suffix.lower() in VIEWABLE


def download(folders: Folders, job: JobRecord, request: Request) -> Response:
    """Answer with one file: as a download, or shown on its own if ``?view`` asks for it."""
    try:
        path = folders.result(job.key, request.path_params["name"])
    except InputError as error:
        raise HTTPException(404, str(error)) from error
    if "view" in request.query_params and can_view(path.name):
        return FileResponse(path, media_type=VIEWABLE[path.suffix.lower()], headers=_ALONE)
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


def download_all(folders: Folders, job: JobRecord) -> Response:
    """Answer with all results as one archive, made while it is sent."""
    files = []
    for file in folders.results(job.key):
        path = folders.result(job.key, file.name)
        files.append((file.name, path))
    headers = {"Content-Disposition": f'attachment; filename="{job.kind}.zip"'}
    return StreamingResponse(stream_zip(files), media_type="application/zip", headers=headers)
