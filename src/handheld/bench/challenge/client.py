"""Asks a challenge's server: registers a team, submits a model, follows it."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from handheld.errors import FetchError, InputError
from handheld.untrusted import read_json, require_file

_PATIENCE = 60.0  # seconds for an answer
_PAUSE = 1.0  # seconds between two looks
_MAX_ANSWER = 1 << 22  # bytes
_MAX_MODEL = 1 << 31  # bytes of a FlatBuffer
_LOST = 30  # looks in a row that a server may miss while it is started again
# Answers of a proxy that is asked too often, or waited for a server too long.
_PASSING = (408, 425, 429)
_LOCAL = ("127.0.0.1", "::1", "localhost")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named, and nowhere else."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


class ServerAnswer(NamedTuple):
    """What a server said."""

    status: int
    values: dict[str, Any]


class ChallengeClient:
    """A contestant's side of a challenge.

    Args:
        url: of the server, such as ``http://127.0.0.1:8080``.
        token: of the team; "" where none is needed.

    Raises:
        InputError: the URL is none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            raise InputError(f"--url: expected an address such as https://host:8080, got {url!r}")
        if not token.isascii() or any(letter.isspace() for letter in token):
            raise InputError("--token: expected letters, digits, - and _ alone")
        self._url = url.rstrip("/")
        self._token = token
        self.is_open = split.scheme == "http" and split.hostname not in _LOCAL

    def register(self, name: str, invitation: str = "") -> dict[str, Any]:
        """Register a team; the answer holds its token.

        Raises:
            InputError: the server refuses; says why.
            FetchError: it does not answer.
        """
        values = {"name": name, "invitation": invitation}
        return self._accepted("/teams", json.dumps(values).encode(), "application/json")

    def submit(self, path: Path, name: str) -> dict[str, Any]:
        """Submit a file; the answer holds the address of the submission.

        Raises what :meth:`register` does, and :class:`InputError` for a file that cannot be read.
        """
        try:
            require_file(path)
            size = path.stat().st_size
            if size > _MAX_MODEL:
                raise InputError(f"{path}: {size:,} bytes, larger than any model")
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        body, content_type = _form(name, content)
        return self._accepted("/submissions", body, content_type)

    def follow(
        self, address: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[dict[str, Any]]:
        """Yield what a submission is like, until it has ended.

        Args:
            address: as ``submit`` got it.
            sleep: waits between two looks.

        Raises:
            FetchError: the server does not answer for half a minute.
            InputError: it does not know the submission.
        """
        lost = 0
        while True:
            try:
                values = self._seen(address)
                lost = 0
                yield values
                if values.get("state") in ("done", "failed"):
                    return
            except FetchError:
                lost += 1
                if lost > _LOST:
                    raise
            sleep(_PAUSE)

    def _seen(self, address: str) -> dict[str, Any]:
        """Return what a submission is like now."""
        answer = self._ask("GET", address)
        if answer.status == 200:
            return answer.values
        reason = f"{self._url}: {answer.values.get('error', f'status {answer.status}')}"
        # What the client has done wrong stays wrong; a server or a proxy in trouble may recover.
        if 400 <= answer.status < 500 and answer.status not in _PASSING:
            raise InputError(reason)
        raise FetchError(reason)

    def _accepted(self, address: str, body: bytes, content_type: str) -> dict[str, Any]:
        answer = self._ask("POST", address, body, content_type)
        if answer.status != 201:
            reason = answer.values.get("error", f"status {answer.status}")
            raise InputError(f"{self._url}: {reason}")
        return answer.values

    def _ask(
        self, method: str, address: str, body: bytes | None = None, content_type: str = ""
    ) -> ServerAnswer:
        headers = {"Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(
            self._url + address, data=body, method=method, headers=headers
        )
        try:
            with _OPENER.open(request, timeout=_PATIENCE) as answer:
                return _read(answer)
        except urllib.error.HTTPError as error:
            with error:
                return _read(error)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise FetchError(f"{self._url}: does not answer: {reason}") from error


def _read(answer: HTTPResponse | urllib.error.HTTPError) -> ServerAnswer:
    """Return a status and an object. Raises :class:`ValueError` where there is none."""
    content = answer.read(_MAX_ANSWER)
    try:
        values = read_json(content)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        first = content[:200].decode("utf-8", "replace").strip()
        values = {"error": f"status {answer.status}: {first}"}
    return ServerAnswer(answer.status or 0, values)


def _form(name: str, content: bytes) -> tuple[bytes, str]:
    """Return a multipart body and its type."""
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\n{name}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"; '
        'filename="model.tflite"\r\n\r\n'
    )
    body = head.encode("utf-8", "replace") + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
