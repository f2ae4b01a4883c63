"""Gestures from the bend of each finger.

As the 2019 post describes: joint angles accumulate along each finger, which makes it straight or
bent, and the set of states is looked up in a table. Beyond it: the thumb's direction, finger tips
that touch, and tables that a user can extend.
"""

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.result import HandResult, Points, palm_size
from handheld.hands.skeleton import FINGERS, Keypoint
from handheld.untrusted import require_file

T = TypeVar("T")

State = Literal["straight", "hooked", "curved", "bent"]
ThumbDirection = Literal["up", "down", "side"]

FOLDED: tuple[State, ...] = ("hooked", "curved", "bent")
"""Every state but straight; tables say ``folded``."""

STRAIGHT_BELOW = {"thumb": 60.0, "index": 90.0, "middle": 90.0, "ring": 90.0, "pinky": 90.0}
"""Degrees of accumulated bend below which a finger is straight.

These and the numbers below were chosen on 1,000 photos of digits in sign language: straight fingers
stay below 75 there, bent ones above 100; ``benchmarks/gestures.py`` measures the result on the
other photos.
"""

_BENT_ABOVE = 165.0
"""Degrees of accumulated bend of a finger that lies in the palm."""

_HOOKED_BELOW = 45.0
"""Degrees at the knuckle below which a folded finger is hooked rather than curved."""

_THUMB_OUT = 1.12
"""A thumb stands off if its tip is so many times further from the little finger's knuckle than its
own knuckle is.
"""

_THUMB_UPRIGHT = 1.2
"""A thumb points up or down if it does so many times more than to the side."""

_TOUCH = 0.4
"""Tips touch within this part of the palm's length."""

_CHAINS = np.array([(0, *joints) for joints in FINGERS.values()])
_TIPS = {finger: tip for finger, (*_, tip) in FINGERS.items() if finger != "thumb"}
_THUMB_ENDS = np.array([Keypoint.THUMB_TIP, Keypoint.THUMB_MCP])
# The palm's length, and from each tip to the thumb's: all at once, since a call of numpy costs more
# than what it computes of a hand.
_APART_FROM = np.array([Keypoint.WRIST, *_TIPS.values()])
_APART_TO = np.array([Keypoint.MIDDLE_MCP, *[Keypoint.THUMB_TIP] * len(_TIPS)])
_TABLES = ("signs", "american", "european", "chinese")


@dataclass(frozen=True)
class FingerStates:
    """What a hand's fingers do.

    Attributes:
        bend: finger -> accumulated joint angles, degrees.
        states: finger -> straight, hooked (straight at the knuckle, bent beyond it), curved as
            around a ball, or bent.
        thumb_points: where a straight thumb points in the picture: up, down or side.
        touching: fingers whose tip touches the thumb's.
        unseen: fingers of which a joint or the tip is outside the picture: their states are the
            model's guess.
    """

    bend: dict[str, float]
    states: dict[str, State]
    thumb_points: ThumbDirection
    touching: frozenset[str]
    unseen: frozenset[str] = frozenset()


