"""Forms with files, written to disk as they come: nothing of a file's size is ever in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

from handheld.errors import MissingDependencyError
from handheld.service._form import NO_TOKEN, Form, FormReader, UploadError, is_token
from handheld.service.kinds import JobKind

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
    from starlette.concurrency import run_in_threadpool
except ImportError as error:
    raise MissingDependencyError("python-multipart", "server", "uploads") from error


async def receive_form(
    stream: AsyncIterator[bytes], content_type: str, folder: Path, kind: JobKind, *, max_bytes: int, token: str | None
) -> Form:
    """Read a ``multipart/form-data`` body into a folder.

    ``token`` is what a field of that name must say before the first file, None if the request is known to be allowed.
    Raises :class:`UploadError` for what is too large, not allowed or broken, and :class:`InputError` for a field that is wrong.
    """
    name, options = parse_options_header(content_type)
    if name != b"multipart/form-data" or b"boundary" not in options:
        raise UploadError(415, f"expected a body of type multipart/form-data, got {content_type[:80]!r}")
    reader = FormReader(folder, kind, max_bytes, token)
    parser = MultipartParser(options[b"boundary"], reader.callbacks())
    try:
        async for chunk in stream:
            reader.count(len(chunk))
            await run_in_threadpool(parser.write, chunk)
        if not reader.ended:
            raise UploadError(400, "the upload ends in the middle; send it again")
    except FormParserError as error:
        raise UploadError(400, f"expected a multipart body, got a broken one: {error}") from error
    finally:
        reader.close()
    if not is_token(reader.form.values.pop("token", None), token):
        raise UploadError(401, NO_TOKEN)
    return reader.form
