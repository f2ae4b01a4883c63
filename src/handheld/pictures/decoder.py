"""Encoded pictures as arrays, read by Pillow."""

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from handheld.errors import MediaError, TooManyPixelsError
from handheld.pictures.formats import FORMATS, MAX_PIXELS, Picture
from handheld.pictures.modes import black_is_zero, to_rgb
from handheld.pictures.pillow import Image, ImageOps, ImageSequence, UnidentifiedImageError

_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError)
"""What Pillow's decoders raise of files that are damaged."""


class TimedPicture(NamedTuple):
    """One picture of an animation.

    Attributes:
        picture: (height, width, 3) uint8 RGB.
        seconds: for which it is shown.
    """

    picture: Picture
    seconds: float


def decode(content: bytes, name: str = "picture") -> Picture:
    """Return an encoded picture as (height, width, 3) uint8 RGB, turned upright as its EXIF
    orientation says.

    16-bit numbers are scaled to 8, and so are fractions in [0, 1]; what is see-through is laid on
    white. Of an animation it is the first picture.

    Args:
        content: of a file in one of ``FORMATS``.
        name: for messages.

    Raises:
        MediaError: no picture, one of another format, a truncated one, one of more than
            ``MAX_PIXELS``, or one whose numbers have no known range; the message says which.
    """
    with _opened(io.BytesIO(content), name) as opened:
        return to_rgb(_loaded(opened, name), name)


def decode_animation(content: bytes, name: str = "animation") -> Iterator[TimedPicture]:
    """Yield the pictures of an animated file (WebP, GIF, APNG), or the only one of any other.

    Raises as :func:`decode`.
    """
    with _opened(io.BytesIO(content), name) as opened:
        try:
            for picture in ImageSequence.Iterator(opened):
                array = to_rgb(_loaded(picture, name), name)
                # Known once the pixels are; 100 is what browsers take where a file says 0 or
                # nothing.
                milliseconds = float(picture.info.get("duration") or 100)
                yield TimedPicture(array, milliseconds / 1000)
        except (*_BROKEN, EOFError) as error:
            raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def size_of(path: str | os.PathLike[str], name: str = "") -> tuple[int, int]:
    """Return (height, width) of a picture file from its first bytes, before a turn that its header
    may ask for.

    Args:
        path: of the file.
        name: for messages; the path by default.

    Raises:
        MediaError: it cannot be read, or is no picture of ``FORMATS``.
        TooManyPixelsError: it has more than ``MAX_PIXELS``.
    """
    name = name or os.fspath(path)
    with warnings.catch_warnings():
        # MAX_PIXELS is the limit here.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Path(path).open("rb") as file, _opened(file, name) as opened:
                width, height = opened.size
        except OSError as error:
            raise MediaError(f"{name}: cannot be read as a picture: {error}") from error
    return height, width


def _opened(file: BinaryIO, name: str) -> Any:
    try:
        opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:  # its own text holds an address in memory
        raise MediaError(
            f"{name}: expected a picture ({', '.join(FORMATS)}), got {_described(file)}"
        ) from None
    # Of twice as many pixels as Pillow warns of, more than MAX_PIXELS.
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name}: cannot be read as a picture: {error}") from error
    except (*_BROKEN, Image.DecompressionBombWarning) as error:
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error
    width, height = opened.size
    if width * height > MAX_PIXELS:
        opened.close()
        raise TooManyPixelsError(
            f"{name}: has {width} x {height} pixels; expected at most {MAX_PIXELS:,} in all"
        )
    return opened


def _loaded(picture: Any, name: str) -> Any:
    """Return a picture with its pixels, upright."""
    try:
        picture.load()
        return black_is_zero(ImageOps.exif_transpose(picture), picture)
    except _BROKEN as error:
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def _described(file: BinaryIO) -> str:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        return "an empty file"
    return f"{size} bytes that begin with {file.read(8)!r}"
