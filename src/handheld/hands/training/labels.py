"""What is known of the hands in a picture: the one form in which photos and
renders reach the networks.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

LabelSource: TypeAlias = Literal["true", "rendered", "teacher"]
"""Who says so: a person, the renderer, or another model."""


@dataclass(frozen=True, eq=False)
class LabelledHand:
    """One hand in a picture, as far as it is known.

    Attributes:
        keypoints: (21, 3) x and y in pixels, z in the same scale relative to the
            wrist; NaN where unknown.
        source: "true" by hand, "rendered" exact, "teacher" another model's answer.
        world: (21, 3) metres, or ``None``.
        visible: (21,) whether each keypoint can be seen, or ``None`` where nobody knows.
        handedness: the person's own "Left" or "Right", as in ``HandResult``; ``None`` if unknown.
        box: (4,) x0, y0, x1, y1 of the whole hand in pixels, or ``None``.
        person: who it is, for splits and reports; empty if unknown.
    """

    keypoints: NDArray[np.floating[Any]]
    source: LabelSource
    world: NDArray[np.floating[Any]] | None = None
    visible: NDArray[np.bool_] | None = None
    handedness: Literal["Left", "Right"] | None = None
    box: NDArray[np.floating[Any]] | None = None
    person: str = ""

    def seen_from(self, corner: NDArray[Any]) -> "LabelledHand":
        """Return the hand in a picture that begins at another corner (2,) of this one, pixels."""
        x, y = corner.tolist()
        keypoints = self.keypoints - np.array([x, y, 0], self.keypoints.dtype)
        box = None if self.box is None else self.box - np.array([x, y, x, y])
        return replace(self, keypoints=keypoints, box=box)


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """A picture with its hands.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        hands: those that are labelled.
        complete: whether every hand in the picture is labelled; only then is the rest background.
        mask: (H, W) uint8, number of the hand from 1 in each pixel, 0 elsewhere; or ``None``.
        depth: (H, W) float32 metres, infinite where nothing is; or ``None``.
    """

    pixels: NDArray[np.uint8]
    hands: tuple[LabelledHand, ...]
    complete: bool
    mask: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None


PALM_KEYPOINTS = (0, 5, 9, 13, 17, 1, 2)
"""Of the 21 keypoints the seven of a palm: wrist, four knuckles, two at the thumb's base."""

# Side of MediaPipe's palm boxes against the long side around the seven keypoints: the median of 296
# hands in six sets of photos (1.05, standard deviation 0.09; their centres differ by 0.004).
_PALM_SCALE = 1.05


def palm_box(
    keypoints: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return the palm of a hand as MediaPipe's detector means it.

    Args:
        keypoints: (21, 2 or more) pixels; NaN where unknown.

    Returns:
        The square box (4,) x0, y0, x1, y1, and the palm's seven keypoints (7, 2), both in pixels
        and NaN where a keypoint that they need is unknown.
    """
    points = keypoints[list(PALM_KEYPOINTS), :2]
    # `min`, not `nanmin`: of a palm whose edge is unknown nobody can say how large it is.
    low = points.min(axis=0)
    high = points.max(axis=0)
    centre = (low + high) / 2
    half = _PALM_SCALE / 2 * (high - low).max()
    return np.concatenate([centre - half, centre + half]), points
