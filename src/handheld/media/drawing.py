"""Drawing on pictures: skeletons, boxes, labels, traces.

Every function returns the picture that it changed in place.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from itertools import pairwise
from typing import Any, Concatenate, NamedTuple, ParamSpec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError
from handheld.media._opencv import cv2
from handheld.media.frame import Image
from handheld.pictures.pillow import Image as PillowImage
from handheld.pictures.pillow import ImageDraw, ImageFont

P = ParamSpec("P")

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""

PALETTE: tuple[Colour, ...] = (
    (255, 122, 61),
    (61, 169, 255),
    (122, 214, 92),
    (229, 92, 214),
    (255, 205, 61),
    (140, 120, 255),
)
"""Colours that differ from each other and from skin; item ``id % 6`` for the thing with that id."""

_WHITE = (255, 255, 255)
_DARK = (20, 20, 20)
_BRIGHT = 140  # brightness, of 255, from which dark letters are easier to read than white ones

_SUBPIXEL = 3  # OpenCV's fixed point: coordinates in eighths of a pixel
# Pixels. OpenCV's lines count in 32 bits, 16 of them for fractions: what lies beyond 32767 would
# come out somewhere else.
_FARTHEST = (-8191, 32767)

_STROKES = cv2.FONT_HERSHEY_SIMPLEX
_STROKE_PIXELS = 1  # thicker letters run together at the usual scale

_PADDING = 3  # pixels between a label's box and its text, at the left and at the right
_LINE_GAP = 4  # pixels that a label's box is higher than its text

# Fonts of usual systems, tried for text that OpenCV's own strokes, which know ASCII only, cannot
# write.
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansDevanagari-Regular.ttf",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msyh.ttc",
)

# Height in pixels of OpenCV's letters at scale 1, so that other fonts come out as large.
_HERSHEY_PIXELS = 22
_FONT_PER_LETTER = 1.2  # letters are some five sixths of a font's size
_SMALLEST_FONT = 8  # pixels; below, nobody can read it
_NO_LETTER = "\U0010ffff"  # the last code point, which never stands for a letter


def _in_place(
    draw: Callable[Concatenate[Image, P], Image],
) -> Callable[Concatenate[Image, P], Image]:
    """Let a function draw on any uint8 picture that can be written to.

    That may be a mirrored view of one, which OpenCV does not take.
    """

    @wraps(draw)
    def checked(image: Image, /, *args: P.args, **kwargs: P.kwargs) -> Image:
        _check_drawable(image)
        if image.flags.c_contiguous:
            return draw(image, *args, **kwargs)
        image[...] = draw(np.ascontiguousarray(image), *args, **kwargs)
        return image

    return checked


def _check_drawable(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise _no_picture(type(image).__name__)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise _no_picture(f"{image.dtype} of shape {image.shape}")
    if not image.flags.writeable:
        raise InputError(
            "expected a picture that can be drawn on, got a read-only array: give a copy of it"
        )


def _no_picture(description: str) -> InputError:
    return InputError(
        "expected a picture to draw on, (height, width, 3) uint8, "
        f"got {description}; as_rgb makes one"
    )


class LabelBox(NamedTuple):
    """Where a label lies, in pixels.

    Attributes:
        left, top, right, bottom: of its box, the last two just outside.
    """

    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: "LabelBox") -> bool:
        """Whether two boxes share a pixel."""
        is_beside = self.right <= other.left or other.right <= self.left
        is_above_or_below = self.bottom <= other.top or other.bottom <= self.top
        return not (is_beside or is_above_or_below)


@_in_place
def draw_skeleton(
    image: Image,
    points: ArrayLike,
    bones: Iterable[tuple[int, int]],
    *,
    colour: Colour = PALETTE[0],
    thickness: int = 2,
) -> Image:
    """Draw lines between points and a dot on each.

    Args:
        image: (height, width, 3) uint8.
        points: (n, 2 or more) pixels, those with NaN are left out.
        bones: pairs of numbers of points.
        colour: of lines and dots.
        thickness: of lines, and radius of dots, in pixels.
    """
    xy = np.asarray(points, dtype=np.float64)[:, :2]
    fixed = _fixed(xy)
    known = np.atleast_1d(np.isfinite(xy).all(axis=1))
    for start, end in bones:
        if known[start] and known[end]:
            _line(image, fixed[start], fixed[end], colour, thickness)
    # After all lines, so that none runs across a dot.
    for point in np.flatnonzero(known):
        _dot(image, fixed[point], thickness + 1, _WHITE)
        _dot(image, fixed[point], thickness, colour)
    return image


@_in_place
def draw_polygon(
    image: Image,
    corners: ArrayLike,
    *,
    colour: Colour = PALETTE[0],
    thickness: int = 1,
) -> Image:
    """Draw a closed outline, such as a rotated box; ``corners`` is (n, 2) pixels."""
    outline = np.array(_fixed(np.asarray(corners, dtype=np.float64)), dtype=np.int32)
    cv2.polylines(image, [outline], True, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    return image


@_in_place
def draw_trace(
    image: Image,
    points: Sequence[ArrayLike],
    *,
    colour: Colour = PALETTE[0],
    thickness: int = 2,
) -> Image:
    """Draw the path of a point, older parts thinner; ``points`` are (2,) pixels, oldest first."""
    fixed = _fixed(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    for step, (start, end) in enumerate(pairwise(fixed), start=1):
        thinned = round(thickness * step / len(fixed))
        _line(image, start, end, colour, max(1, thinned))
    return image


@_in_place
def draw_label(
    image: Image,
    text: str,
    corner: Sequence[float],
    *,
    colour: Colour = PALETTE[0],
    scale: float = 0.5,
) -> Image:
    """Write text on a filled box, moved to stay inside the picture.

    ASCII is written with OpenCV's own strokes, anything else with a font of this machine that
    knows it.

    Args:
        image: (height, width, 3) uint8.
        text: one line.
        corner: (x, y) pixels of the box's bottom left.
        colour: of the box; the text is white or dark, as can be read on it.
        scale: of the letters; they are 22 pixels high at 1.
    """
    box = label_box(image.shape[:2], text, corner, scale=scale)
    cv2.rectangle(image, (box.left, box.top), (box.right, box.bottom), colour, -1)
    if text.isascii():
        _write_strokes(image, text, box, _ink(colour), scale)
    else:
        _write_with_font(image, text, box, _ink(colour), scale)
    return image


def label_box(
    size: tuple[int, int],
    text: str,
    corner: Sequence[float],
    *,
    scale: float = 0.5,
) -> LabelBox:
    """Return where :func:`draw_label` puts a text in a picture.

    Args:
        size: (height, width) of the picture, in pixels.
        text: as there.
        corner: as there.
        scale: as there.
    """
    picture_height, picture_width = size
    text_width, text_height = _text_size(text, scale)
    width = text_width + 2 * _PADDING
    height = text_height + _LINE_GAP
    x, y = np.nan_to_num(np.asarray(corner, dtype=np.float64)).tolist()
    # A label larger than the picture begins at its left and ends at its bottom.
    left_edge = int(np.clip(x, 0, max(0, picture_width - width)))
    bottom = int(np.clip(y, min(height, picture_height), picture_height))
    return LabelBox(left_edge, bottom - height, left_edge + width, bottom)


def _write_strokes(image: Image, text: str, box: LabelBox, ink: Colour, scale: float) -> None:
    _, baseline = _stroked_size(text, scale)
    origin = (box.left + _PADDING, box.bottom - baseline - 1)
    cv2.putText(image, text, origin, _STROKES, scale, ink, _STROKE_PIXELS, cv2.LINE_AA)


def _write_with_font(image: Image, text: str, box: LabelBox, ink: Colour, scale: float) -> None:
    canvas = PillowImage.fromarray(image)
    font = _font(text, _font_pixels(scale))
    origin = (box.left + _PADDING, box.top + 1)
    ImageDraw.Draw(canvas).text(origin, text, fill=ink, font=font)
    # Pillow draws on a copy of its own.
    image[...] = np.asarray(canvas)


def _stroked_size(text: str, scale: float) -> tuple[tuple[int, int], int]:
    """Return (width, height) above the line, and the height of what reaches below it."""
    (width, height), baseline = cv2.getTextSize(text, _STROKES, scale, _STROKE_PIXELS)
    return (width, height), baseline


def _text_size(text: str, scale: float) -> tuple[int, int]:
    """Return (width, height) of a text in pixels, with what reaches below its line."""
    if text.isascii():
        (width, height), baseline = _stroked_size(text, scale)
        return width, height + baseline
    x0, y0, x1, y1 = _font(text, _font_pixels(scale)).getbbox(text)
    # A letter that begins behind the start of its line is moved there.
    return int(x1 - min(x0, 0)), int(y1 - min(y0, 0))


def _ink(colour: Colour) -> Colour:
    """Return a colour that can be read on another."""
    red, green, blue = colour
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    return _WHITE if brightness < _BRIGHT else _DARK


def _line(
    image: Image, start: tuple[int, int], end: tuple[int, int], colour: Colour, thickness: int
) -> None:
    cv2.line(image, start, end, colour, thickness, cv2.LINE_AA, _SUBPIXEL)


def _dot(image: Image, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    filled = -1
    cv2.circle(image, centre, radius << _SUBPIXEL, colour, filled, cv2.LINE_AA, _SUBPIXEL)


def _font_pixels(scale: float) -> int:
    return max(_SMALLEST_FONT, round(_HERSHEY_PIXELS * scale * _FONT_PER_LETTER))


# The text is a part of the key, since another font may be the one that knows it. 64 labels are more
# than a picture shows.
@lru_cache(maxsize=64)
def _font(text: str, pixels: int) -> Any:
    """Return the first font that knows every letter of a text, else the one that knows most."""
    loaded = [_loaded(name, pixels) for name in _FONTS]
    fonts = [font for font in loaded if font is not None]
    # Pillow's own, which every machine has, but which knows Latin letters only.
    fonts.append(ImageFont.load_default(pixels))
    letters = set(text)
    return max(fonts, key=lambda font: sum(_knows(font, letter) for letter in letters))


def _loaded(name: str, pixels: int) -> Any:
    try:
        return ImageFont.truetype(name, pixels)
    except OSError:  # this machine does not have it
        return None


def _knows(font: Any, letter: str) -> bool:
    """Whether a font has a glyph for a letter."""
    # A space has a glyph without a shape. What there is no glyph for gets the shape of all such.
    return letter.isspace() or _shape_of(font, letter) != _shape_of(font, _NO_LETTER)


def _shape_of(font: Any, letter: str) -> bytes:
    mask: NDArray[np.uint8] = np.asarray(font.getmask(letter))
    return bytes(mask)


def _fixed(xy: Any) -> list[tuple[int, int]]:
    safe = np.clip(np.nan_to_num(xy), *_FARTHEST)
    return [(int(x), int(y)) for x, y in np.rint(safe * (1 << _SUBPIXEL))]
