"""What is known of the hands in a picture: the one form in which photos and renders reach the networks."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

LabelSource: TypeAlias = Literal["true", "rendered", "teacher"]
"""Who says so: a person, the renderer, or another model."""


@dataclass(frozen=True, eq=False)
class LabelledHand:
    """One hand in a picture, as far as it is known.

    Attributes:
        keypoints: (21, 3) x and y in pixels, z in the same scale relative to the wrist; NaN where
            unknown.
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
