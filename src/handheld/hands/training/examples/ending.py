"""Hands that reach out of the picture, from pictures of whole ones: the picture ends within them.

In photos that people took of hands all of the hand is seen, but a hand that hangs beside a person
who stands before a camera is cut by the picture's border.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]

MOST_OUTSIDE = 14
"""Keypoints of 21 that are beyond the picture's end at most: of a hanging hand all fingers are."""


def ended_within(
    pixels: Pixels, keypoints: NDArray[np.floating[Any]], rng: np.random.Generator
) -> Pixels:
    """Return a picture that ends within a hand; beyond its end the last pixels are repeated, as a
    tracker fills what a region shows beyond the border.

    Args:
        pixels: (H, W, 3) of a picture.
        keypoints: (21, 2 or 3) of a hand in it, pixels.
        rng: of the side on which it ends, and of where.
    """
    # As if it always ended below: turned so, and back.
    turns = int(rng.integers(4))
    turned = np.rot90(pixels, turns).copy()
    end = _end_below(_turned(keypoints, turns, pixels.shape), rng)
    # Whole coordinates are middles of pixels; a line at least is left to repeat.
    row = int(np.clip(np.rint(end) + 1, 1, len(turned)))
    turned[row:] = turned[row - 1]
    return np.ascontiguousarray(np.rot90(turned, -turns))


def _end_below(heights: NDArray[np.floating[Any]], rng: np.random.Generator) -> float:
    """Return a height between two keypoints, so that some are below it."""
    known = np.sort(heights[np.isfinite(heights)])[::-1]
    outside = int(rng.integers(1, min(MOST_OUTSIDE, len(known) - 1) + 1))
    return float(rng.uniform(known[outside], known[outside - 1]))


def _turned(
    keypoints: NDArray[np.floating[Any]], turns: int, shape: tuple[int, ...]
) -> NDArray[np.floating[Any]]:
    """Return how far down keypoints (21,) are in a picture that was turned to the left so often."""
    height, width = shape[:2]
    x, y = keypoints[:, 0], keypoints[:, 1]
    return (y, width - 1 - x, height - 1 - y, x)[turns]
