"""Bodies of requests, as long as they may be and no longer, and not for ever."""

import asyncio

from handheld.errors import MissingDependencyError
from handheld.service.intake import UploadError

try:
    from starlette.requests import ClientDisconnect, Request
except ImportError as error:
    raise MissingDependencyError("starlette", "server", "a server") from error

_SILENCE_SECONDS = 10.0  # without a byte, after which a body has ended
_LEAST_RATE = 2_000  # bytes a second of a device on a poor network
_GRACE_SECONDS = 10.0


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body of a request.

    Args:
        request: of a device.
        most_bytes: that it may have.

    Raises:
        UploadError: it is longer, too slow, or broken off.
    """
    announced = request.headers.get("content-length", "0")
    # int() takes digits of all scripts, and long ones for seconds.
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most_bytes:
        raise UploadError(413, f"expected at most {most_bytes} bytes")
    pieces: list[bytes] = []
    size = 0
    try:
        # A body that comes byte by byte would else hold a connection and its memory for days.
        async with asyncio.timeout(_GRACE_SECONDS + most_bytes / _LEAST_RATE):
            stream = request.stream()
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    piece = await anext(stream, None)
                if piece is None:
                    return b"".join(pieces)
                size += len(piece)
                if size > most_bytes:
                    raise UploadError(413, f"expected at most {most_bytes} bytes")
                pieces.append(piece)
    except TimeoutError as error:
        raise UploadError(408, "the body took too long") from error
    except ClientDisconnect as error:
        raise UploadError(400, "the connection ended") from error
