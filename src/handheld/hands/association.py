"""Which regions and hands are the same hand: none is looked at twice, none is reported twice."""

import numpy as np

from handheld.hands.geometry import overlap
from handheld.hands.result import HandResult, Region, palm_centre

# Distances below which two palms, or the keypoints of two hands, are one, in sizes of the palm.
_SAME_PALM = 0.5
_SAME_KEYPOINTS = 0.35


def join_regions(
    tracked: list[Region], new: list[Region], *, max_hands: int, min_overlap: float = 0.5
) -> list[Region]:
    """Return the tracked regions and those new ones that show another hand, ``max_hands`` at most.

    A new region shows a hand that is tracked already if the squares overlap (MediaPipe's rule,
    which misses a hand whose fingers spread or bend), or if its palm lies where a tracked palm
    does.

    Args:
        tracked: from the last frame's landmarks; kept as they are.
        new: from palms, best first.
        max_hands: regions to return at most.
        min_overlap: intersection over union at which two squares are one.
    """
    regions = list(tracked)
    # Each that is taken is compared with too: the detector may see one palm twice.
    for region in new:
        if len(regions) >= max_hands:
            break
        if not any(_same(region, other, min_overlap) for other in regions):
            regions.append(region)
    return regions


def _same(a: Region, b: Region, min_overlap: float) -> bool:
    if overlap(a.rect, b.rect) > min_overlap:
        return True
    return _distance(a.centre, b.centre) < _SAME_PALM * min(a.size, b.size)


def drop_duplicates(hands: list[HandResult]) -> list[HandResult]:
    """Leave one of several results that show the same hand.

    A followed hand stays before a new one, and then the one that moved least: two tracked regions
    can slide onto one hand when hands cross, and the one that was there before has moved less.
    """
    if len(hands) < 2:
        return hands
    kept: list[HandResult] = []
    for hand in sorted(hands, key=_strangeness):
        if not any(_shows_same(hand, other) for other in kept):
            kept.append(hand)
    # In the order in which they came, and by identity: results hold arrays, which have no equality.
    ids = {id(hand) for hand in kept}
    return [hand for hand in hands if id(hand) in ids]


def _strangeness(hand: HandResult) -> tuple[bool, float]:
    """Return what is smaller for a hand that was here before."""
    region = hand.region
    if region is None or region.track is None:
        return True, -hand.score
    return False, _distance(hand.centre, region.centre) / max(region.size, 1.0)


def _shows_same(a: HandResult, b: HandResult) -> bool:
    """Whether keypoints coincide on average to within a third of the smaller palm."""
    if a.landmarks is None or b.landmarks is None:
        return _distance(a.centre, b.centre) < _SAME_PALM * min(a.size, b.size)
    between_keypoints = np.linalg.norm(a.landmarks[:, :2] - b.landmarks[:, :2], axis=1).mean()
    # Fingers of one hand may be seen in two ways; its palm is where it is.
    between_palms = _distance(palm_centre(a.landmarks), palm_centre(b.landmarks))
    closest = min(float(between_keypoints), between_palms)
    return closest < _SAME_KEYPOINTS * min(a.size, b.size)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))
