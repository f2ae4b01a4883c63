"""Drawing on pictures: skeletons, boxes, labels, traces. Every function returns the picture that it changed in place."""

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

_SUBPIXEL = 3  # OpenCV's fixed point: coordinates in eighths of a pixel

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
"""Fonts of usual systems, tried for text that OpenCV's own strokes, which know ASCII only, cannot write."""

_HERSHEY_PIXELS = 22
"""Height in pixels of OpenCV's letters at scale 1, so that other fonts come out as large."""


def _in_place(draw: Callable[Concatenate[Image, P], Image]) -> Callable[Concatenate[Image, P], Image]:
    """Let a function that draws take any uint8 picture that can be written to, such as a mirrored view of one."""

    @wraps(draw)
    def checked(image: Image, /, *args: P.args, **kwargs: P.kwargs) -> Image:
        is_picture = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
        if not is_picture or image.shape[2] != 3:
            what = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise InputError(f"expected a picture to draw on, (height, width, 3) uint8, got {what}; as_rgb makes one")
        if not image.flags.writeable:
            raise InputError("expected a picture that can be drawn on, got a read-only array: give a copy of it")
        if image.flags.c_contiguous:
            return draw(image, *args, **kwargs)
        image[...] = draw(np.ascontiguousarray(image), *args, **kwargs)
        return image

    return checked


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
    """Draw lines between points and a dot on each; ``points`` is (n, 2 or more) pixels, points with NaN are left out."""
    xy = np.asarray(points, dtype=np.float64)[:, :2]
    fixed = _fixed(xy)
    known = np.atleast_1d(np.isfinite(xy).all(axis=1))
    for start, end in bones:
        if known[start] and known[end]:
            cv2.line(image, fixed[start], fixed[end], colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    for point in np.flatnonzero(known):
        cv2.circle(image, fixed[point], (thickness + 1) << _SUBPIXEL, (255, 255, 255), -1, cv2.LINE_AA, _SUBPIXEL)
        cv2.circle(image, fixed[point], thickness << _SUBPIXEL, colour, -1, cv2.LINE_AA, _SUBPIXEL)
    return image


@_in_place
def draw_polygon(image: Image, corners: ArrayLike, *, colour: Colour = PALETTE[0], thickness: int = 1) -> Image:
    """Draw a closed outline, such as a rotated box; ``corners`` is (n, 2) pixels."""
    outline = np.array(_fixed(np.asarray(corners, dtype=np.float64)), dtype=np.int32)
    cv2.polylines(image, [outline], True, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    return image


@_in_place
def draw_trace(image: Image, points: Sequence[ArrayLike], *, colour: Colour = PALETTE[0], thickness: int = 2) -> Image:
    """Draw the path of a point, older parts thinner; ``points`` are (2,) pixels, oldest first."""
    fixed = _fixed(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    for step, (start, end) in enumerate(pairwise(fixed), start=1):
        cv2.line(image, start, end, colour, max(1, round(thickness * step / len(fixed))), cv2.LINE_AA, _SUBPIXEL)
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
    """Write text on a filled box whose bottom left is at ``corner`` (x, y pixels), moved to stay inside the picture.

    ASCII is written with OpenCV's own strokes, anything else with a font of this machine that knows it.
    """
    box = label_box(image.shape[:2], text, corner, scale=scale)
    cv2.rectangle(image, (box.left, box.top), (box.right, box.bottom), colour, -1)
    brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]  # ITU-R BT.601
    ink = (255, 255, 255) if brightness < 140 else (20, 20, 20)
    if text.isascii():
        _, baseline = _stroked_size(text, scale)
        place = (box.left + 3, box.bottom - baseline - 1)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
        return image
    canvas = PillowImage.fromarray(image)
    font = _font(text, _font_pixels(scale))
    ImageDraw.Draw(canvas).text((box.left + 3, box.top + 1), text, fill=ink, font=font)
    image[...] = np.asarray(canvas)
    return image


def label_box(size: tuple[int, int], text: str, corner: Sequence[float], *, scale: float = 0.5) -> LabelBox:
    """Return where :func:`draw_label` puts a text in a picture of (height, width)."""
    if text.isascii():
        (width, height), baseline = _stroked_size(text, scale)
        height += baseline + 4
    else:
        left, top, right, bottom = _font(text, _font_pixels(scale)).getbbox(text)
        width = int(right - min(left, 0))
        height = int(bottom - min(top, 0)) + 4
    x, y = np.nan_to_num(np.asarray(corner, dtype=np.float64)).tolist()
    x = int(np.clip(x, 0, max(0, size[1] - width - 6)))
    y = int(np.clip(y, min(height, size[0]), size[0]))
    return LabelBox(x, y - height, x + width + 6, y)


def _stroked_size(text: str, scale: float) -> tuple[tuple[int, int], int]:
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    return (width, height), baseline


def _font_pixels(scale: float) -> int:
    return max(8, round(_HERSHEY_PIXELS * scale * 1.2))  # letters are some five sixths of a font's size


@lru_cache(maxsize=64)
def _font(text: str, pixels: int) -> Any:
    """Return the first font that knows every letter of a text, else the one that knows most."""
    fonts = [font for name in _FONTS if (font := _loaded(name, pixels)) is not None]
    fonts.append(ImageFont.load_default(pixels))
    return max(fonts, key=lambda font: sum(_knows(font, letter) for letter in set(text)))


def _loaded(name: str, pixels: int) -> Any:
    try:
        return ImageFont.truetype(name, pixels)
    except OSError:  # this machine does not have it
        return None


def _knows(font: Any, letter: str) -> bool:
    """Whether a font has a glyph for a letter: what it has none for looks like a letter that no font has."""
    return letter.isspace() or _shape_of(font, letter) != _shape_of(font, "\U0010ffff")


def _shape_of(font: Any, letter: str) -> bytes:
    mask: NDArray[np.uint8] = np.asarray(font.getmask(letter))
    return bytes(mask)


def _fixed(xy: Any) -> list[tuple[int, int]]:
    safe = np.clip(np.nan_to_num(xy), -8191, 32767)
    return [(int(x), int(y)) for x, y in np.rint(safe * (1 << _SUBPIXEL))]
