"""Photos of people who show digits in sign language, as gestures."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

DIGITS: tuple[str, ...] = (
    "closed fist",
    "pointing",
    "victory",
    "three",
    "four",
    "open palm",
    "six",
    "seven",
    "eight",
    "ok",
)
"""Digit -> the gesture of ``postures.SHOWN`` that shows it."""

NUMBERS: Mapping[str, str] = dict(
    zip(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        DIGITS,
        strict=True,
    )
)
"""Names of the table ``american`` -> gestures."""

_MARGIN = 50


def padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a photo (H, W, 3) with a border of 50 pixels of its edge's colours.

    Hands fill these photos up to the edge, and the palm detector learned on hands that do not.
    """
    margins = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
    return np.pad(image, margins, mode="edge")
