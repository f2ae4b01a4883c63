"""Which anchors answer for which palm."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.hands.palm import anchor_centres
from handheld.hands.training.examples.canvas import PalmScene
from handheld.hands.training.palm.network import STRIDES, VALUES, PalmShape

Floats = NDArray[np.float32]

# Sides of the boxes that a grid answers for, in its strides: neighbours share those in between, so
# that no size falls between two grids.
_SIZES = {8: (0.0, 4.5), 16: (1.75, 5.5), 32: (2.25, 1e9)}

# Of a box's side: anchors whose centre is this near to the box's centre answer for it.
_REACH = 0.3

# Likewise: those that are no nearer than that are background; nothing is taught to those between.
_SURROUNDINGS = 0.5

# Strides: even the smallest palm has an anchor within that.
_AT_LEAST = 0.75


class AnchorTargets(NamedTuple):
    """What the anchors of one scene shall say.

    Attributes:
        labels: (anchors,) 1 for a palm, 0 for background, -1 where nothing is taught.
        values: (anchors, 18) as ``PalmOutput`` has them; nothing where the label is not 1.
        sides: (anchors,) of the boxes, in strides; 1 where the label is not 1.
    """

    labels: NDArray[np.int8]
    values: Floats
    sides: Floats


class AnchorGrid:
    """The anchors of a detector."""

    def __init__(self, shape: PalmShape) -> None:
        self.size = shape.size
        self.centres = anchor_centres(shape.geometry) * shape.size
        self.strides = np.concatenate(
            [np.full((shape.size // stride) ** 2, stride, np.float32) for stride in STRIDES]
        )
        limits = np.array([_SIZES[int(stride)] for stride in self.strides], np.float32)
        self.smallest = limits[:, 0] * self.strides
        self.largest = limits[:, 1] * self.strides

    def targets(self, scene: PalmScene) -> AnchorTargets:
        """Return what the anchors shall say of a scene.

        An anchor that could answer for two palms answers for the one whose centre is nearer.
        """
        count = len(self.centres)
        labels = np.full(count, 0 if scene.complete else -1, np.int8)
        values = np.zeros((count, VALUES), np.float32)
        sides = np.ones(count, np.float32)
        nearest = np.full(count, np.inf, np.float32)
        for box in scene.background * self.size:
            labels[self._within(box, 0.5)] = 0
        for box in scene.ignored * self.size:
            labels[self._within(box, _SURROUNDINGS)] = -1
        for box, keypoints in zip(
            scene.boxes * self.size, scene.keypoints * self.size, strict=True
        ):
            side = max(float(box[2]), float(box[3]))
            apart = self._apart(box)
            around = apart < np.maximum(_SURROUNDINGS * side, 2 * _AT_LEAST * self.strides)
            if not scene.complete:
                # What is near a hand that is known is known too.
                labels[(apart < 1.5 * side) & ~around & (labels < 1)] = 0
            labels[around & (labels < 1)] = -1
            mine = self._answering(apart, side) & (apart < nearest)
            labels[mine] = 1
            nearest[mine] = apart[mine]
            sides[mine] = side / self.strides[mine]
            values[mine] = self._values(box, keypoints, mine)
        return AnchorTargets(labels, values, sides)

    def _apart(self, box: Floats) -> Floats:
        """Return how far each anchor is from a box's centre, along the axis on
        which it is farther; pixels.
        """
        return np.asarray(np.abs(self.centres - box[:2]).max(axis=1), np.float32)

    def _within(self, box: Floats, share: float) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = (np.abs(self.centres - box[:2]) < share * box[2:] + 1).all(
            axis=1
        )
        return inside

    def _answering(self, apart: Floats, side: float) -> NDArray[np.bool_]:
        fits = (self.smallest <= side) & (side < self.largest)
        near = apart < np.maximum(_REACH * side, _AT_LEAST * self.strides)
        return np.asarray(fits & near, np.bool_)

    def _values(self, box: Floats, keypoints: Floats, anchors: NDArray[np.bool_]) -> Floats:
        centres = self.centres[anchors]
        strides = self.strides[anchors, None]
        middle = (box[:2] - centres) / strides
        logarithms = np.log(box[2:] / strides)
        points = (keypoints[None] - centres[:, None]) / strides[:, None]
        return np.concatenate([middle, logarithms, points.reshape(-1, VALUES - 4)], axis=1)
