"""Hand landmarks: what the landmark model's raw output means."""

from dataclasses import dataclass
from math import cos, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import Points
from handheld.media import Rect
from handheld.ranges import flag, in_range, whole_in_range


@dataclass(frozen=True)
class LandmarkGeometry:
    """The layout of a landmark model.

    Attributes:
        size: side of the square input, pixels; RGB between 0 and 1.
        depth_scale: raw depth is divided by it (MediaPipe's ``normalize_z``).
        right_if_mirrored: whether the handedness output is the probability of a right hand in a
            mirrored (selfie) picture; MediaPipe's is that of a right hand in a picture that is not
            (its label file names the output "Left", mirrored).
        confidence: whether a fifth output gives the probability that each keypoint is right;
            MediaPipe's models have none.

    Raises:
        InputError: one of them is of another type or out of range.
    """

    size: int = 224
    depth_scale: float = 0.4
    right_if_mirrored: bool = False
    confidence: bool = False

    def __post_init__(self) -> None:
        whole_in_range("size", self.size, low=1)
        in_range("depth_scale", self.depth_scale, low=0, low_open=True)
        flag("right_if_mirrored", self.right_if_mirrored)
        flag("confidence", self.confidence)

    @property
    def outputs(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the model's outputs.

        They are landmarks, presence, handedness, world, and, where there is one, confidence.
        """
        # 63: x, y and z of 21 keypoints.
        shapes = ((1, 63), (1, 1), (1, 1), (1, 63))
        if self.confidence:
            return (*shapes, (1, 21))
        return shapes


def project_landmarks(raw: Points, region: Rect, geometry: LandmarkGeometry) -> Points:
    """Return (21, 3) landmarks in pixels of the picture from the (63,) raw output.

    Their z is relative to the wrist.
    """
    x, y, z = raw.reshape(21, 3).T
    landmarks = np.empty((21, 3), dtype=np.float32)
    project_points(x, y, region.matrix / (geometry.size, geometry.size, 1.0), out=landmarks)
    # The model's depth is in the scale of its own x.
    landmarks[:, 2] = (z - z[0]) * (region.width / geometry.size / geometry.depth_scale)
    return landmarks


def project_points(
    x: NDArray[Any], y: NDArray[Any], matrix: NDArray[Any], *, out: NDArray[Any]
) -> None:
    """Write what an affine map makes of points into the first two columns of an array.

    Args:
        x: (n,).
        y: (n,).
        matrix: (2, 3).
        out: (n, 2 or more).
    """
    (a, b, left_edge), (c, d, top_edge) = matrix.tolist()
    # Rounded once, at the end: in float32 each step costs a ten-thousandth of a pixel, by which
    # whoever computes the same in another order would follow a hand along another path.
    x = x.astype(np.float64)
    y = y.astype(np.float64)
    # Without a matrix product: BLAS costs more to enter than this to do.
    out[:, 0] = a * x + b * y + left_edge
    out[:, 1] = c * x + d * y + top_edge


def project_world(raw: Points, region: Rect) -> Points:
    """Return (21, 3) landmarks in metres, turned into the picture's axes, from (63,) raw output."""
    # The model sees each hand upright.
    return turn_points(raw.reshape(21, 3), region.angle)


def turn_points(points: NDArray[Any], angle: float) -> NDArray[Any]:
    """Return (n, 3) points turned around the origin in the plane of x and y.

    Args:
        points: (n, 3).
        angle: radians, clockwise where y points down.
    """
    x, y, z = points.T
    c = cos(angle)
    s = sin(angle)
    return np.stack([c * x - s * y, s * x + c * y, z], axis=1)


def is_right_hand(raw: float, geometry: LandmarkGeometry, *, mirrored: bool) -> tuple[bool, float]:
    """Return whether it is the person's right hand, and the probability of that answer, 0.5 to 1.

    Args:
        raw: the handedness output, 0 to 1.
        geometry: says what it means.
        mirrored: whether the picture is a mirror image, as selfie cameras show it.
    """
    # A mirror makes a right hand a left one.
    right = raw if mirrored == geometry.right_if_mirrored else 1 - raw
    return right >= 0.5, max(right, 1 - right)
