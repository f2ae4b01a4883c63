"""Taking in what others upload: a job, or what another room makes of it."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Protocol

from handheld.errors import BusyError, InputError, MissingDependencyError
from handheld.service._form import NO_TOKEN, UploadedForm, UploadError, UploadTerms, is_token
from handheld.service._upload import receive_form
from handheld.service.jobs.folders import Folders, key_of, new_id
from handheld.service.jobs.kinds import JobKind
from handheld.service.jobs.limits import Limits

__all__ = ["UploadError", "UploadHost", "UploadedForm", "bearer_of", "is_token", "submit"]

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_DRAIN_SECONDS = 5.0  # enough for small forms; no stranger keeps us longer
_TOKEN_SECONDS = 30.0  # in which the token must come


class UploadHost(Protocol):
    """A server that takes uploads: the parts of it that are needed for that.

    Attributes:
        kinds: what may be uploaded, by name.
        folders: of jobs; an upload has one, under the key that it is queued by.
        limits: of the server.
        uploads: how many are under way.
    """

    kinds: Mapping[str, JobKind]
    folders: Folders
    limits: Limits
    uploads: int

    def sender(self, token: str | None) -> str | None:
        """Return the name of whose token that is; None if it is nobody's.

        Raises what tells a known sender to come another time. Called in a thread.
        """

    def room(self) -> int:
        """Return how many bytes may still be stored. Raises :class:`BusyError`."""

    def enqueue(self, sender: str, key: str, job_kind: JobKind, form: UploadedForm) -> None:
        """Check what a sender uploaded, and queue it. Called in a thread."""


async def submit(request: Request, host: UploadHost) -> str:
    """Read a form, check it and queue what it is; return its id, whose hash is the key.

    Whatever goes wrong, no file remains.
    """
    job_id = new_id()
    stream = request.stream()
    slot = _Slot(host)
    try:
        await _take(request, stream, host, slot, key_of(job_id))
    except ClientDisconnect as error:
        await run_in_threadpool(host.folders.remove, key_of(job_id))
        # Nobody reads this, but it leaves no trace in the log.
        raise UploadError(400, "the connection ended in the middle of the upload") from error
    except BaseException as error:
        await run_in_threadpool(host.folders.remove, key_of(job_id))
        if isinstance(error, Exception):
            await _drain(stream)
        raise _explain(error) from error
    finally:
        slot.free()
    return job_id


class _Slot:
    """One of so many uploads at once.

    It is taken when the sender has shown the token: strangers must not fill all of them.
    """

    def __init__(self, host: UploadHost) -> None:
        self._host = host
        self._is_taken = False

    def take(self) -> None:
        """Take it, unless it is taken. Raises :class:`BusyError` where there is none."""
        if self._is_taken:
            return
        limit = self._host.limits.uploads
        if self._host.uploads >= limit:
            raise BusyError(f"expected fewer than {limit} uploads at once; try again in a moment")
        self._host.uploads += 1
        self._is_taken = True

    def free(self) -> None:
        """Give it back, if it was taken."""
        self._host.uploads -= self._is_taken
        self._is_taken = False


class _Admission:
    """Who sends an upload: known by the header, or by a field of the form before its first file.

    Args:
        host: that knows the tokens.
        on_admitted: called once it is known.
    """

    def __init__(self, host: UploadHost, on_admitted: Callable[[], None]) -> None:
        self.sender = ""
        self._host = host
        self._on_admitted = on_admitted
        self._is_known = False

    def by_header(self, token: str | None) -> bool:
        """Whether the header's token, or none, is enough.

        Raises :class:`UploadError` for a wrong one.
        """
        if self._admitted(token):
            return True
        if token is not None:
            raise UploadError(401, NO_TOKEN)
        return False

    def by_form(self, token: str | None) -> None:
        """Take the token of the form, if one is needed still. Raises :class:`UploadError`."""
        if not (self._is_known or self._admitted(token)):
            raise UploadError(401, NO_TOKEN)

    def _admitted(self, token: str | None) -> bool:
        sender = self._host.sender(token)
        if sender is None:
            return False
        self.sender = sender
        self._is_known = True
        self._on_admitted()
        return True


async def _take(
    request: Request, stream: AsyncIterator[bytes], host: UploadHost, slot: _Slot, key: str
) -> None:
    job_kind = _requested_kind(request, host)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + host.limits.upload_seconds
    # Who has shown no token yet gets little time to do so, or could hold connections for hours.
    async with asyncio.timeout(_TOKEN_SECONDS) as patience:

        def allow() -> None:
            slot.take()
            # Tokens are looked up in a thread.
            loop.call_soon_threadsafe(patience.reschedule, deadline)

        admission = _Admission(host, allow)
        await run_in_threadpool(admission.by_header, bearer_of(request))
        max_bytes = await _max_bytes(request, host)
        folder = await run_in_threadpool(host.folders.make, key)
        form = await receive_form(
            stream,
            request.headers.get("content-type", ""),
            folder / "upload",
            job_kind,
            UploadTerms(max_bytes, admission.by_form),
        )
    await run_in_threadpool(host.enqueue, admission.sender, key, job_kind, form)


async def _max_bytes(request: Request, host: UploadHost) -> int:
    """Return how large an upload may be; one that says it is larger is refused before it comes."""
    room = await run_in_threadpool(host.room)
    limit = min(host.limits.upload_bytes, room)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise UploadError(
            413, f"expected an upload of at most {limit} bytes, got one of {declared[:20]}"
        )
    return limit


def _requested_kind(request: Request, host: UploadHost) -> JobKind:
    """Return the kind that the address names, which is known before the body comes."""
    names = tuple(host.kinds)
    name = request.query_params.get("kind", "")
    # Where there is one kind, nobody has to name it.
    if "kind" not in request.query_params and len(names) == 1:
        name = names[0]
    if name not in host.kinds:
        raise InputError(
            f"expected the kind of job in the address, as ?kind=NAME with one of {', '.join(names)}"
        )
    return host.kinds[name]


def bearer_of(request: Request) -> str | None:
    """Return the token that a header shows, None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return token.strip()


def _explain(error: BaseException) -> BaseException:
    if isinstance(error, TimeoutError):
        return UploadError(408, "the upload took too long; try again over a faster connection")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UploadError(507, "the server's disk is full; try again later")
    return error


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Read on for a while without keeping anything: a browser shows no answer that comes before it
    has sent everything.
    """
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in stream:
                pass
