"""Arrays as pictures: which axis has the channels, and which number is white.

What could be read in two ways is refused.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data._options import FIRST
from handheld.errors import InputError

DARK = 128
"""Half of white: among many pictures some number is above it."""

COUNTS = (1, 3)  # grey, or red, green and blue
_ALPHA = 4  # channels of what has alpha too, which is refused by name
_PLAUSIBLE = (*COUNTS, _ALPHA)
_WHITES = {"f": (1, 255), "u": (255, 65535), "i": (255, 65535), "b": (1,)}
"""Kind of a numpy type -> what white is where pictures are kept so."""

SAY_WHITE = "say which number is white: white=1, white=255 ... (`white` under [data])"
_SAY_CHANNELS = (
    'say where the channels are: channels="first" or channels="last" (`channels` under [data])'
)


def channels_last(
    pictures: NDArray[np.generic], said: str | None, location: str
) -> NDArray[np.generic]:
    """Return pictures as (..., height, width, channels).

    Args:
        pictures: (..., height, width, channels) or (..., channels, height, width).
        said: which of them, "first" or "last"; None: as the numbers of channels say, 1 or 3.
        location: of messages: the file or example.

    Raises:
        InputError: both could be, or there are other numbers of channels.
    """
    is_first = said == FIRST
    if said is None:
        is_first = _is_first(pictures, location)
    shape = _shape_of(pictures)
    # From the end, so that one picture and an array of many are treated alike.
    if is_first:
        pictures = np.moveaxis(pictures, -3, -1)
    count = pictures.shape[-1]
    if count == _ALPHA:
        raise InputError(
            f"{location}: {shape} has 4 channels, and what lies under alpha has no colour: lay the "
            "pictures on a background and give 3 channels (pictures in files, and Pillow's, are "
            "laid on white)"
        )
    if count not in COUNTS:
        channels = f"{count} channels"
        if said is not None:
            channels += f" {said}"
        raise InputError(
            f"{location}: {shape} has {channels}, expected 1 or 3, last or first: {_SAY_CHANNELS}"
        )
    return pictures


def _is_first(pictures: NDArray[np.generic], location: str) -> bool:
    """Whether the channels come first, where nobody says it."""
    first = pictures.shape[-3]
    last = pictures.shape[-1]
    # Four rows are a low picture rather than red, green, blue and alpha; four at the end could be
    # either.
    if first in COUNTS and last in _PLAUSIBLE:
        shape = _shape_of(pictures)
        raise InputError(
            f"{location}: {shape} could have its channels first or last: {_SAY_CHANNELS}"
        )
    return first in _PLAUSIBLE and last not in _PLAUSIBLE


def _shape_of(pictures: NDArray[np.generic]) -> str:
    return " x ".join(map(str, pictures.shape[-3:]))


def white_of(dtype: np.dtype[Any], low: float, high: float, location: str) -> float:
    """Return which number is white in pictures of a type, whose numbers are in [low, high].

    Raises:
        InputError: none or several could be; pictures are dark where none comes near the half of
            what would be white.
    """
    whites = _WHITES.get(dtype.kind, ())
    # From the smallest on: what fits into 0 to 1 fits into 0 to 255 too.
    for white in whites:
        # Fractions may be dark all the same: taken for bytes they would all be black.
        is_bright = white / 2 < high or white == 1
        if low >= 0 and high <= white and is_bright:
            return white
    expected = " or ".join(f"0 to {white}" for white in whites) or "uint8"
    raise InputError(
        f"{location}: {dtype} of {low:.4g} to {high:.4g}; expected {expected}, not normalised: "
        f"{SAY_WHITE}"
    )


def to_bytes(pictures: NDArray[np.generic], white: float, location: str) -> NDArray[np.uint8]:
    """Return numbers of 0 to ``white`` as uint8.

    Raises :class:`InputError` for numbers that are not among them.
    """
    if white == 255 and pictures.dtype == np.uint8:
        return pictures.astype(np.uint8, copy=False)
    low, high = bounds(pictures)
    if not 0 <= low <= high <= white:
        raise InputError(
            f"{location}: values of {low:.4g} to {high:.4g}; expected 0 to {white:g}, "
            "which is white"
        )
    # In 32 bits: float16 has no number for 65535, and 64 bits take twice the memory.
    scaled = pictures.astype(np.float32) * np.float32(255 / white)
    rounded: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return rounded


def bounds(pictures: NDArray[np.generic]) -> tuple[float, float]:
    """Return the smallest and the largest number; 0 and 0 of none."""
    if not pictures.size:
        return 0.0, 0.0
    return float(pictures.min()), float(pictures.max())


def brightest_of(pictures: NDArray[Any]) -> int:
    """Return the largest number of pictures of whole numbers; 0 of none."""
    return int(pictures.max(initial=0))
