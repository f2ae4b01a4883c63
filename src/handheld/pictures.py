"""Encoded pictures as arrays: formats, depth, colour, orientation, sizes. The one file that imports Pillow to read them.

Every room that takes pictures from outside reads them here, so that all know the same formats and refuse the same things.
"""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MediaError, MissingDependencyError

try:
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
except ImportError as error:
    raise MissingDependencyError("pillow", "hands", "reading and writing pictures") from error

Picture = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI", "TGA")
"""What is read. EPS is not among them, nor anything else for which Pillow runs other programs."""

SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".j2k",
        ".jp2",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".qoi",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)
"""Names that pictures of these formats have, in lower case."""

MAX_PIXELS = 128_000_000
"""Of one picture: more than the 108 megapixels of today's phones. Three bytes each, and as many again while it is turned."""

_BROKEN = (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError)
"""What Pillow's decoders raise of files that are damaged."""

_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", "I", "F", *_DEEP)
_PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}


class TimedPicture(NamedTuple):
    """One picture of an animation.

    Attributes:
        picture: (height, width, 3) uint8 RGB.
        seconds: for which it is shown.
    """

    picture: Picture
    seconds: float


def decode(content: bytes, name: str = "picture") -> Picture:
    """Return an encoded picture as (height, width, 3) uint8 RGB, turned upright as its EXIF orientation says.

    16-bit numbers are scaled to 8, and so are fractions in [0, 1]; what is see-through is laid on white. Of an animation it
    is the first picture.

    Args:
        content: of a file in one of ``FORMATS``.
        name: for messages.

    Raises:
        MediaError: no picture, one of another format, a truncated one, one of more than ``MAX_PIXELS``, or one whose numbers
            have no known range; the message says which.
    """
    with _opened(content, name) as opened:
        return _as_array(_loaded(opened, name), name)


def decode_animation(content: bytes, name: str = "animation") -> Iterator[TimedPicture]:
    """Yield the pictures of an animated file (WebP, GIF, APNG), or the only one of any other. Raises as :func:`decode`."""
    with _opened(content, name) as opened:
        try:
            for picture in ImageSequence.Iterator(opened):
                array = _as_array(_loaded(picture, name), name)
                # Known once the pixels are; 100 is what browsers take where a file says 0 or nothing.
                milliseconds = float(picture.info.get("duration") or 100)
                yield TimedPicture(array, milliseconds / 1000)
        except (*_BROKEN, EOFError) as error:
            raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def of_image(image: Any, name: str = "picture") -> NDArray[np.uint8]:
    """Return a picture of Pillow's as :func:`decode` does, but one without colours as (height, width, 1), and not turned.

    Raises:
        MediaError: numbers of no known range, or a mode that cannot be read.
    """
    array = _as_array(image, name)
    return array[:, :, :1] if image.mode in _GREY else array


def to_grey(picture: Picture) -> NDArray[np.uint8]:
    """Return (height, width, 1) brightness after ITU-R BT.601, as ``engine.classify`` has it; of a grey picture its own."""
    return np.array(Image.fromarray(picture).convert("L"))[:, :, None]


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture of another (height, width), bilinearly sampled over what each pixel covers."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _opened(content: bytes, name: str) -> Any:
    try:
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:  # its own text holds an address in memory
        raise MediaError(f"{name}: expected a picture ({', '.join(FORMATS)}), got {_what(content)}") from None
    except (*_BROKEN, Image.DecompressionBombWarning) as error:
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error
    width, height = opened.size
    if width * height > MAX_PIXELS:
        opened.close()
        raise MediaError(f"{name}: has {width} x {height} pixels; expected at most {MAX_PIXELS:,} in all")
    return opened


def _loaded(picture: Any, name: str) -> Any:
    """Return a picture with its pixels, upright."""
    try:
        picture.load()
        return ImageOps.exif_transpose(picture)
    except _BROKEN as error:
        raise MediaError(f"{name}: cannot be read as a picture: {error}") from error


def _as_array(picture: Any, name: str) -> Picture:
    mode = picture.mode
    if mode == "I" or mode in _DEEP:
        return _grey(_of_whole_numbers(np.asarray(picture), name))
    if mode == "F":
        return _grey(_of_fractions(np.asarray(picture), name))
    try:
        plain = picture.convert(_PREMULTIPLIED[mode]) if mode in _PREMULTIPLIED else picture
        return np.array(_on_white(plain) if plain.has_transparency_data else plain.convert("RGB"))
    except ValueError as error:
        raise MediaError(f"{name}: pictures of mode {mode} cannot be read: {error}") from error


def _on_white(picture: Any) -> Any:
    """Return RGB as a page shows it: the colours of what is see-through are whatever some program left there."""
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _of_whole_numbers(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return 8 bits of 16, which some writers have no other way to keep than in 32."""
    low = int(values.min())
    high = int(values.max())
    if not 0 <= low <= high < 2**16:
        raise MediaError(f"{name}: expected whole numbers in [0, 65535], got {low} to {high}: scale them first")
    if 0 < high < 2**8:  # these would all be black
        raise MediaError(f"{name}: has 16 bits, of which {low} to {high} need 8 alone, so white is not known: scale it first")
    scaled: NDArray[Any] = values >> 8
    return scaled


def _of_fractions(values: NDArray[Any], name: str) -> NDArray[Any]:
    low = float(values.min())
    high = float(values.max())
    if not (low >= 0 and high <= 1):  # also where one of them is no number
        raise MediaError(f"{name}: expected fractions in [0, 1], got {low:g} to {high:g}: scale them first")
    scaled: NDArray[Any] = np.rint(values * 255)
    return scaled


def _grey(values: NDArray[Any]) -> Picture:
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def _what(content: bytes) -> str:
    return f"{len(content)} bytes that begin with {content[:8]!r}" if content else "an empty file"
