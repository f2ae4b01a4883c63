"""Hands that reach out of the picture, from pictures of whole ones: the picture ends within them.

In photos that people took of hands all of the hand is seen, but a hand that hangs beside a person
who stands before a camera is cut by the picture's border.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.examples.canvas import Area

Pixels: TypeAlias = NDArray[np.uint8]
Keypoints: TypeAlias = NDArray[np.floating[Any]]

MOST_OUTSIDE = 14
"""Keypoints of 21 that are beyond the picture's end at most: of a hanging hand all fingers are."""


def draw_end(pixels: Pixels, keypoints: Keypoints, rng: np.random.Generator) -> Area:
    """Choose what is still seen of a picture that ends within a hand, on any of its four sides.

    Args:
        pixels: (H, W, 3) of the picture.
        keypoints: (21, 2 or 3) of the hand, pixels; two at least are known.
        rng: of the side, and of how many keypoints are beyond it, ``MOST_OUTSIDE`` at most.
    """
    height, width = pixels.shape[:2]
    axis = int(rng.integers(2))
    is_far_side = rng.random() < 0.5
    along = keypoints[:, axis]
    known = np.sort(along[np.isfinite(along)])
    outside = int(rng.integers(1, min(MOST_OUTSIDE, len(known) - 1) + 1))
    last = len(known) - outside if is_far_side else outside
    # Between two keypoints. Whole coordinates are middles of pixels.
    end = int(np.rint(rng.uniform(known[last - 1], known[last])))
    length = (width, height)[axis]
    # A line at least is left.
    first, stop = (0, end + 1) if is_far_side else (end, length)
    first = min(max(first, 0), length - 1)
    stop = min(max(stop, 1), length)
    if axis == 0:
        return Area(first, 0, stop, height)
    return Area(0, first, width, stop)


def ended(pixels: Pixels, seen: Area) -> Pixels:
    """Return a picture of which an area is seen; beyond it the last pixels are repeated, as a
    tracker fills what a region shows beyond the border.
    """
    height, width = pixels.shape[:2]
    beyond = ((seen.top, height - seen.bottom), (seen.left, width - seen.right), (0, 0))
    kept = pixels[seen.top : seen.bottom, seen.left : seen.right]
    return np.pad(kept, beyond, mode="edge")
