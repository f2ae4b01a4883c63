"""Boxes of single-shot detectors: rows that become boxes, and boxes that overlap.

The formats are those of MediaPipe's ``TensorsToDetectionsCalculator``; the palm model's is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handheld.hands.geometry import Overlap, overlap
from handheld.media import Rect

BoxOrder = Literal["xywh", "yxhw", "xyxy"]
"""What the four values of a box are: its centre and size, each with x or with y first, or how far
its edges are from the anchor's centre: left, top, right and bottom.
"""


@dataclass(frozen=True)
class BoxLayout:
    """Where the numbers of a box stand in a row of a detector's output.

    Attributes:
        order: of the box; keypoints have y first with ``yxhw`` alone.
        box_offset: column of the box.
        keypoint_offset: column of the first keypoint.
        keypoints: number of keypoints.
        scale: x, y, width and height by which the values are divided.
        exponential: whether sizes are logarithms.
    """

    order: BoxOrder = "xywh"
    box_offset: int = 0
    keypoint_offset: int = 4
    keypoints: int = 0
    scale: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    exponential: bool = False


def grid_centres(
    columns: int, rows: int, count: int, *, offset: tuple[float, float] = (0.5, 0.5)
) -> NDArray[np.float32]:
    """Return the (rows * columns * count, 2) centres of a grid's anchors, x and y in 0 to 1.

    Args:
        columns: cells across.
        rows: cells down.
        count: anchors in each cell, neighbours in the result.
        offset: of a centre within its cell, x and y, in cells.
    """
    across = (np.arange(columns, dtype=np.float32) + np.float32(offset[0])) / columns
    down = (np.arange(rows, dtype=np.float32) + np.float32(offset[1])) / rows
    grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    return np.repeat(grid, count, axis=0)


def decode_boxes(raw: NDArray[Any], anchors: NDArray[Any], layout: BoxLayout) -> NDArray[Any]:
    """Return (rows, 2 + keypoints, 2): each row's centre, size and keypoints, x before y.

    Args:
        raw: (rows, values), relative to the anchors.
        anchors: (rows, 2) centres, or (rows, 4) centres, widths and heights.
        layout: of a row.
    """
    points = _points(raw, layout)
    if layout.order == "yxhw":
        points = points[:, :, ::-1]
    points = points / np.array(layout.scale[:2], dtype=np.float32)
    # Only then: the palm model has one scale for all, and its sizes are there already.
    if layout.scale[2:] != layout.scale[:2] or layout.exponential:
        points[:, 1] = _sizes(raw, layout)
    if anchors.shape[1] > 2:
        points *= anchors[:, None, 2:]
    # The size has no position.
    points[:, 0] += anchors[:, :2]
    points[:, 2:] += anchors[:, None, :2]
    return points


def _points(raw: NDArray[Any], layout: BoxLayout) -> NDArray[Any]:
    """Return (rows, 2 + keypoints, 2) in the order in which they stand."""
    box = raw[:, layout.box_offset : layout.box_offset + 4].reshape(len(raw), 2, 2)
    if layout.order == "xyxy":
        lower, upper = box[:, 0], box[:, 1]
        box = np.stack([(upper - lower) / 2, upper + lower], axis=1)
    end = layout.keypoint_offset + 2 * layout.keypoints
    keypoints = raw[:, layout.keypoint_offset : end].reshape(len(raw), layout.keypoints, 2)
    return np.concatenate([box, keypoints], axis=1)


def _sizes(raw: NDArray[Any], layout: BoxLayout) -> NDArray[Any]:
    sizes = _points(raw, layout)[:, 1]
    if layout.order == "yxhw":
        sizes = sizes[:, ::-1]
    sizes = sizes / np.array(layout.scale[2:], dtype=np.float32)
    return np.exp(sizes) if layout.exponential else sizes


def overlapping_groups(
    boxes: Sequence[Rect], min_overlap: float, *, over: Overlap = "union"
) -> list[list[int]]:
    """Return the boxes in groups: each the best one left, and those that overlap it.

    Args:
        boxes: best first.
        min_overlap: more than this with the best of a group makes a box one of it.
        over: see :func:`~handheld.hands.geometry.overlap`, of a box and the best.

    Returns:
        Numbers of boxes, the best of each group first.
    """
    return best_groups(
        len(boxes),
        lambda number, best: overlap(boxes[number], boxes[best], over=over) > min_overlap,
    )


def best_groups(count: int, is_same: Callable[[int, int], bool]) -> list[list[int]]:
    """Return numbers in groups: each the first one left, and those that are the same as it.

    Args:
        count: of the numbers, best first.
        is_same: of a number and the first of a group.
    """
    remaining = list(range(count))
    groups: list[list[int]] = []
    while remaining:
        best, *others = remaining
        group = [best]
        remaining = []
        for number in others:
            if is_same(number, best):
                group.append(number)
            else:
                remaining.append(number)
        groups.append(group)
    return groups


def unsuppressed(
    boxes: Sequence[Rect], min_overlap: float, *, over: Overlap = "union"
) -> list[int]:
    """Return the numbers of the boxes that overlap no better one that is kept.

    Args:
        boxes: best first.
        min_overlap: more than this with a better one leaves a box out.
        over: see :func:`~handheld.hands.geometry.overlap`, of the better box and this one.
    """
    kept: list[int] = []
    for number, box in enumerate(boxes):
        if not any(overlap(boxes[better], box, over=over) > min_overlap for better in kept):
            kept.append(number)
    return kept
