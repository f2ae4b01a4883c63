"""Palm detection: what the detector's raw output means.

Single-shot detection over a grid of square anchors, after BlazePalm (arXiv 2006.10214): palms are
near to square and rarely overlap, so one anchor shape is enough. Boxes are merged by weighted
non-maximum suppression, which is steadier over time than keeping the best one (BlazeFace, arXiv
1907.05047).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.boxes import BoxLayout, best_groups, decode_boxes, grid_centres
from handheld.hands.geometry import PALM_RULE, hand_angle, overlap, points_elsewhere
from handheld.hands.result import Palm
from handheld.media import Rect
from handheld.ranges import in_range, whole_in_range

Floats = NDArray[np.float32]

_FAINT_BELOW = 0.3
"""Score of a palm in the place of a surer one that is no other hand, wherever it points.

A small detector's faint palms point anywhere: of the hands on the clips that MediaPipe's full
models see, the lite pack would see 742, not 793.
"""


@dataclass(frozen=True)
class PalmGeometry:
    """The layout of a palm model.

    Attributes:
        size: side of the square input, pixels; RGB between 0 and 1, letterboxed with black.
        grids: (cells along a side, anchors in each cell) in the order of the output.
        keypoints: number of keypoints behind the box in each row.

    Raises:
        InputError: one of them is no such number.
    """

    size: int = 192
    grids: tuple[tuple[int, int], ...] = ((24, 2), (12, 6))
    keypoints: int = 7

    def __post_init__(self) -> None:
        whole_in_range("size", self.size, low=1)
        whole_in_range("keypoints", self.keypoints, low=0)
        is_tuple = isinstance(self.grids, tuple)
        if not is_tuple or not self.grids or not all(map(_is_grid, self.grids)):
            raise InputError(
                "grids: expected pairs of cells along a side and anchors in each cell, "
                f"got {self.grids!r}"
            )

    @property
    def anchors(self) -> int:
        """Number of rows of the output."""
        return sum(cells * cells * count for cells, count in self.grids)

    @property
    def values(self) -> int:
        """Number of values in a row: the box's centre and size, and the keypoints."""
        return 4 + 2 * self.keypoints

    @property
    def layout(self) -> BoxLayout:
        """Where the numbers stand in a row."""
        side = float(self.size)
        return BoxLayout(keypoints=self.keypoints, scale=(side, side, side, side))


def _is_grid(pair: object) -> bool:
    if not isinstance(pair, tuple) or len(pair) != 2:
        return False
    # Not isinstance: True is an int too.
    return all(type(count) is int and count > 0 for count in pair)


def anchor_centres(geometry: PalmGeometry) -> Floats:
    """Return the (anchors, 2) centres of the anchors, x and y in 0 to 1."""
    return np.concatenate([grid_centres(cells, cells, count) for cells, count in geometry.grids])


def decode_palms(
    raw: Floats,
    logits: Floats,
    anchors: Floats,
    view: Rect,
    geometry: PalmGeometry,
    *,
    threshold: float = 0.5,
) -> list[Palm]:
    """Return the palms above a score, best first, before suppression.

    Args:
        raw: (anchors, values), pixels of the model's input relative to the anchors' centres.
        logits: (anchors,).
        anchors: of :func:`anchor_centres`.
        view: the square of the picture that the model saw.
        threshold: on the score, in (0, 1).

    Raises:
        InputError: the threshold is outside of its range.
    """
    in_range("threshold", threshold, low=0, high=1, low_open=True, high_open=True)
    rows = _best_rows(logits, threshold)
    scores = 1 / (1 + np.exp(-np.clip(logits[rows], -100, 100)))
    points = decode_boxes(raw[rows], anchors[rows], geometry.layout)
    in_picture = _in_picture(points, view)
    return [_palm(row, float(score)) for row, score in zip(in_picture, scores, strict=True)]


def _best_rows(logits: Floats, threshold: float) -> NDArray[np.intp]:
    """Return the rows whose score is a threshold or more, best first."""
    # Logits are compared, so that scores are computed of the few rows that pass.
    rows = np.flatnonzero(logits >= np.log(threshold / (1 - threshold)))
    # Stable: of equal palms the same one comes first on each machine.
    return rows[np.argsort(-logits[rows], kind="stable")]


def _in_picture(points: NDArray[Any], view: Rect) -> NDArray[Any]:
    """Return rows of points in 0 to 1 of a square in pixels of the picture."""
    # In float64, as for landmarks.
    scale = np.array([view.width, view.height])
    corner = np.array([view.x - view.width / 2, view.y - view.height / 2])
    points = points * scale
    points[:, 0] += corner
    points[:, 2:] += corner
    return points


def _palm(row: NDArray[Any], score: float) -> Palm:
    """Return a row of a centre, a size and keypoints as a palm.

    Its keypoints are rounded to float32 by :func:`merge_palms`, once.
    """
    return Palm(Rect(*map(float, row[:2].ravel())), row[2:], score)


def merge_palms(palms: list[Palm], *, min_overlap: float = 0.3) -> list[Palm]:
    """Weighted non-maximum suppression: palms that overlap become one, averaged by their scores.

    Those that point elsewhere are of another hand, which a mean would mix with this one: where two
    hands clasp each other, their palms overlap. Not faint ones, of which nobody knows where they
    point. (MediaPipe asks for the overlap alone.)

    Args:
        palms: best first.
        min_overlap: intersection over union with the best of a group at which a palm joins it.

    Returns:
        The palms, best first.
    """
    angles = [hand_angle(palm.keypoints, PALM_RULE) for palm in palms]

    def is_same(number: int, best: int) -> bool:
        if overlap(palms[number].rect, palms[best].rect) <= min_overlap:
            return False
        is_faint = palms[number].score < _FAINT_BELOW
        return is_faint or not points_elsewhere(angles[number], angles[best])

    groups = best_groups(len(palms), is_same)
    return [_average([palms[number] for number in group]) for group in groups]


def _average(palms: list[Palm]) -> Palm:
    weights = np.array([palm.score for palm in palms])
    weights /= weights.sum()
    boxes = np.array([_box(palm.rect) for palm in palms])
    keypoints = np.tensordot(weights, np.stack([palm.keypoints for palm in palms]), axes=1)
    rect = Rect(*map(float, weights @ boxes))
    # The best's score, not the mean: that others agree makes it no less sure.
    return Palm(rect, keypoints.astype(np.float32), palms[0].score)


def _box(rect: Rect) -> tuple[float, float, float, float]:
    return rect.x, rect.y, rect.width, rect.height
