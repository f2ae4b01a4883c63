"""Hand landmarks: what the landmark model's raw output means."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

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
    to_picture = region.matrix / (geometry.size, geometry.size, 1.0)
    (a, b, left_edge), (c, d, top_edge) = to_picture.tolist()
    landmarks = np.empty((21, 3), dtype=np.float32)
    # Without a matrix product: BLAS costs more to enter than this to do.
    landmarks[:, 0] = a * x + b * y + left_edge
    landmarks[:, 1] = c * x + d * y + top_edge
    # The model's depth is in the scale of its own x.
    landmarks[:, 2] = (z - z[0]) * (region.width / geometry.size / geometry.depth_scale)
    return landmarks


def project_world(raw: Points, region: Rect) -> Points:
    """Return (21, 3) landmarks in metres, turned into the picture's axes, from (63,) raw output."""
    x, y, z = raw.reshape(21, 3).T
    # The model sees each hand upright.
    c = cos(region.angle)
    s = sin(region.angle)
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
