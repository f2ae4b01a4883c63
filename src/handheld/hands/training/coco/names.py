"""What other data sets call a hand's keypoints and its side."""

import re
from collections.abc import Sequence

from handheld.errors import InputError
from handheld.hands.skeleton import FINGERS

# Words of COCO-WholeBody, OneHand10K, FreiHAND, MediaPipe and of annotation tools.
_FINGER_WORDS = {
    "forefinger": "index",
    "fore": "index",
    "pointer": "index",
    "pinkie": "pinky",
    "little": "pinky",
}
_WRIST_WORDS = frozenset({"wrist", "root"})
# Of a finger from its base to its tip; a thumb has no middle one.
_JOINTS = {"mcp": 0, "pip": 1, "dip": 2, "tip": 3}
_THUMB_JOINTS = {"cmc": 0, "mcp": 1, "ip": 2, "tip": 3}
_NUMBERED = {"1": 0, "2": 1, "3": 2, "4": 3}
_SIDES = {"left": "Left", "l": "Left", "right": "Right", "r": "Right"}
# Words that a name may have besides: sides are of the hand, not of the keypoint.
_FILLERS = frozenset({"left", "right", "l", "r", "hand", "finger"})

KEYPOINTS = 21
"""Of a hand."""


def _words(name: str) -> list[str]:
    """Return the words and numbers of a name, in small letters: ``indexFinger_1`` has three."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def keypoint_of(name: str) -> int | None:
    """Return which of the 21 keypoints a name means, if any.

    >>> [int(keypoint_of(name)) for name in ("left_hand_root", "forefinger4", "thumb_cmc")]
    [0, 8, 1]
    """
    words = [word for word in _words(name) if word not in _FILLERS]
    if len(words) == 1 and words[0] in _WRIST_WORDS:
        return 0
    if len(words) != 2:
        return None
    finger = _FINGER_WORDS.get(words[0], words[0])
    joints = _NUMBERED | (_THUMB_JOINTS if finger == "thumb" else _JOINTS)
    if finger not in FINGERS or words[1] not in joints:
        return None
    return FINGERS[finger][joints[words[1]]]


def keypoint_order(names: Sequence[str]) -> list[int] | None:
    """Return which keypoint of ours each of a category's is; None for what is no hand.

    Names decide. Where they say nothing at all, 21 keypoints are taken in their order.

    Raises:
        InputError: some are a hand's and some are not, or two of them mean one keypoint.
    """
    order = [keypoint_of(name) for name in names]
    # Bodies have wrists too: only a finger's name makes a hand.
    if not any(order):
        return list(range(KEYPOINTS)) if len(names) == KEYPOINTS and 0 not in order else None
    known: list[int] = []
    for name, index in zip(names, order, strict=True):
        if index is None:
            raise InputError(f"keypoint {name!r} is none of a hand's: rename it or take it out")
        if index in known:
            first = names[known.index(index)]
            raise InputError(f"keypoints {first!r} and {name!r} are one: expected one hand")
        known.append(index)
    return known


def side_of(text: str) -> str | None:
    """Return "Left" or "Right" where a category's name or an attribute says so.

    >>> side_of("right_hand"), side_of("hand"), side_of("L")
    ('Right', None, 'Left')
    """
    sides = {_SIDES[word] for word in _words(text) if word in _SIDES}
    return sides.pop() if len(sides) == 1 else None
