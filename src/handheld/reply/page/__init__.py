"""A chat page on this machine.

Write what somebody says, pick what to answer, and see the replies adapt. Everything stays on the
machine: the page talks to this server alone, and the server to nobody.
"""

from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from handheld.errors import HandheldError, InputError, MissingDependencyError
from handheld.reply import Message, Replier
from handheld.service import run_app
from handheld.untrusted import read_json

try:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from handheld.service.guard import Guard
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a chat page") from error

# Of a request: thirty messages of the length that is read, far more than a page sends.
_MOST_BYTES = 1 << 16
_MOST_MESSAGES = 50
# The page's files, and what a browser must take them for.
_TYPES = {
    "chat.html": "text/html; charset=utf-8",
    "chat.css": "text/css",
    "chat.js": "text/javascript",
}


def create_app(
    replier: Replier, *, personal: Path | None = None, hosts: tuple[str, ...] = ()
) -> Starlette:
    """Return the application.

    Args:
        replier: that suggests, and learns.
        personal: file that keeps what was learned; nothing is kept without it.
        hosts: names under which the page is reached, beside ``localhost`` and addresses.
    """

    if personal is not None:
        replier = Replier(replier.bundle, replier.personal, file=personal)

    async def suggest(request: Request) -> Response:
        suggestions = replier.suggest(_messages(await _content(request)), fallback=True)
        return JSONResponse(asdict(suggestions))

    async def learn(request: Request) -> Response:
        content = await _content(request)
        replier.learn(_messages(content), _text(content, "reply"))
        return _known()

    async def forget(_request: Request) -> Response:
        replier.forget()
        return _known()

    def _known() -> Response:
        return JSONResponse({"choices": len(replier.personal.choices)})

    async def refuse(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=400)

    return Starlette(
        routes=[
            Route("/", _asset),
            Route("/{name}", _asset),
            Route("/suggest", suggest, methods=["POST"]),
            Route("/learn", learn, methods=["POST"]),
            Route("/forget", forget, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HandheldError: refuse},
    )


def serve(
    replier: Replier,
    *,
    personal: Path | None,
    host: str,
    port: int,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until the process is told to end.

    Args:
        replier: that suggests, and learns.
        personal: file that keeps what was learned; nothing is kept without it.
        host: name or address to listen on.
        port: to listen on; 0 takes a free one.
        on_start: called with the page's address when it can be opened.

    Raises:
        ServiceError: the port cannot be used.
    """
    run_app(
        create_app(replier, personal=personal, hosts=(host,)),
        host=host,
        port=port,
        on_start=on_start,
    )


async def _asset(request: Request) -> Response:
    name = request.path_params.get("name", "chat.html")
    if name not in _TYPES:
        return Response("there is no such page", status_code=404, media_type="text/plain")
    return Response((resources.files(__name__) / name).read_bytes(), media_type=_TYPES[name])


async def _content(request: Request) -> dict[str, Any]:
    """Return a request's JSON object. Raises :class:`InputError`."""
    body = b""
    # piece by piece: what is too long is refused before it fills the memory
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise InputError(f"expected {_MOST_BYTES} bytes or fewer")
    try:
        content = read_json(body)
    except ValueError as error:
        raise InputError(f"expected JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError("expected a JSON object")
    return content


def _messages(content: dict[str, Any]) -> list[Message]:
    entries: Any = content.get("messages")
    is_list = isinstance(entries, list) and 1 <= len(entries) <= _MOST_MESSAGES
    if not is_list or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"expected messages, 1 to {_MOST_MESSAGES} objects with text and mine")
    return [Message(_text(entry, "text"), entry.get("mine") is True) for entry in entries]


def _text(content: dict[str, Any], key: str) -> str:
    if not isinstance(content.get(key), str):
        raise InputError(f"expected {key}, a text")
    return str(content[key])
