"""Hands drawn on pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import HandResult
from handheld.hands.skeleton import BONES
from handheld.media import PALETTE, Image, draw_label, draw_polygon, draw_skeleton, draw_trace

Traces = Mapping[int, Sequence[NDArray[np.float32]]]


def draw_hands(image: Image, hands: Sequence[HandResult], *, traces: Traces | None = None, regions: bool = True) -> Image:
    """Return a copy of a picture with each hand's skeleton, region, id, handedness and gesture.

    Args:
        image: (height, width, 3) uint8 RGB.
        hands: of this picture.
        traces: id -> where the hand has been, (2,) pixels, oldest first.
        regions: whether to draw the rotated squares.
    """
    image = image.copy()
    for hand in hands:
        draw_hand(image, hand, trace=(traces or {}).get(hand.id, ()), region=regions)
    return image


def draw_hand(image: Image, hand: HandResult, *, trace: Sequence[NDArray[np.float32]] = (), region: bool = True) -> Image:
    """Draw one hand into a picture, in the colour of its id; return the picture."""
    colour = PALETTE[hand.id % len(PALETTE)]
    unit = max(1, round(max(image.shape[:2]) / 480))
    if region:
        draw_polygon(image, hand.roi.corners, colour=colour, thickness=unit)
    if len(trace) > 1:
        draw_trace(image, trace, colour=colour, thickness=2 * unit)
    if hand.landmarks is not None:
        draw_skeleton(image, hand.landmarks, BONES, colour=colour, thickness=unit + 1)
    elif hand.palm is not None:
        draw_skeleton(image, hand.palm.keypoints, ((0, 1), (0, 2), (0, 3), (0, 4)), colour=colour, thickness=unit + 1)
    words = [f"{hand.id}", hand.handedness or "", hand.gesture or "", f"{hand.score:.2f}"]
    corners = hand.roi.corners
    corner = (float(corners[:, 0].min()), float(corners[:, 1].min()))
    return draw_label(image, "  ".join(filter(None, words)), corner, colour=colour, scale=0.45 * unit)
