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


# Of a box's side: in a picture of which not all hands are known, background is taught this near to
# one that is.
_NEIGHBOURHOOD = 1.5

# What an anchor is told.
_PALM = 1
_BACKGROUND = 0
_NOTHING = -1


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
        self.strides = _anchor_strides(shape)
        # The sizes that each anchor answers for, pixels.
        limits = np.array([_SIZES[int(stride)] for stride in self.strides], np.float32)
        self.smallest = limits[:, 0] * self.strides
        self.largest = limits[:, 1] * self.strides

    def targets(self, scene: PalmScene) -> AnchorTargets:
        """Return what the anchors shall say of a scene.

        An anchor that could answer for two palms answers for the one whose centre is nearer.
        """
        targets = self._background(scene)
        nearest = np.full(len(self.centres), np.inf, np.float32)
        for fractions, points in zip(scene.boxes, scene.keypoints, strict=True):
            box = fractions * self.size
            side = max(float(box[2]), float(box[3]))
            distances = self._distances(box)
            # Before this palm's anchors are told: what is around it takes nothing back from them.
            self._clear(targets.labels, distances, side, scene.complete)
            anchors = self._answering(distances, side) & (distances < nearest)
            nearest[anchors] = distances[anchors]
            targets.labels[anchors] = _PALM
            targets.sides[anchors] = side / self.strides[anchors]
            targets.values[anchors] = self._values(box, points * self.size, anchors)
        return targets

    def _background(self, scene: PalmScene) -> AnchorTargets:
        """Return what the anchors shall say but for palms."""
        count = len(self.centres)
        unlabelled = _BACKGROUND if scene.complete else _NOTHING
        labels = np.full(count, unlabelled, np.int8)
        for box in scene.background * self.size:
            labels[self._within(box, 0.5)] = _BACKGROUND
        # After what is background: a hand may be where a pack was wrong about another one.
        for box in scene.ignored * self.size:
            labels[self._within(box, _SURROUNDINGS)] = _NOTHING
        return AnchorTargets(
            labels=labels,
            values=np.zeros((count, VALUES), np.float32),
            # Not nothing: the loss divides by them.
            sides=np.ones(count, np.float32),
        )

    def _clear(
        self, labels: NDArray[np.int8], distances: Floats, side: float, complete: bool
    ) -> None:
        """Take back, in place, what anchors around a palm were told of the background."""
        reach = np.maximum(_SURROUNDINGS * side, 2 * _AT_LEAST * self.strides)
        around = distances < reach
        # Anchors of other palms keep their answers, however near this one is.
        free = labels != _PALM
        if not complete:
            # What is near a hand that is known is known too.
            neighbours = (distances < _NEIGHBOURHOOD * side) & ~around
            labels[neighbours & free] = _BACKGROUND
        labels[around & free] = _NOTHING

    def _distances(self, box: Floats) -> Floats:
        """Return how far each anchor is from a box's centre, along the axis on which it is farther;
        pixels.
        """
        offsets = np.abs(self.centres - box[:2])
        return np.asarray(offsets.max(axis=1), np.float32)

    def _within(self, box: Floats, share: float) -> NDArray[np.bool_]:
        """Tell which anchors are nearer to a box's centre than a share of its sides."""
        offsets = np.abs(self.centres - box[:2])
        # A pixel more, or a box of no size would hold no anchor.
        inside: NDArray[np.bool_] = (offsets < share * box[2:] + 1).all(axis=1)
        return inside

    def _answering(self, distances: Floats, side: float) -> NDArray[np.bool_]:
        """Tell which anchors, so far from a palm's centre, answer for it by its size and place."""
        fits = (self.smallest <= side) & (side < self.largest)
        reach = np.maximum(_REACH * side, _AT_LEAST * self.strides)
        return np.asarray(fits & (distances < reach), np.bool_)

    def _values(self, box: Floats, keypoints: Floats, anchors: NDArray[np.bool_]) -> Floats:
        centres = self.centres[anchors]
        strides = self.strides[anchors, None]
        middle = (box[:2] - centres) / strides
        # Logarithms: a side twice too long is as wrong as one half as long.
        logarithms = np.log(box[2:] / strides)
        offsets = keypoints[None] - centres[:, None]
        points = (offsets / strides[:, None]).reshape(-1, VALUES - 4)
        return np.concatenate([middle, logarithms, points], axis=1)


def _anchor_strides(shape: PalmShape) -> Floats:
    """Return the stride of each anchor's grid (anchors,), pixels."""
    grids = []
    for stride in STRIDES:
        # One anchor in each cell.
        cells = (shape.size // stride) ** 2
        grids.append(np.full(cells, stride, np.float32))
    return np.concatenate(grids)
