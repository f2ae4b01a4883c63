"""Pictures laid onto a square canvas, and their palms with them: what the detector is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.labels import LabelledHand, palm_box

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]

SMALLEST = 0.04
LARGEST = 0.8
"""Side of a palm, as a share of the picture's: a span of 20."""

# How far a palm may be beyond these and still be taught: what a scene is laid for may come out a
# little smaller or larger, as the box of a turned hand does.
_LEAST_SIDE = 0.8 * SMALLEST
_MOST_SIDE = 1.2 * LARGEST

# Share of a rendered hand's keypoints that must be seen for it to be found; of less nothing is
# taught.
_HIDDEN = 0.25

INSIDE = 0.5
"""Share of a palm's box that must be in the picture, likewise."""

# Keypoints lie in the flesh: a twentieth of the hand is beyond them on each side.
_FLESH = 0.05


def _no_boxes() -> Doubles:
    return np.empty((0, 4))


@dataclass(frozen=True, eq=False)
class PalmScene:
    """A square picture and the palms in it.

    Attributes:
        pixels: (size, size, 3) uint8 RGB.
        boxes: (n, 4) centre x, centre y, width, height of each palm or hand, as fractions.
        keypoints: (n, 7, 2) fractions.
        ignored: (m, 4) boxes, likewise, in which nothing is taught.
        complete: whether all that is in no box is background.
        background: (k, 4) boxes that are background in any case.
    """

    pixels: NDArray[np.uint8]
    boxes: Floats
    keypoints: Floats
    ignored: Floats
    complete: bool
    background: Floats = field(default_factory=lambda: np.empty((0, 4), np.float32))


@dataclass(frozen=True, eq=False)
class PalmPicture:
    """A picture with what the detector shall find in it, before it is laid anywhere.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        hands: with all that is labelled.
        ignored: (m, 4) boxes x0, y0, x1, y1 in pixels of hands of which nothing more is known.
        complete: whether there are no other hands.
        group: the set, for reports.
        background: (k, 4) boxes, likewise, of what a pack took for a hand.
        judged: whether it counts in scores: people, not a teacher, say that there are no other
            hands.
    """

    pixels: NDArray[np.uint8]
    hands: tuple[LabelledHand, ...]
    ignored: Doubles
    complete: bool
    group: str = ""
    background: Doubles = field(default_factory=_no_boxes)
    judged: bool = True


