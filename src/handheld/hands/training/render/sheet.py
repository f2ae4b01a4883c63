"""A contact sheet: many small pictures with their labels drawn in, to be looked at."""

from collections.abc import Sequence
from typing import TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.skeleton import BONES
from handheld.hands.training.labels import LabelledHand, LabelledPicture
from handheld.hands.training.render.shade import Picture

Points: TypeAlias = NDArray[np.floating]

# Red, green, blue. Of the person's own right and left hand, and of those of which nobody knows.
_COLOURS = {"Right": (80, 255, 80), "Left": (255, 170, 40), None: (220, 220, 220)}
_SEEN = (255, 40, 40)
_HIDDEN = (60, 90, 255)
_BOX = (255, 255, 255)


def contact_sheet(
    pictures: Sequence[LabelledPicture],
    *,
    tile: int = 256,
    columns: int = 8,
) -> Picture:
    """Lay out pictures in rows (H, W, 3).

    Right hands are green, left hands orange; keypoints that can be seen are red, hidden ones blue.

    Args:
        pictures: at least one.
        tile: longer side of each, pixels.
        columns: pictures in a row.
    """
    tiles = [drawn(picture, tile) for picture in pictures]
    # Pictures may differ in shape: each has the room of the largest.
    height = max(shown.shape[0] for shown in tiles)
    width = max(shown.shape[1] for shown in tiles)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, shown in enumerate(tiles):
        row, column = divmod(number, columns)
        _paste(sheet, shown, row * height, column * width)
    return sheet


def _paste(sheet: Picture, shown: Picture, y: int, x: int) -> None:
    height, width = shown.shape[:2]
    sheet[y : y + height, x : x + width] = shown


def drawn(picture: LabelledPicture, side: int) -> Picture:
    """Return a picture with its labels, its longer side ``side`` pixels."""
    height, width = picture.pixels.shape[:2]
    scale = side / max(height, width)
    size = (round(width * scale), round(height * scale))
    resized = cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA)
    shown = cast(Picture, resized)
    for hand in picture.hands:
        _draw_hand(shown, hand, scale)
    return shown


def _draw_hand(picture: Picture, hand: LabelledHand, scale: float) -> None:
    points = np.round(hand.keypoints[:, :2] * scale)
    _draw_bones(picture, points, _COLOURS[hand.handedness])
    # After the bones, so that a point's colour can be seen.
    _draw_points(picture, points, hand.visible)
    if hand.box is not None:
        corners = np.round(hand.box * scale)
        cv2.rectangle(picture, _pixel(corners[:2]), _pixel(corners[2:]), _BOX, 1)


def _draw_points(picture: Picture, points: Points, visible: NDArray[np.bool_] | None) -> None:
    if visible is None:
        # Where nobody knows, a point is drawn as one that can be seen.
        visible = np.ones(len(points), bool)
    for point, is_seen in zip(points, visible, strict=True):
        # Unknown keypoints have no place to be drawn at.
        if np.isfinite(point).all():
            colour = _SEEN if is_seen else _HIDDEN
            cv2.circle(picture, _pixel(point), 2, colour, -1)


def _draw_bones(picture: Picture, points: Points, colour: tuple[int, int, int]) -> None:
    for start, end in BONES:
        # Unknown keypoints have no place to draw a line to.
        if np.isfinite(points[[start, end]]).all():
            ends = _pixel(points[start]), _pixel(points[end])
            cv2.line(picture, *ends, colour, 1, cv2.LINE_AA)


def _pixel(point: Points) -> tuple[int, int]:
    return int(point[0]), int(point[1])
