"""Which regions and hands are the same hand: none is looked at twice, none is reported twice."""

import numpy as np

from handheld.hands.geometry import LANDMARK_RULE, hand_angle, overlap, points_elsewhere
from handheld.hands.result import HandResult, Points, Region, palm_centre

# Distances below which two palms, or the keypoints of two hands, are one, in sizes of the palm.
_SAME_PALM = 0.5
_SAME_KEYPOINTS = 0.35

# Distance of palms from which on they are two, however much is alike: fists that touch side by side
# are in each other's squares, and their keypoints beside each other, but their palms are apart.
_OTHER_PALM = 0.9

# Mean distance from which on keypoints of hands that point elsewhere are two hands', though their
# palms be in one place.
_CLASPED = 0.5

# Distance below which all keypoints of two hands lie among each other, as those of a fist that is
# seen twice do (0.4 at most, but for one in thirty). Of two hands that clasp each other those of
# one are farther from the other's: over 0.5 in 99 of 100 photos of such hands.
_AMONG = 0.42


# Size of a palm, in that of another hand's, and mean distance of its keypoints from that hand's
# nearest ones, in the same, below which it is none: fingers taken for a hand. Of photos of
# one hand 14 in 1,000 had such a second one; of 361 hands in photos of two it takes 2.
_SMALL_PALM = 0.6
# The same where neither was followed: a close fist may hold a hand of 0.65. Of hands of which one
# was, it would cost one in sixty on the clips.
_SMALL_NEW_PALM = 0.7
_WITHIN = 0.2


def join_regions(
    tracked: list[Region], new: list[Region], *, max_hands: int, min_overlap: float = 0.5
) -> list[Region]:
    """Return the tracked regions and those new ones that show another hand, ``max_hands`` at most.

    A new region shows a hand that is tracked already if its palm lies where a tracked palm does, or
    not far from it and the squares overlap. (MediaPipe asks for the squares alone, which misses a
    hand whose fingers spread or bend, and joins two that touch side by side.) Two new palms that
    point elsewhere are two hands.

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
    # Not of a followed one: its angle follows from other keypoints.
    if a.track is None and b.track is None and points_elsewhere(a.rect.angle, b.rect.angle):
        return False
    apart = _distance(a.centre, b.centre)
    # Not divided: a palm whose keypoints coincide has no size.
    smaller = min(a.size, b.size)
    if apart < _SAME_PALM * smaller:
        return True
    return apart < _OTHER_PALM * smaller and overlap(a.rect, b.rect) > min_overlap


def drop_duplicates(hands: list[HandResult]) -> list[HandResult]:
    """Leave one of several results that show the same hand, and none of what is part of another.

    A followed hand stays before a new one, and then the one that moved least: two tracked regions
    can slide onto one hand when hands cross, and the one that was there before has moved less.
    """
    if len(hands) < 2:
        return hands
    kept: list[HandResult] = []
    for hand in sorted(_complete(hands), key=_strangeness):
        if not any(_shows_same(hand, other) for other in kept):
            kept.append(hand)
    # In the order in which they came, and by identity: results hold arrays, which have no equality.
    ids = {id(hand) for hand in kept}
    return [hand for hand in hands if id(hand) in ids]


def _complete(hands: list[HandResult]) -> list[HandResult]:
    return [hand for hand in hands if not any(_is_part(hand, other) for other in hands)]


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
    smaller = min(a.size, b.size)
    if between_keypoints > _CLASPED * smaller and _point_elsewhere(a.landmarks, b.landmarks):
        return False
    if closest < _SAME_KEYPOINTS * smaller:
        return True
    # Hands that are followed may cross: for a moment their keypoints are among each other too.
    if not (_is_new(a) or _is_new(b)) or between_palms > _OTHER_PALM * smaller:
        return False
    return _lie_together(a.landmarks, b.landmarks, between_palms, smaller)


def _point_elsewhere(a: Points, b: Points) -> bool:
    return points_elsewhere(hand_angle(a, LANDMARK_RULE), hand_angle(b, LANDMARK_RULE))


def _lie_together(a: Points, b: Points, between_palms: float, size: float) -> bool:
    """Whether two hands have their palms in one place, or all keypoints among each other."""
    return between_palms < _SAME_PALM * size or _between_nearest(a, b) < _AMONG * size


def _is_new(hand: HandResult) -> bool:
    return hand.region is None or hand.region.track is None


def _is_part(hand: HandResult, other: HandResult) -> bool:
    """Whether a hand is small and lies among the keypoints of another."""
    if hand.landmarks is None or other.landmarks is None:
        return False
    are_new = _is_new(hand) and _is_new(other)
    if hand.size >= (_SMALL_NEW_PALM if are_new else _SMALL_PALM) * other.size:
        return False
    return _from_nearest(hand.landmarks, other.landmarks) < _WITHIN * other.size


def _between_nearest(a: Points, b: Points) -> float:
    """Return how far keypoints are from the other hand's nearest on average; the worse of both
    ways.
    """
    return max(_from_nearest(a, b), _from_nearest(b, a))


def _from_nearest(points: Points, others: Points) -> float:
    """Return how far points are on average from the nearest of others."""
    apart = np.linalg.norm(points[:, None, :2] - others[None, :, :2], axis=2)
    return float(apart.min(axis=1).mean())


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))
