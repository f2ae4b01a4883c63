"""The 21 keypoints of a hand, and the bones between them."""

from enum import IntEnum
from itertools import chain, pairwise


class Keypoint(IntEnum):
    """Index of each keypoint, in MediaPipe's order."""

    WRIST = 0
    THUMB_CMC = 1
    THUMB_MCP = 2
    THUMB_IP = 3
    THUMB_TIP = 4
    INDEX_MCP = 5
    INDEX_PIP = 6
    INDEX_DIP = 7
    INDEX_TIP = 8
    MIDDLE_MCP = 9
    MIDDLE_PIP = 10
    MIDDLE_DIP = 11
    MIDDLE_TIP = 12
    RING_MCP = 13
    RING_PIP = 14
    RING_DIP = 15
    RING_TIP = 16
    PINKY_MCP = 17
    PINKY_PIP = 18
    PINKY_DIP = 19
    PINKY_TIP = 20


FINGERS: dict[str, tuple[int, int, int, int]] = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "pinky": (17, 18, 19, 20),
}
"""Keypoints of each finger from its base to its tip."""

# Around the palm, from the wrist and back.
_PALM_BONES = ((0, 1), (0, 5), (5, 9), (9, 13), (13, 17), (0, 17))

BONES: tuple[tuple[int, int], ...] = (
    *chain.from_iterable(pairwise(joints) for joints in FINGERS.values()),
    *_PALM_BONES,
)
"""Pairs of keypoints that a drawing joins."""

PALM_POINTS = (0, 5, 9, 13, 17)
"""Wrist and knuckles: keypoints that move with the palm, not with the fingers."""
