"""Forms with files, written to disk as they come: nothing of a file's size is ever in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from handheld.errors import MissingDependencyError
from handheld.service._form import FormReader, UploadedForm, UploadError, UploadTerms
from handheld.service.jobs.kinds import JobKind

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
    from starlette.concurrency import run_in_threadpool
except ImportError as error:
    raise MissingDependencyError("python-multipart", "server", "uploads") from error


_SILENCE_SECONDS = 30.0
"""Without a byte, after which an upload has ended."""


async def receive_form(
    stream: AsyncIterator[bytes],
    content_type: str,
    folder: Path,
    job_kind: JobKind,
    terms: UploadTerms,
) -> UploadedForm:
    """Read a ``multipart/form-data`` body into a folder.

    Args:
        stream: pieces of the body.
        content_type: of the request.
        folder: for the files.
        job_kind: which fields there may be.
        terms: that the body has to keep to.

    Raises:
        UploadError: what is too large, not allowed, broken, or silent for half a minute.
        InputError: a field that is wrong.
    """
    name, options = parse_options_header(content_type)
    if name != b"multipart/form-data" or b"boundary" not in options:
        raise UploadError(
            415, f"expected a body of type multipart/form-data, got {content_type[:80]!r}"
        )
    reader = FormReader(folder, job_kind, terms)
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        while (chunk := await _next(stream)) is not None:
            # Before it is parsed: what is too much must not reach the disk.
            reader.count(len(chunk))
            # In a thread, as it writes files, and others' requests would wait for the disk.
            await run_in_threadpool(parser.write, chunk)
        if not reader.ended:
            raise UploadError(400, "the upload ends in the middle; send it again")
    except FormParserError as error:
        raise UploadError(400, f"expected a multipart body, got a broken one: {error}") from error
    finally:
        reader.close()
    # For a form without any file: the reader asks before the first one.
    await run_in_threadpool(reader.admit)
    reader.form.values.pop("token", None)
    return reader.form


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    """Return the next piece of a body, None at its end."""
    try:
        async with asyncio.timeout(_SILENCE_SECONDS):
            return await anext(stream, None)
    except TimeoutError as error:
        raise UploadError(
            408, f"nothing came for {_SILENCE_SECONDS:.0f} seconds; send it again"
        ) from error