class Area(NamedTuple):
    """A rectangle of a canvas, whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.bottom - self.top

    @property
    def middle(self) -> Doubles:
        """(2,) x and y."""
        return np.array([self.left + self.right, self.top + self.bottom]) / 2

    def cut(self, box: Doubles) -> Doubles | None:
        """Return what is inside of a box (4,) x0, y0, x1, y1; ``None`` if nothing is."""
        low = np.maximum(box[:2], [self.left, self.top])
        high = np.minimum(box[2:], [self.right, self.bottom])
        if (low >= high).any():
            return None
        return np.concatenate([low, high])

    def share_inside(self, box: NDArray[np.floating]) -> float:
        """Return how much of a box (4,) x0, y0, x1, y1 is inside, in [0, 1]."""
        x0, y0, x1, y1 = box
        across = min(x1, self.right) - max(x0, self.left)
        down = min(y1, self.bottom) - max(y0, self.top)
        inside = max(0.0, across) * max(0.0, down)
        # A box without an area is not inside: it must not divide by nothing.
        box_area = max((x1 - x0) * (y1 - y0), 1e-9)
        return float(inside / box_area)


@dataclass
class Canvas:
    """A square picture on which others are laid, with their labels."""

    pixels: NDArray[np.uint8]
    whole_hands: bool
    boxes: list[Floats] = field(default_factory=list)
    keypoints: list[Floats] = field(default_factory=list)
    ignored: list[Floats] = field(default_factory=list)
    background: list[Floats] = field(default_factory=list)
    complete: bool = True

    @classmethod
    def black(cls, size: int, *, whole_hands: bool) -> "Canvas":
        """Return an empty canvas of a side."""
        return cls(np.zeros((size, size, 3), np.uint8), whole_hands)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return len(self.pixels)

    @property
    def area(self) -> Area:
        """All of it."""
        return Area(0, 0, self.size, self.size)

    def lay(
        self,
        picture: PalmPicture,
        matrix: Doubles,
        area: Area,
        border: int,
        shade: Sequence[int] = (0, 0, 0),
    ) -> None:
        """Lay a picture onto an area of the canvas.

        Args:
            picture: with its labels.
            matrix: (2, 3) from the picture's pixels to the canvas's.
            area: that it fills.
            border: OpenCV's way to fill what lies beyond the picture; ``BORDER_TRANSPARENT`` leaves
                there what is on the canvas.
            shade: for a flat border.
        """
        self._paint(picture.pixels, matrix, area, border, shade)
        # One picture with hands that nobody labelled, and the rest is no longer background.
        self.complete = self.complete and picture.complete
        for hand in picture.hands:
            self._add(hand, matrix, area)
        self.ignored += self._laid(picture.ignored, matrix, area)
        self.background += self._laid(picture.background, matrix, area)

    def _laid(self, boxes: Doubles, matrix: Doubles, area: Area) -> list[Floats]:
        """Return what is inside an area of boxes (n, 4) of a picture, as fractions of the
        canvas.
        """
        laid = []
        for box in boxes:
            # Beyond the area another picture is seen, of which they say nothing.
            inside = area.cut(_moved_box(box, matrix))
            if inside is not None:
                laid.append(self._fractions(inside))
        return laid

    def _paint(
        self,
        pixels: NDArray[np.uint8],
        matrix: Doubles,
        area: Area,
        border: int,
        shade: Sequence[int],
    ) -> None:
        # Only the area is made, not the canvas: a mosaic would else cost four times as much.
        moved = matrix.copy()
        moved[:, 2] -= area.left, area.top
        laid_onto = self.pixels[area.top : area.bottom, area.left : area.right]
        shown = cv2.warpAffine(
            np.asarray(pixels),
            moved,
            (area.width, area.height),
            # A copy: a view into the canvas has rows that are not its own.
            dst=laid_onto.copy(),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
            borderValue=tuple(shade),
        )
        laid_onto[:] = shown

    def _add(self, hand: LabelledHand, matrix: Doubles, area: Area) -> None:
        """Add the palm of a hand: to be found, to be ignored, or not at all if it is outside."""
        points = hand.keypoints.astype(np.float64).copy()
        points[:, :2] = _moved(points[:, :2], matrix)
        palm, seven = palm_box(points)
        if area.share_inside(palm) <= 0:
            return
        box = _moved_box(hand_box(hand), matrix) if self.whole_hands else palm
        if self._is_clear(hand, palm, area):
            self.boxes.append(self._fractions(box))
            self.keypoints.append((seven / self.size).astype(np.float32))
        else:
            self.ignored.append(self._fractions(box))

    def _is_clear(self, hand: LabelledHand, palm: NDArray[np.floating], area: Area) -> bool:
        """Whether a palm can be seen well enough for a detector to have to find it."""
        if hand.visible is not None and hand.visible.mean() < _HIDDEN:
            return False
        if area.share_inside(palm) < INSIDE:
            return False
        # Palms are square: one side is as good as the other.
        side = (palm[2] - palm[0]) / self.size
        return bool(_LEAST_SIDE < side < _MOST_SIDE)

    def _fractions(self, corners: NDArray[np.floating]) -> Floats:
        low = corners[:2]
        high = corners[2:]
        middle = (low + high) / 2
        box = np.concatenate([middle, high - low]) / self.size
        return np.asarray(box, np.float32)

    def scene(self) -> PalmScene:
        """Return what is on the canvas."""
        keypoints = np.array(self.keypoints, np.float32)
        return PalmScene(
            pixels=self.pixels,
            boxes=_as_boxes(self.boxes),
            keypoints=keypoints.reshape(-1, 7, 2),
            ignored=_as_boxes(self.ignored),
            complete=self.complete,
            background=_as_boxes(self.background),
        )


def _as_boxes(rows: Sequence[Floats]) -> Floats:
    # Without any the shape must still be that of boxes.
    return np.array(rows, np.float32).reshape(-1, 4)


def hand_box(hand: LabelledHand) -> NDArray[np.floating]:
    """Return the upright box (4,) x0, y0, x1, y1 around a whole hand: its own, or around its
    keypoints.
    """
    if hand.box is not None and np.isfinite(hand.box).all():
        return hand.box
    low = np.nanmin(hand.keypoints[:, :2], axis=0)
    high = np.nanmax(hand.keypoints[:, :2], axis=0)
    border = _FLESH * (high - low).max()
    return np.concatenate([low - border, high + border])


def _moved(points: Doubles, matrix: Doubles) -> Doubles:
    """Move points (n, 2) by a matrix (2, 3)."""
    moved: Doubles = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _moved_box(box: NDArray[np.floating], matrix: Doubles) -> Doubles:
    """Return the upright box around a box that was moved."""
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)
    moved = _moved(corners, matrix)
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)])


def mirrored_scene(scene: PalmScene) -> PalmScene:
    """Return a scene in a mirror."""
    size = scene.pixels.shape[0]
    return replace(
        scene,
        pixels=np.ascontiguousarray(scene.pixels[:, ::-1]),
        boxes=_mirrored(scene.boxes, size),
        keypoints=_mirrored(scene.keypoints, size),
        ignored=_mirrored(scene.ignored, size),
        background=_mirrored(scene.background, size),
    )


def _mirrored(fractions: Floats, size: int) -> Floats:
    """Mirror centres or points (..., 2 or more), whose first number is x; sizes stay."""
    mirrored = fractions.copy()
    # Whole coordinates are middles of pixels: the last middle mirrors the first one.
    mirrored[..., 0] = (size - 1) / size - fractions[..., 0]
    return mirrored


def letterboxed(picture: PalmPicture, size: int, *, whole_hands: bool) -> PalmScene:
    """Return a picture as the tracker shows it to the detector: whole, in the middle, on black."""
    height, width = picture.pixels.shape[:2]
    scale = size / max(height, width)
    free = np.array([size, size]) - scale * np.array([width, height])
    matrix = np.diag([scale, scale, 0.0])[:2]
    # As much black on one side as on the other.
    matrix[:, 2] = free / 2
    canvas = Canvas.black(size, whole_hands=whole_hands)
    canvas.lay(picture, matrix, canvas.area, cv2.BORDER_CONSTANT)
    return canvas.scene()
