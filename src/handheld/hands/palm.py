"""Palm detection: what the detector's raw output means.

Single-shot detection over a grid of square anchors, after BlazePalm (arXiv 2006.10214): palms are near to square and rarely
overlap, so one anchor shape is enough. Boxes are merged by weighted non-maximum suppression, which is steadier over time than
keeping the best one (BlazeFace, arXiv 1907.05047).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands._checks import require_whole
from handheld.hands.geometry import overlap
from handheld.hands.result import Palm
from handheld.media import Rect

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PalmGeometry:
    """The layout of a palm model.

    Attributes:
        size: side of the square input, pixels; RGB in 0 to 1, letterboxed with black.
        grids: (cells along a side, anchors in each cell) in the order of the output.
        keypoints: number of keypoints behind the box in each row.

    Raises:
        InputError: one of them is no such number.
    """

    size: int = 192
    grids: tuple[tuple[int, int], ...] = ((24, 2), (12, 6))
    keypoints: int = 7

    def __post_init__(self) -> None:
        require_whole("size", self.size)
        require_whole("keypoints", self.keypoints, least=0)
        if (
            not isinstance(self.grids, tuple)
            or not self.grids
            or not all(map(_is_grid, self.grids))
        ):
            raise InputError(
                f"grids: expected pairs of cells along a side and anchors in each cell, got {self.grids!r}"
            )

    @property
    def anchors(self) -> int:
        """Number of rows of the output."""
        return sum(cells * cells * count for cells, count in self.grids)

    @property
    def values(self) -> int:
        """Number of values in a row: the box's centre and size, and the keypoints."""
        return 4 + 2 * self.keypoints


def _is_grid(pair: object) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(type(count) is int and count > 0 for count in pair)
    )


def anchor_centres(geometry: PalmGeometry) -> Floats:
    """Return the (anchors, 2) centres of the anchors, x and y in 0 to 1."""
    parts = []
    for cells, count in geometry.grids:
        ticks = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        parts.append(np.repeat(grid, count, axis=0))
    return np.concatenate(parts)


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
    """
    if not 0 < threshold < 1:
        raise InputError(f"expected a threshold between 0 and 1, got {threshold}")
    rows = np.flatnonzero(logits >= np.log(threshold / (1 - threshold)))
    rows = rows[np.argsort(-logits[rows], kind="stable")]
    scores = 1 / (1 + np.exp(-np.clip(logits[rows], -100, 100)))
    points = raw[rows].reshape(len(rows), 2 + geometry.keypoints, 2) / geometry.size
    points[:, 2:] += anchors[rows, None]
    points[:, 0] += anchors[rows]
    scale = np.array([view.width, view.height], dtype=np.float32)
    corner = np.array([view.x - view.width / 2, view.y - view.height / 2], dtype=np.float32)
    points = points * scale
    points[:, 0] += corner
    points[:, 2:] += corner
    return [
        Palm(Rect(*map(float, point[:2].ravel())), point[2:], float(score))
        for point, score in zip(points, scores, strict=True)
    ]


def merge_palms(palms: list[Palm], *, min_overlap: float = 0.3) -> list[Palm]:
    """Weighted non-maximum suppression: palms that overlap become one, averaged by their scores; best first.

    Args:
        palms: best first.
        min_overlap: intersection over union with the best of a group at which a palm joins it.
    """
    rest, merged = palms, []
    while rest:
        best = rest[0]
        together = [palm for palm in rest if overlap(best.rect, palm.rect) > min_overlap]
        rest = [palm for palm in rest[1:] if not overlap(best.rect, palm.rect) > min_overlap]
        merged.append(_average(together) if together else best)
    return merged


def _average(palms: list[Palm]) -> Palm:
    weights = np.array([palm.score for palm in palms])
    weights /= weights.sum()
    edges = [(p.rect.x, p.rect.y, p.rect.width, p.rect.height) for p in palms]
    keypoints = np.tensordot(weights, np.stack([palm.keypoints for palm in palms]), axes=1).astype(
        np.float32
    )
    return Palm(Rect(*map(float, weights @ np.array(edges))), keypoints, palms[0].score)