def finger_states(
    landmarks: Points,
    world: Points | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> FingerStates:
    """Return the state of each finger.

    Args:
        landmarks: (21, 3) pixels, y downwards; for directions.
        world: (21, 3) metres, for angles; without it the landmarks' own depth is used.
        size: height and width of the picture, to know which fingers are outside; without it all
            count as seen.
    """
    points = (landmarks if world is None else world).astype(np.float64)
    angles = _joint_angles(points)
    bend: dict[str, float] = dict(zip(FINGERS, angles.sum(axis=1).tolist(), strict=True))
    states: dict[str, State] = {}
    for finger, at_knuckle in zip(FINGERS, angles[:, 0].tolist(), strict=True):
        states[finger] = _state(finger, bend[finger], at_knuckle)
    # By its joints alone a thumb that lies across the palm may be straight.
    if not _stands_off(points):
        states["thumb"] = "bent"
    return FingerStates(
        bend=bend,
        states=states,
        thumb_points=_thumb_direction(landmarks),
        touching=_touching(landmarks.astype(np.float64)),
        unseen=_unseen(landmarks, size),
    )


def _stands_off(points: NDArray[np.float64]) -> bool:
    """Whether the thumb does not lie across the palm."""
    thumb = points[_THUMB_ENDS]
    tip, knuckle = np.linalg.norm(thumb - points[Keypoint.PINKY_MCP], axis=1).tolist()
    return bool(tip > _THUMB_OUT * knuckle)


def _touching(points: NDArray[np.float64]) -> frozenset[str]:
    """Return the fingers whose tip is near to the thumb's."""
    apart = points[_APART_FROM] - points[_APART_TO]
    palm, *tips = np.linalg.norm(apart, axis=1).tolist()
    pairs = zip(_TIPS, tips, strict=True)
    return frozenset(finger for finger, distance in pairs if distance < _TOUCH * palm)


def _unseen(landmarks: Points, size: tuple[int, int] | None) -> frozenset[str]:
    """Return the fingers of which a keypoint is outside a picture of (height, width)."""
    if size is None:
        return frozenset()
    # Of a joint that the model does not see it makes a guess that no gesture should rest on.
    height, width = size
    x = landmarks[:, 0]
    y = landmarks[:, 1]
    outside = (x < 0) | (x > width) | (y < 0) | (y > height)
    return frozenset(name for name, joints in FINGERS.items() if outside[list(joints)].any())


def _joint_angles(points: Any) -> Any:
    """Return (5, 3) angles in degrees between successive segments of each finger."""
    segments = points[_CHAINS[:, 1:]] - points[_CHAINS[:, :-1]]
    lengths = np.linalg.norm(segments, axis=2)
    products = (segments[:, :-1] * segments[:, 1:]).sum(axis=2)
    # A segment of no length has no direction; its angle counts as a right one.
    cosines = products / np.maximum(lengths[:, :-1] * lengths[:, 1:], 1e-12)
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    # The thumb's first joint turns it towards the palm, which is no bend.
    angles[0, 0] = 0.0
    return angles


def _state(name: str, bend: float, at_knuckle: float) -> State:
    # The thumb has one joint less, and a threshold of its own.
    if bend < STRAIGHT_BELOW[name]:
        return "straight"
    if name == "thumb" or bend > _BENT_ABOVE:
        return "bent"
    if at_knuckle < _HOOKED_BELOW:
        return "hooked"
    return "curved"


def _thumb_direction(landmarks: Points) -> ThumbDirection:
    thumb = landmarks[Keypoint.THUMB_TIP, :2] - landmarks[Keypoint.THUMB_MCP, :2]
    across, down = thumb.tolist()
    if abs(down) < _THUMB_UPRIGHT * abs(across):
        return "side"
    if down > 0:
        return "down"
    return "up"


@dataclass(frozen=True)
class Gesture:
    """One row of a table: fingers not named may be in any state.

    Attributes:
        name: what ``HandResult.gesture`` says.
        fingers: finger -> the states that fit.
        thumb_points: up, down or side; ``None`` for any.
        touching: fingers whose tips must touch the thumb's; ``None`` for any.
        number: what the gesture counts, for :func:`count`.
    """

    name: str
    fingers: dict[str, tuple[State, ...]]
    thumb_points: str | None = None
    touching: frozenset[str] | None = None
    number: int | None = None

    def fits(self, hand: FingerStates) -> bool | None:
        """Return whether a hand shows this gesture.

        It is None where that depends on a finger that is not seen.
        """
        answers = [self._fits_finger(finger, hand) for finger in self.fingers]
        answers.append(self._fits_thumb(hand))
        answers.append(self._fits_touch(hand))
        # One finger that does not fit is enough, whatever those do that are not seen.
        if False in answers:
            return False
        if None in answers:
            return None
        return True

    def _fits_finger(self, finger: str, hand: FingerStates) -> bool | None:
        if finger in hand.unseen:
            return None
        return hand.states[finger] in self.fingers[finger]

    def _fits_thumb(self, hand: FingerStates) -> bool | None:
        if self.thumb_points is None:
            return True
        if "thumb" in hand.unseen:
            return None
        return hand.thumb_points == self.thumb_points

    def _fits_touch(self, hand: FingerStates) -> bool | None:
        if self.touching is None:
            return True
        # Where none may touch, all of them have to be seen.
        fingers = self.touching or _TIPS.keys()
        if hand.unseen & {"thumb", *fingers}:
            return None
        if self.touching:
            return self.touching <= hand.touching
        return not hand.touching


@dataclass(frozen=True)
class GestureTable:
    """Gestures in the order in which they are tried: the first that fits is the hand's."""

    rows: tuple[Gesture, ...]

    @classmethod
    def load(cls, table: "str | os.PathLike[str] | GestureTable") -> Self:
        """Return a table by name (signs, american, european, chinese) or from a TOML file.

        A file holds rows, tried from the top, and may put them before a built-in table::

            extends = "signs"             # optional
            [[gesture]]
            name = "gun"
            thumb = "straight"            # or hooked, curved, bent, folded (all but straight),
            index = ["straight", "bent"]  # or a list of these
            thumb_points = "up"           # optional
            touching = ["middle"]         # optional: tips that touch the thumb's; [] for none
            number = 8                    # optional

        Raises:
            InputError: an unknown name, finger, state or key, a value of another type, or tables
                that extend each other in a circle.
        """
        if isinstance(table, GestureTable):
            return cls(table.rows)
        return cls(_load_rows(table, ()))

    def extended(self, rows: Iterable[Gesture]) -> "GestureTable":
        """Return a table that tries ``rows`` first."""
        # First, so that a user's gesture wins over one of ours that its hand fits as well.
        return GestureTable((*rows, *self.rows))

    def recognise(self, hand: HandResult, *, size: tuple[int, int] | None = None) -> str | None:
        """Return the name of the first gesture that a hand shows, or ``None``; see :meth:`find`."""
        row = self.find(hand, size=size)
        if row:
            return row.name
        return None

    def find(self, hand: HandResult, *, size: tuple[int, int] | None = None) -> Gesture | None:
        """Return the first row that a hand fits, or ``None``; always ``None`` without landmarks.

        Args:
            hand: with landmarks.
            size: height and width of the picture. A row that needs a finger outside of it is not
                known to fit, and then those after it are not tried either: the answer is ``None``.
        """
        # A palm of no length has no angles.
        if hand.landmarks is None or palm_size(hand.landmarks) == 0:
            return None
        states = finger_states(hand.landmarks, hand.world, size=size)
        for row in self.rows:
            fits = row.fits(states)
            # What may fit hides the rows after it, which are tried only where it does not.
            if fits is not False:
                if fits:
                    return row
                return None
        return None


def count(
    hands: Sequence[HandResult],
    table: str | GestureTable = "american",
    *,
    size: tuple[int, int] | None = None,
) -> int | None:
    """Return the number, 0 to 10, that one or two hands show; two hands add up.

    It is ``None`` where a hand shows no number.

    Args:
        hands: one or two.
        table: american, european or chinese, or a table of one's own.
        size: height and width of the picture, see :meth:`GestureTable.find`.
    """
    # Of no hands the sum is 0, which is a sign of its own: a fist.
    if not hands:
        return None
    rows = GestureTable.load(table)
    total = 0
    for hand in hands:
        row = rows.find(hand, size=size)
        if row is None or row.number is None:
            return None
        total += row.number
    # Where one hand shows up to ten, as in Chinese signs, two can add up to what nobody means.
    if total <= 10:
        return total
    return None


def _load_rows(table: str | os.PathLike[str], below: tuple[str, ...]) -> tuple[Gesture, ...]:
    """Return the rows of a table by name or file.

    ``below`` are the sources of the tables that extend it.
    """
    name = str(table)
    if name in _TABLES:
        file = resources.files("handheld.hands").joinpath("tables", f"{name}.toml")
        return _parse(file.read_text("utf-8"), name, below)
    path = Path(table)
    source = str(path.resolve())
    # By its whole path: a file may be named in several ways.
    if source in below:
        raise InputError(f"{path}: extends itself, by way of {' -> '.join([*below, source])}")
    try:
        require_file(path)
        # Editors on Windows put a mark before the text.
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        tables = ", ".join(_TABLES)
        raise InputError(
            f"no gesture table {name!r}: expected {tables} or a TOML file ({error})"
        ) from error
    return _parse(text, source, below)


def _parse(text: str, source: str, below: tuple[str, ...]) -> tuple[Gesture, ...]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not a gesture table: {error}") from error
    base = _base(content, source, below)
    tables = _typed(content.pop("gesture", []), list, f"{source}, gesture")
    rows: list[Gesture] = []
    for number, table in enumerate(tables, start=1):
        rows.append(_row(table, f"{source}, gesture {number}"))
    if content or not rows:
        unknown = f", got {sorted(content)}" if content else ""
        raise InputError(f"{source}: expected rows [[gesture]]{unknown}")
    return (*rows, *base)


def _base(content: dict[str, Any], source: str, below: tuple[str, ...]) -> tuple[Gesture, ...]:
    """Return the rows of the table that another extends, whose key is taken out."""
    if "extends" not in content:
        return ()
    extended = _typed(content.pop("extends"), str, f"{source}, extends")
    return _load_rows(extended, (*below, source))


def _typed(value: Any, expected: type[T], origin: str) -> T:
    """Return a value of a table. Raises :class:`InputError` for one of another type."""
    # Python counts True as a number.
    is_flag = expected is int and isinstance(value, bool)
    if not isinstance(value, expected) or is_flag:
        raise InputError(f"{origin}: expected {_IN_WORDS[expected]}, got {value!r}")
    return value


_IN_WORDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def _row(table: Any, origin: str) -> Gesture:
    """Return a row of a table, of which an error says where it stands."""
    row = dict(_typed(table, dict, origin))
    if "name" not in row:
        raise InputError(f"{origin}: has no name")
    name = _typed(row.pop("name"), str, f"{origin}, name")
    origin = f"{origin} ({name})"
    fingers: dict[str, tuple[State, ...]] = {}
    for finger in FINGERS:
        if finger in row:
            fingers[finger] = _states(row.pop(finger), f"{origin}, {finger}")
    # All keys are taken out before the first is checked: an unknown one is often a misspelt one.
    points = row.pop("thumb_points", None)
    touching = row.pop("touching", None)
    number = row.pop("number", None)
    if row:
        names = ", ".join(FINGERS)
        raise InputError(f"{origin}: unknown keys {sorted(row)}; fingers are {names}")
    if points not in (None, "up", "down", "side"):
        raise InputError(f"{origin}: thumb_points must be up, down or side, got {points!r}")
    if number is not None:
        _typed(number, int, f"{origin}, number")
    return Gesture(name, fingers, points, _touched(touching, origin), number)


def _touched(value: Any, origin: str) -> frozenset[str] | None:
    """Return the fingers that have to touch the thumb; None where a row says nothing of it."""
    if value is None:
        return None
    is_list_of_text = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not is_list_of_text or not _TIPS.keys() >= set(value):
        raise InputError(
            f"{origin}: touching must name fingers other than the thumb, got {value!r}"
        )
    return frozenset(value)


def _states(value: Any, origin: str) -> tuple[State, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(map(_may_be_state, names)):
        raise InputError(
            f"{origin}: expected straight, hooked, curved, bent or folded, got {value!r}"
        )
    states: list[State] = []
    for name in names:
        states += _STATES[_typed(name, str, origin)]
    return tuple(states)


def _may_be_state(name: Any) -> bool:
    # What is no text has an error of its own.
    return not isinstance(name, str) or name in _STATES


_STATES: dict[str, tuple[State, ...]] = {
    "straight": ("straight",),
    "hooked": ("hooked",),
    "curved": ("curved",),
    "bent": ("bent",),
    "folded": FOLDED,
}
"""What tables say of a finger, and the states that it stands for."""
