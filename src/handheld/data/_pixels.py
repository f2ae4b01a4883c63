"""Arrays as pictures: which axis has the channels, and which number is white.

What could be read in two ways is refused.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data._reading import FIRST
from handheld.errors import InputError

COUNTS = (1, 3)
_ALPHA = 4
_WHITES = {"f": (1, 255), "u": (255, 65535), "i": (255, 65535), "b": (1,)}
"""Kind of numbers -> what white is where pictures are kept so."""

SAY_WHITE = "say which number is white: white=1, white=255 ... (`white` under [data])"
_SAY_CHANNELS = (
    'say where the channels are: channels="first" or channels="last" (`channels` under [data])'
)


def channels_last(
    pictures: NDArray[np.generic], said: str | None, where: str
) -> NDArray[np.generic]:
    """Return pictures as (..., height, width, channels).

    Args:
        pictures: (..., height, width, channels) or (..., channels, height, width).
        said: which of them, "first" or "last"; None: as the numbers of channels say, 1 or 3.
        where: of messages.

    Raises:
        InputError: both could be, or there are other numbers of channels.
    """
    first, last = pictures.shape[-3], pictures.shape[-1]
    shape = " x ".join(map(str, pictures.shape[-3:]))
    # Four rows are a low picture rather than red, green, blue and alpha; four at the end could be either.
    if said is None and first in COUNTS and last in (*COUNTS, _ALPHA):
        raise InputError(f"{where}: {shape} could have its channels first or last: {_SAY_CHANNELS}")
    plausible = (*COUNTS, _ALPHA)
    is_first = said == FIRST or (said is None and last not in plausible and first in plausible)
    count = first if is_first else last
    if count == _ALPHA:
        raise InputError(
            f"{where}: {shape} has 4 channels, and what lies under alpha has no colour: lay the pictures on a background "
            "and give 3 channels (pictures in files, and Pillow's, are laid on white)"
        )
    if count not in COUNTS:
        axis = f" {said}" if said else ""
        raise InputError(
            f"{where}: {shape} has {count} channels{axis}, expected 1 or 3, last or first: {_SAY_CHANNELS}"
        )
    return np.moveaxis(pictures, -3, -1) if is_first else pictures


def white_of(kind: np.dtype[Any], low: float, high: float, where: str) -> float:
    """Return which number is white in pictures whose numbers are of a type and reach from ``low``
    to ``high``.

    Raises:
        InputError: none or several could be; pictures are dark where none comes near the half of
            what would be white.
    """
    whites = _WHITES.get(kind.kind, ())
    for white in whites:
        is_near = (
            white / 2 < high or white == 1
        )  # fractions may be dark: as bytes they would be black
        if low >= 0 and high <= white and is_near:
            return white
    wanted = " or ".join(f"0 to {white}" for white in whites) or "uint8"
    raise InputError(
        f"{where}: {kind} of {low:.4g} to {high:.4g}; expected {wanted}, not normalised: {SAY_WHITE}"
    )


def to_bytes(pictures: NDArray[np.generic], white: float, where: str) -> NDArray[np.uint8]:
    """Return numbers of 0 to ``white`` as uint8.

    Raises :class:`InputError` for numbers that are not among them.
    """
    if white == 255 and pictures.dtype == np.uint8:
        return pictures.astype(np.uint8, copy=False)
    low, high = bounds(pictures)
    if not 0 <= low <= high <= white:
        raise InputError(
            f"{where}: values of {low:.4g} to {high:.4g}; expected 0 to {white:g}, which is white"
        )
    scaled: NDArray[np.uint8] = np.rint(
        pictures.astype(np.float32) * np.float32(255 / white)
    ).astype(np.uint8)
    return scaled


def bounds(pictures: NDArray[np.generic]) -> tuple[float, float]:
    """Return the smallest and the largest number; 0 and 0 of none."""
    return (float(pictures.min()), float(pictures.max())) if pictures.size else (0.0, 0.0)
