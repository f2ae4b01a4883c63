"""A page on this machine to look at labels of hands and correct them, by keyboard, mouse or touch.

Each change is kept before the next one: in a file beside the labels, see ``examples.corrections``.
"""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from handheld.config import from_table
from handheld.errors import FileError, HandheldError, InputError, MissingDependencyError
from handheld.hands.skeleton import BONES, Keypoint
from handheld.hands.training.examples.records import is_photo
from handheld.hands.training.page.desk import (
    LabelDesk,
    PhotoEdit,
    StaleVersionError,
    opened_desk,
    shown_hand,
)
from handheld.hands.training.page.previews import Previews
from handheld.service import run_app
from handheld.untrusted import read_json

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from handheld.service.guard import Guard
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a page for labels") from error

# Of a request: a hundred hands are far more than a photo shows.
_MAX_BYTES = 1 << 17
# The page's files, and what a browser must take them for.
_TYPES = {
    "label.html": "text/html; charset=utf-8",
    "label.css": "text/css",
    "label.js": "text/javascript",
    "drawing.js": "text/javascript",
}


def create_app(desk: LabelDesk, photos: Path, *, hosts: tuple[str, ...] = ()) -> Starlette:
    """Return the application.

    Args:
        desk: the labels.
        photos: folder that their names lead from.
        hosts: names under which the page is reached, beside ``localhost`` and addresses.
    """
    page = _LabelPage(desk, Previews(photos))
    return Starlette(
        routes=[
            Route("/", _asset),
            Route("/photos", page.listed),
            Route("/photos/{index:int}", page.labels),
            Route("/photos/{index:int}", page.save, methods=["POST"]),
            Route("/photos/{index:int}/picture", page.picture),
            Route("/{name}", _asset),
        ],
        # a page of another site must not see the photos, or change their labels
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HandheldError: _refuse},
    )


def serve(
    labels: Path,
    photos: Path,
    *,
    in_place: bool = False,
    host: str = "127.0.0.1",
    port: int = 8080,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until the process is told to end.

    Args:
        labels: JSON lines; corrections are kept beside them.
        photos: folder that their names lead from.
        in_place: whether corrections are written into the labels at the end.
        host: name or address to listen on.
        port: to listen on; 0 takes a free one.
        on_start: called with the page's address when it can be opened.

    Raises:
        InputError: labels that cannot be read, or are open elsewhere; a folder without any of their
            photos.
        ServiceError: the port cannot be used.
    """
    with opened_desk(labels, in_place=in_place) as desk:
        _ensure_some(desk, photos)
        run_app(create_app(desk, photos, hosts=(host,)), host=host, port=port, on_start=on_start)


def _ensure_some(desk: LabelDesk, photos: Path) -> None:
    """Refuse another folder than the photos', in which nothing could be looked at."""
    if not any(is_photo(photos / name) for name in desk.names):
        raise InputError(
            f"{photos}: holds none of the {len(desk.names)} photos, such as {desk.names[0]}: "
            "name the folder that this leads from"
        )


class _LabelPage:
    """What the page asks for. Where nothing is awaited, Starlette answers in a thread."""

    def __init__(self, desk: LabelDesk, previews: Previews) -> None:
        self._desk = desk
        self._previews = previews

    def listed(self, _request: Request) -> Response:
        """List all photos in their order; and what the page must know of a hand."""
        desk = self._desk
        content = {
            "names": desk.names,
            "scores": desk.scores,
            "states": [desk.state(index) for index in range(len(desk.names))],
            "bones": BONES,
            "keypoints": [keypoint.name.lower().replace("_", " ") for keypoint in Keypoint],
        }
        return _json(content)

    def labels(self, request: Request) -> Response:
        """Give the labels of a photo, and its size."""
        index = self._index(request)
        return _json(self._shown(index, self._desk.record(index)))

    async def save(self, request: Request) -> Response:
        """Keep what a person made of a photo's labels."""
        index = self._index(request)
        edit = from_table(PhotoEdit, await _content(request), "")
        try:
            record = await run_in_threadpool(self._desk.save, index, edit)
        except StaleVersionError as error:
            shown = await run_in_threadpool(self._shown, index, self._desk.record(index))
            return _json(shown | {"error": str(error)}, 409)
        except OSError as error:
            raise FileError(f"cannot be kept: {error.strerror}; make room, then go on") from error
        return _json({"version": record["version"], "state": self._desk.state(index)})

    def picture(self, request: Request) -> Response:
        """Give a photo as JPEG."""
        preview = self._previews.open(self._desk.names[self._index(request)])
        return Response(preview.content, media_type="image/jpeg")

    def _shown(self, index: int, record: dict[str, Any]) -> dict[str, Any]:
        size = record.get("size")
        labelled = size or [1, 1]
        shown = {
            "version": record.get("version", 0),
            "state": self._desk.state(index),
            "hands": [shown_hand(hand) for hand in record["hands"]],
            "problem": "",
        }
        try:
            preview = self._previews.open(self._desk.names[index])
        except HandheldError as error:
            return shown | {"height": labelled[0], "width": labelled[1], "problem": str(error)}
        shown |= {"height": preview.height, "width": preview.width}
        # Labels without a size may be for any.
        if size is not None and [preview.height, preview.width] != list(size):
            shown["warning"] = (
                f"the photo has {preview.width} x {preview.height} pixels, its labels are for "
                f"{labelled[1]} x {labelled[0]}"
            )
        return shown

    def _index(self, request: Request) -> int:
        index: int = request.path_params["index"]
        if index >= len(self._desk.names):
            raise InputError(f"expected a photo from 0 to {len(self._desk.names) - 1}, got {index}")
        return index


def _json(content: object, status: int = 200) -> Response:
    # In ASCII: a file's name may be no text, and then no UTF-8 either.
    return Response(json.dumps(content), status, media_type="application/json")


async def _refuse(_request: Request, error: Exception) -> Response:
    status = 500 if isinstance(error, FileError) else 400
    return _json({"error": str(error)}, status)


async def _asset(request: Request) -> Response:
    name = request.path_params.get("name", "label.html")
    if name not in _TYPES:
        return Response("there is no such page", status_code=404, media_type="text/plain")
    return Response((resources.files(__name__) / name).read_bytes(), media_type=_TYPES[name])


async def _content(request: Request) -> object:
    """Return a request's JSON. Raises :class:`InputError`."""
    body = b""
    # piece by piece: what is too long is refused before it fills the memory
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise InputError(f"expected {_MAX_BYTES} bytes or fewer")
    try:
        return read_json(body)
    except ValueError as error:
        raise InputError(f"expected JSON: {error}") from error
