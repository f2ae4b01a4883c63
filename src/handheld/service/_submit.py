"""Taking in a new job."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import suppress

from handheld.errors import BusyError, InputError, MissingDependencyError
from handheld.service._context import ServiceContext
from handheld.service._form import NO_TOKEN, UploadedForm, UploadError, UploadTerms, is_token
from handheld.service._upload import receive_form
from handheld.service.jobs.folders import key_of, new_id
from handheld.service.jobs.kinds import JobKind

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_DRAIN_SECONDS = 5.0  # enough for small forms; no stranger keeps us longer
_TOKEN_SECONDS = 30.0  # in which the token must come


async def submit(request: Request, context: ServiceContext) -> str:
    """Read a form, check it and queue its job; return the job's id.

    Whatever goes wrong, no file remains.
    """
    job_id = new_id()
    stream = request.stream()
    slot = _Slot(context)
    try:
        await _take(request, stream, context, slot, key_of(job_id))
    except ClientDisconnect as error:
        await run_in_threadpool(context.folders.remove, key_of(job_id))
        # Nobody reads this, but it leaves no trace in the log.
        raise UploadError(400, "the connection ended in the middle of the upload") from error
    except BaseException as error:
        await run_in_threadpool(context.folders.remove, key_of(job_id))
        if isinstance(error, Exception):
            await _drain(stream)
        raise _explain(error) from error
    finally:
        slot.free()
    context.worker.wake()
    return job_id


class _Slot:
    """One of so many uploads at once.

    It is taken when the sender has shown the token: strangers must not fill all of them.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._is_taken = False

    def take(self) -> None:
        """Take it, unless it is taken. Raises :class:`BusyError` where there is none."""
        if self._is_taken:
            return
        limit = self._context.limits.uploads
        if self._context.uploads >= limit:
            raise BusyError(f"expected fewer than {limit} uploads at once; try again in a moment")
        self._context.uploads += 1
        self._is_taken = True

    def free(self) -> None:
        """Give it back, if it was taken."""
        self._context.uploads -= self._is_taken
        self._is_taken = False


async def _take(
    request: Request, stream: AsyncIterator[bytes], context: ServiceContext, slot: _Slot, key: str
) -> None:
    job_kind = _requested_kind(request, context)
    token = _missing_token(request, context)
    if token is None:
        slot.take()
    max_bytes = await _max_bytes(request, context)
    folder = await run_in_threadpool(context.folders.make, key)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + context.limits.upload_seconds
    seconds = context.limits.upload_seconds
    # Who has shown no token yet gets little time to do so, or could hold connections for hours.
    if token is not None:
        seconds = _TOKEN_SECONDS
    async with asyncio.timeout(seconds) as patience:

        def allow() -> None:
            slot.take()
            # The parser runs in a thread.
            loop.call_soon_threadsafe(patience.reschedule, deadline)

        form = await receive_form(
            stream,
            request.headers.get("content-type", ""),
            folder / "upload",
            job_kind,
            UploadTerms(max_bytes, token, on_allowed=allow),
        )
    await run_in_threadpool(_queue, context, job_kind, key, form)


def _missing_token(request: Request, context: ServiceContext) -> str | None:
    """Return the token that the form must still show; None if the header did, or none is needed.

    Raises :class:`UploadError` for a wrong one in the header.
    """
    bearer = _bearer(request)
    if is_token(bearer, context.token):
        return None
    if bearer is not None:
        raise UploadError(401, NO_TOKEN)
    return context.token


async def _max_bytes(request: Request, context: ServiceContext) -> int:
    """Return how large an upload may be; one that says it is larger is refused before it comes."""
    room = await run_in_threadpool(context.queue.room)
    limit = min(context.limits.upload_bytes, room)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise UploadError(
            413, f"expected an upload of at most {limit} bytes, got one of {declared[:20]}"
        )
    return limit


def _queue(context: ServiceContext, job_kind: JobKind, key: str, form: UploadedForm) -> None:
    spec = job_kind.parse(form.values, form.files)
    spec = job_kind.check(context.folders.of(key) / "upload", spec)
    context.queue.submit(key, job_kind.name, spec, size=context.folders.bytes_of(key))


def _requested_kind(request: Request, context: ServiceContext) -> JobKind:
    """Return the kind that the address names, which is known before the body comes."""
    names = tuple(context.kinds)
    name = request.query_params.get("kind", "")
    # Where there is one kind, nobody has to name it.
    if "kind" not in request.query_params and len(names) == 1:
        name = names[0]
    if name not in context.kinds:
        raise InputError(
            f"expected the kind of job in the address, as ?kind=NAME with one of {', '.join(names)}"
        )
    return context.kinds[name]


def _bearer(request: Request) -> str | None:
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
