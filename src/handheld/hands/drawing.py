"""Hands drawn on pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import HandResult
from handheld.hands.skeleton import BONES
from handheld.media import (
    PALETTE,
    Image,
    LabelBox,
    draw_label,
    draw_polygon,
    draw_skeleton,
    draw_trace,
    label_box,
)

Traces = Mapping[int, Sequence[NDArray[np.float32]]]

# Between the palm model's keypoints: from the wrist to each knuckle.
_PALM_BONES = ((0, 1), (0, 2), (0, 3), (0, 4))
# A line is one pixel wide in a picture of this longer side, and wider in larger ones.
_THIN_LINE_SIDE = 480
# Of letters, which are 22 pixels high at 1, beside lines of one pixel.
_LABEL_SCALE = 0.45


def draw_hands(
    image: Image, hands: Sequence[HandResult], *, traces: Traces | None = None, regions: bool = True
) -> Image:
    """Return a copy of a picture with each hand's skeleton, region, id, handedness and gesture.

    Args:
        image: (height, width, 3) uint8 RGB.
        hands: of this picture.
        traces: id -> where the hand has been, (2,) pixels, oldest first.
        regions: whether to draw the rotated squares.
    """
    # OpenCV draws into the picture's own memory, rows one after the other.
    image = np.ascontiguousarray(image).copy()
    for hand in hands:
        _draw_lines(image, hand, trace=(traces or {}).get(hand.id, ()), region=regions)
    taken: list[LabelBox] = []
    # Last, so that no skeleton hides a label.
    for hand in hands:
        _label(image, hand, taken)
    return image


def draw_hand(
    image: Image,
    hand: HandResult,
    *,
    trace: Sequence[NDArray[np.float32]] = (),
    region: bool = True,
) -> Image:
    """Draw one hand into a picture, in the colour of its id; return the picture."""
    _draw_lines(image, hand, trace=trace, region=region)
    _label(image, hand, [])
    return image


def _draw_lines(
    image: Image, hand: HandResult, *, trace: Sequence[NDArray[np.float32]], region: bool
) -> None:
    colour = PALETTE[hand.id % len(PALETTE)]
    unit = _unit(image)
    if region:
        draw_polygon(image, hand.roi.corners, colour=colour, thickness=unit)
    if len(trace) > 1:
        draw_trace(image, trace, colour=colour, thickness=2 * unit)
    if hand.landmarks is not None:
        draw_skeleton(image, hand.landmarks, BONES, colour=colour, thickness=unit + 1)
    elif hand.palm is not None:
        palm = hand.palm.keypoints
        draw_skeleton(image, palm, _PALM_BONES, colour=colour, thickness=unit + 1)


def _label(image: Image, hand: HandResult, taken: list[LabelBox]) -> None:
    """Write what a hand is above its region, or further down where another hand's label is."""
    words = [f"{hand.id}", hand.handedness or "", hand.gesture or "", f"{hand.score:.2f}"]
    text = "  ".join(filter(None, words))
    scale = _LABEL_SCALE * _unit(image)
    x, y = hand.roi.corners.min(axis=0).tolist()
    box = label_box(image.shape[:2], text, (x, y), scale=scale)
    # As often as there are labels: at the picture's edge a label cannot go further down.
    for _ in range(len(taken)):
        if not any(box.overlaps(other) for other in taken):
            break
        below = box.bottom + box.bottom - box.top
        box = label_box(image.shape[:2], text, (x, below), scale=scale)
    taken.append(box)
    colour = PALETTE[hand.id % len(PALETTE)]
    draw_label(image, text, (box.left, box.bottom), colour=colour, scale=scale)


def _unit(image: Image) -> int:
    """Return the width of a thin line, in pixels, that suits a picture."""
    return int(max(1, round(max(image.shape[:2]) / _THIN_LINE_SIDE)))
