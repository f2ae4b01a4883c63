"""Encoded pictures as arrays, read by Pillow."""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from handheld.errors import MediaError, TooManyPixelsError
from handheld.pictures.formats import FORMATS, MAX_PIXELS, Picture
from handheld.pictures.modes import in_full_range, to_rgb, with_whole_key, without_empty_alpha
from handheld.pictures.pillow import Image, ImageOps, ImageSequence, UnidentifiedImageError

_ANIMATED = ("WEBP", "GIF", "PNG", "AVIF")
"""Formats whose pictures follow one another in time: pages of a TIFF do not."""

_TIFF = (b"II*\0", b"MM\0*")
"""How files of it begin."""


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
    """Yield the pictures of an animated file (WebP, GIF, APNG, AVIF), or the first of any other.

    Raises as :func:`decode`.
    """
    with _opened(io.BytesIO(content), name) as opened:
        with _explained(name):
            last = _count(opened)
        for picture in islice(_frames(opened, name), _first(opened), last):
            array = to_rgb(_loaded(picture, name), name)
            # Known once the pixels are; 100 is what browsers take where a file says 0 or nothing.
            milliseconds = float(picture.info.get("duration") or 100)
            yield TimedPicture(array, milliseconds / 1000)


def is_animated(content: bytes, name: str = "picture") -> bool:
    """Whether :func:`decode_animation` gives more than one picture. Raises as :func:`decode`."""
    with _opened(io.BytesIO(content), name) as opened, _explained(name):
        return _count(opened) - _first(opened) > 1


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
    width, height = _in_header(path, name, lambda opened: opened.size)
    return height, width


def orientation_of(path: str | os.PathLike[str], name: str = "") -> int:
    """Return the EXIF orientation of a picture file from its header: 1 for upright, to 8.

    From 5 on its sides change places when it is turned upright. Raises as :func:`size_of`.
    """
    # 274 is the tag's number; what is no orientation turns nothing.
    orientation = _in_header(path, name, lambda opened: opened.getexif().get(274, 1))
    return int(orientation) if orientation in range(1, 9) else 1


def _in_header(path: str | os.PathLike[str], name: str, read: Callable[[Any], Any]) -> Any:
    """Return what the header of a picture file says."""
    name = name or os.fspath(path)
    try:
        with Path(path).open("rb") as file, _opened(file, name) as opened, _explained(name):
            return read(opened)
    except (OSError, ValueError) as error:  # ValueError: its name holds a NUL
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def _opened(file: BinaryIO, name: str) -> Any:
    try:
        with warnings.catch_warnings():
            # MAX_PIXELS is the limit here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:  # its own text holds an address in memory
        raise MediaError(
            f"{name}: expected a picture ({', '.join(FORMATS)}), got {_described(file)}"
        ) from None
    # Of twice as many pixels as Pillow warns of, more than MAX_PIXELS.
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"{name}: cannot be read as a picture: {error}") from error
    except Exception as error:  # see _explained
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error
    width, height = opened.size
    if width * height > MAX_PIXELS:
        opened.close()
        raise TooManyPixelsError(
            f"{name}: has {width} x {height} pixels; expected at most {MAX_PIXELS:,} in all"
        )
    return with_whole_key(opened)


def _loaded(picture: Any, name: str) -> Any:
    """Return a picture with its pixels, upright."""
    with _explained(name):
        picture.load()
        seen = without_empty_alpha(picture)
        return in_full_range(ImageOps.exif_transpose(seen), picture)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say of a file that is damaged which one it is.

    Of such, Pillow's decoders raise whatever comes: IndexError, TypeError and struct.error too.
    """
    try:
        yield
    except Exception as error:
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def _frames(opened: Any, name: str) -> Iterator[Any]:
    pictures = ImageSequence.Iterator(opened)
    while True:
        with _explained(name):
            picture = next(pictures, None)
        if picture is None:
            return
        yield picture


def _first(opened: Any) -> int:
    """Return 1 where the first picture is for those who show no animations (APNG), else 0."""
    return int(getattr(opened, "default_image", False))


def _count(opened: Any) -> int:
    """Return how many pictures there are, up to the last that follows in time."""
    return getattr(opened, "n_frames", 1) if opened.format in _ANIMATED else 1


def _described(file: BinaryIO) -> str:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        return "an empty file"
    if file.read(4) in _TIFF:
        return "a TIFF of a form that is not read: save it with 8 or 16 bits, or as PNG"
    file.seek(0)
    return f"{size} bytes that begin with {file.read(8)!r}"
