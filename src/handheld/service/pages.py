"""Answers as pages for people and as JSON for programs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from handheld.errors import MissingDependencyError
from handheld.service._downloads import can_view

try:
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_PACKAGE = "handheld.service"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def wants_page(request: Request) -> bool:
    """Whether a person asks: browsers name text/html, programs do not."""
    return "text/html" in request.headers.get("accept", "")


class Pages:
    """The templates, and the files that pages need.

    Args:
        title: of the site.
        package: of another room, whose ``templates`` and ``static`` come before ours.
        values: what all of its templates may use, by name.
        static: further files by name.
    """

    def __init__(
        self,
        title: str,
        *,
        package: str = _PACKAGE,
        values: Mapping[str, Any] | None = None,
        static: Mapping[str, bytes] | None = None,
    ) -> None:
        packages = dict.fromkeys((package, _PACKAGE))
        loader = ChoiceLoader(list(map(PackageLoader, packages)))
        self._templates = Environment(
            loader=loader,
            # Names of files and messages of jobs are strangers' words.
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"size": size_text, "time": _time_text}
        self._templates.globals |= {"site": title, "can_view": can_view, **(values or {})}
        # Read once, by names that are ours: no path that a request asks for is ever opened.
        self._static: dict[str, bytes] = {}
        for name in reversed(packages):
            self._static |= _static_files(name)
        self._static |= static or {}

    def page(self, template: str, code: int = 200, /, **values: Any) -> Response:
        """Return a page made from a template."""
        return HTMLResponse(self._templates.get_template(template).render(**values), code)

    def static(self, request: Request) -> Response:
        """Answer with a style, a script or the icon."""
        name = request.path_params["name"]
        if name not in self._static:
            return self.problem(request, 404, "there is no such file")
        _, _, ending = name.rpartition(".")
        media_type = _TYPES[f".{ending}"]
        # Asked for again each time: after an update a page must not meet an old script.
        headers = {"Cache-Control": "no-cache"}
        return Response(self._static[name], media_type=media_type, headers=headers)

    def problem(
        self, request: Request, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Say what went wrong, in the form that was asked for."""
        if wants_page(request):
            answer = self.page("problem.html", status, message=message, status=status)
        else:
            answer = JSONResponse({"error": message}, status)
        answer.headers.update(headers or {})
        return answer


def _static_files(package: str) -> dict[str, bytes]:
    folder = resources.files(package).joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def size_text(size: int) -> str:
    """Return a number of bytes for people, in units of 1000."""
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    unit = ""
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007
        value /= 1000
        if value < 999.5:
            break
    return f"{value:.3g} {unit}"


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %B %Y, %H:%M UTC")
