"""Taking in a new job."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import suppress

from handheld.errors import BusyError, InputError, MissingDependencyError
from handheld.service._context import Context
from handheld.service._form import NO_TOKEN, Form, UploadError, is_token
from handheld.service._upload import receive_form
from handheld.service.jobs.folders import key_of, new_id
from handheld.service.jobs.kinds import JobKind

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_DRAIN_SECONDS = 5.0
_TOKEN_SECONDS = 30.0  # in which the token must come


async def submit(request: Request, context: Context) -> str:
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
        raise UploadError(
            400, "the connection ended in the middle of the upload"
        ) from error  # nobody reads it: no trace
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

    def __init__(self, context: Context) -> None:
        self._context = context
        self._is_taken = False

    def take(self) -> None:
        """Take it, unless it is taken. Raises :class:`BusyError` where there is none."""
        if self._is_taken:
            return
        most = self._context.limits.uploads
        if self._context.uploads >= most:
            raise BusyError(f"expected fewer than {most} uploads at once; try again in a moment")
        self._context.uploads += 1
        self._is_taken = True

    def free(self) -> None:
        """Give it back, if it was taken."""
        self._context.uploads -= self._is_taken
        self._is_taken = False


async def _take(
    request: Request, stream: AsyncIterator[bytes], context: Context, slot: _Slot, key: str
) -> None:
    kind = _kind(request, context)
    bearer = _bearer(request)
    token = None if is_token(bearer, context.token) else context.token
    if token is None:
        slot.take()
    elif bearer is not None:
        raise UploadError(401, NO_TOKEN)
    room = await run_in_threadpool(context.queue.room)
    limit = min(context.limits.upload_bytes, room)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise UploadError(
            413, f"expected an upload of at most {limit} bytes, got one of {declared[:20]}"
        )
    folder = await run_in_threadpool(context.folders.make, key)
    whole = asyncio.get_running_loop().time() + context.limits.upload_seconds
    async with asyncio.timeout(
        context.limits.upload_seconds if token is None else _TOKEN_SECONDS
    ) as patience:

        def allow() -> None:
            slot.take()
            loop.call_soon_threadsafe(patience.reschedule, whole)  # the parser runs in a thread

        loop = asyncio.get_running_loop()
        form = await receive_form(
            stream,
            request.headers.get("content-type", ""),
            folder / "upload",
            kind,
            max_bytes=limit,
            token=token,
            on_allowed=allow,
        )
    await run_in_threadpool(_queue, context, kind, key, form)


def _queue(context: Context, kind: JobKind, key: str, form: Form) -> None:
    spec = kind.check(context.folders.of(key) / "upload", kind.parse(form.values, form.files))
    context.queue.submit(key, kind.name, spec, size=context.folders.bytes_of(key))


def _kind(request: Request, context: Context) -> JobKind:
    """Return the kind that the address names, which is known before the body comes."""
    names = tuple(context.kinds)
    name = request.query_params.get("kind", names[0] if len(names) == 1 else "")
    if name not in context.kinds:
        raise InputError(
            f"expected the kind of job in the address, as ?kind=NAME with one of {', '.join(names)}"
        )
    return context.kinds[name]


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


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
