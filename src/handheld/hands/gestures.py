"""Gestures from the bend of each finger.

As the 2019 post describes: joint angles accumulate along each finger, which makes it straight or bent, and the set of states is
looked up in a table. Beyond it: the thumb's direction, finger tips that touch, and tables that a user can extend.
"""

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np

from handheld.errors import InputError
from handheld.hands.result import HandResult, Points, palm_size
from handheld.hands.skeleton import FINGERS
from handheld.untrusted import require_file

T = TypeVar("T")

State = Literal["straight", "hooked", "curved", "bent"]

FOLDED: tuple[State, ...] = ("hooked", "curved", "bent")
"""Every state but straight; tables say ``folded``."""

STRAIGHT_BELOW = {"thumb": 60.0, "index": 90.0, "middle": 90.0, "ring": 90.0, "pinky": 90.0}
"""Degrees of accumulated bend below which a finger is straight.

These and the numbers below were chosen on 1,000 photos of digits in sign language: straight fingers stay below 75
there, bent ones above 100; ``benchmarks/gestures.py`` measures the result on the other photos.
"""

_BENT_ABOVE = 165.0
"""Degrees of accumulated bend of a finger that lies in the palm."""

_THUMB_OUT = 1.12
"""A thumb stands off if its tip is so many times further from the little finger's knuckle than its own knuckle is."""

_TOUCH = 0.4
"""Tips touch within this part of the palm's length."""

_CHAINS = np.array([(0, *joints) for joints in FINGERS.values()])
_OTHERS, _TIPS = zip(
    *((name, joints[3]) for name, joints in FINGERS.items() if name != "thumb"), strict=True
)
_TABLES = ("signs", "american", "european", "chinese")


@dataclass(frozen=True)
class FingerStates:
    """What a hand's fingers do.

    Attributes:
        bend: finger -> accumulated joint angles, degrees.
        states: finger -> straight, hooked (straight at the knuckle, bent beyond it), curved as around a ball, or bent.
        thumb_points: where a straight thumb points in the picture: up, down or side.
        touching: fingers whose tip touches the thumb's.
        unseen: fingers of which a joint or the tip is outside the picture: their states are the model's guess.
    """

    bend: dict[str, float]
    states: dict[str, State]
    thumb_points: Literal["up", "down", "side"]
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
        size: height and width of the picture, to know which fingers are outside; without it all count as seen.
    """
    points = (landmarks if world is None else world).astype(np.float64)
    angles = _joint_angles(points)
    bend = dict(zip(FINGERS, angles.sum(axis=1).tolist(), strict=True))
    states = {
        name: _state(name, bend[name], float(angles[number, 0]))
        for number, name in enumerate(FINGERS)
    }
    reach = np.linalg.norm(points[[4, 2]] - points[17], axis=1)
    if not reach[0] > _THUMB_OUT * reach[1]:  # the thumb lies across the palm
        states["thumb"] = "bent"
    seen = landmarks.astype(np.float64)
    apart = np.linalg.norm(seen[[0, *_TIPS]] - seen[[9, 4, 4, 4, 4]], axis=1)
    touching = frozenset(
        name
        for name, distance in zip(_OTHERS, apart[1:], strict=True)
        if distance < _TOUCH * apart[0]
    )
    return FingerStates(
        bend, states, _thumb_direction(landmarks), touching, _unseen(landmarks, size)
    )


def _unseen(landmarks: Points, size: tuple[int, int] | None) -> frozenset[str]:
    """Return the fingers of which a keypoint is outside a picture of (height, width)."""
    if size is None:
        return frozenset()
    height, width = size
    x = landmarks[:, 0]
    y = landmarks[:, 1]
    outside = (x < 0) | (x > width) | (y < 0) | (y > height)
    return frozenset(name for name, joints in FINGERS.items() if outside[list(joints)].any())


def _joint_angles(points: Any) -> Any:
    """Return (5, 3) angles in degrees between successive segments of each finger; the thumb has two, and a nought first."""
    segments = points[_CHAINS[:, 1:]] - points[_CHAINS[:, :-1]]
    lengths = np.linalg.norm(segments, axis=2)
    cosines = (segments[:, :-1] * segments[:, 1:]).sum(axis=2) / np.maximum(
        lengths[:, :-1] * lengths[:, 1:], 1e-12
    )
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    angles[0, 0] = 0.0
    return angles


def _state(name: str, bend: float, at_knuckle: float) -> State:
    if bend < STRAIGHT_BELOW[name]:
        return "straight"
    if name == "thumb" or bend > _BENT_ABOVE:
        return "bent"
    return "hooked" if at_knuckle < 45 else "curved"


def _thumb_direction(landmarks: Points) -> Literal["up", "down", "side"]:
    across, down = (landmarks[4, :2] - landmarks[2, :2]).tolist()
    if abs(down) < 1.2 * abs(across):
        return "side"
    return "down" if down > 0 else "up"


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
        """Return whether a hand shows this gesture; None where that depends on a finger that is not seen."""
        answers = [self._fits_finger(finger, hand) for finger in self.fingers]
        if self.thumb_points is not None:
            is_thumb_seen = "thumb" not in hand.unseen
            answers.append(hand.thumb_points == self.thumb_points if is_thumb_seen else None)
        if self.touching is not None:
            answers.append(self._fits_touch(hand))
        if False in answers:
            return False
        return None if None in answers else True

    def _fits_finger(self, finger: str, hand: FingerStates) -> bool | None:
        return None if finger in hand.unseen else hand.states[finger] in self.fingers[finger]

    def _fits_touch(self, hand: FingerStates) -> bool | None:
        fingers = self.touching or frozenset(_OTHERS)  # none may touch: all of them have to be seen
        if hand.unseen & {"thumb", *fingers}:
            return None
        return self.touching <= hand.touching if self.touching else not hand.touching


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
            thumb = "straight"            # or hooked, curved, bent, folded (all but straight), or a list of these
            index = "straight"
            thumb_points = "up"           # optional
            touching = ["middle"]         # optional: tips that touch the thumb's; [] for none
            number = 8                    # optional

        Raises :class:`InputError` for an unknown name, finger, state or key, a value of another type, and tables that
        extend each other in a circle.
        """
        if isinstance(table, GestureTable):
            return cls(table.rows)
        return cls(_load_rows(table, ()))

    def extended(self, rows: Iterable[Gesture]) -> "GestureTable":
        """Return a table that tries ``rows`` first."""
        return GestureTable((*rows, *self.rows))

    def recognise(self, hand: HandResult, *, size: tuple[int, int] | None = None) -> str | None:
        """Return the name of the first gesture that a hand shows, or ``None``; see :meth:`find`."""
        row = self.find(hand, size=size)
        return row.name if row else None

    def find(self, hand: HandResult, *, size: tuple[int, int] | None = None) -> Gesture | None:
        """Return the first row that a hand fits, or ``None``; always ``None`` without landmarks.

        Args:
            hand: with landmarks.
            size: height and width of the picture. A row that needs a finger outside of it is not known to fit, and then
                those after it are not tried either: the answer is ``None``.
        """
        if hand.landmarks is None or palm_size(hand.landmarks) == 0:
            return None
        states = finger_states(hand.landmarks, hand.world, size=size)
        for row in self.rows:
            fits = row.fits(states)
            if fits is not False:
                return row if fits else None
        return None


def count(
    hands: Sequence[HandResult],
    way: str | GestureTable = "american",
    *,
    size: tuple[int, int] | None = None,
) -> int | None:
    """Return the number, 0 to 10, that one or two hands show; two hands add up. ``None`` where a hand shows no number.

    Args:
        hands: one or two.
        way: american, european or chinese, or a table of one's own.
        size: height and width of the picture, see :meth:`GestureTable.find`.
    """
    rows = [GestureTable.load(way).find(hand, size=size) for hand in hands]
    numbers = [row.number for row in rows if row is not None and row.number is not None]
    total = sum(numbers)
    return total if numbers and len(numbers) == len(hands) and total <= 10 else None


def _load_rows(table: str | os.PathLike[str], below: tuple[str, ...]) -> tuple[Gesture, ...]:
    """Return the rows of a table by name or file; ``below`` are the sources of those that extend it."""
    source = str(table)
    if source in _TABLES:
        text = (
            resources.files("handheld.hands")
            .joinpath("tables", f"{source}.toml")
            .read_text("utf-8")
        )
        return _parse(text, source, below)
    path = Path(table)
    source = str(path.resolve())
    if source in below:
        raise InputError(f"{path}: extends itself, by way of {' -> '.join([*below, source])}")
    try:
        require_file(path)
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no gesture table {str(table)!r}: expected {', '.join(_TABLES)} or a TOML file ({error})"
        ) from error
    return _parse(text, source, below)


def _parse(text: str, source: str, below: tuple[str, ...]) -> tuple[Gesture, ...]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not a gesture table: {error}") from error
    base: tuple[Gesture, ...] = ()
    if "extends" in content:
        base = _load_rows(
            _typed(content.pop("extends"), str, f"{source}, extends"), (*below, source)
        )
    listed = _typed(content.pop("gesture", []), list, f"{source}, gesture")
    rows = tuple(
        _row(row, f"{source}, gesture {number}") for number, row in enumerate(listed, start=1)
    )
    if content or not rows:
        raise InputError(
            f"{source}: expected rows [[gesture]]" + (f", got {sorted(content)}" if content else "")
        )
    return (*rows, *base)


def _typed(value: Any, wanted: type[T], where: str) -> T:
    """Return a value that a table may hold at a place. Raises :class:`InputError` for one of another type."""
    is_flag = wanted is int and isinstance(value, bool)  # Python counts True as a number
    if not isinstance(value, wanted) or is_flag:
        raise InputError(f"{where}: expected {_IN_WORDS[wanted]}, got {value!r}")
    return value


_IN_WORDS: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def _row(row: dict[str, Any], where: str) -> Gesture:
    row = dict(_typed(row, dict, where))
    try:
        name = _typed(row.pop("name"), str, f"{where}, name")
    except KeyError:
        raise InputError(f"{where}: has no name") from None
    fingers = {
        finger: _states(row.pop(finger), f"{where} ({name}), {finger}")
        for finger in FINGERS
        if finger in row
    }
    points = row.pop("thumb_points", None)
    touching = row.pop("touching", None)
    number = row.pop("number", None)
    if row:
        raise InputError(
            f"{where} ({name}): unknown keys {sorted(row)}; fingers are {', '.join(FINGERS)}"
        )
    if points not in (None, "up", "down", "side"):
        raise InputError(f"{where} ({name}): thumb_points must be up, down or side, got {points!r}")
    if number is not None:
        _typed(number, int, f"{where} ({name}), number")
    if touching is not None and not _names_fingers(touching):
        raise InputError(
            f"{where} ({name}): touching must name fingers other than the thumb, got {touching!r}"
        )
    return Gesture(name, fingers, points, None if touching is None else frozenset(touching), number)


def _states(value: Any, where: str) -> tuple[State, ...]:
    names = [value] if isinstance(value, str) else value
    if (
        not isinstance(names, list)
        or not names
        or not all(name in _STATES for name in names if isinstance(name, str))
    ):
        raise InputError(
            f"{where}: expected straight, hooked, curved, bent or folded, got {value!r}"
        )
    states: list[State] = []
    for name in names:
        states += _STATES[_typed(name, str, where)]
    return tuple(states)


def _names_fingers(value: Any) -> bool:
    is_list_of_text = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return is_list_of_text and set(value) <= set(_OTHERS)


_STATES: dict[str, tuple[State, ...]] = {
    "straight": ("straight",),
    "hooked": ("hooked",),
    "curved": ("curved",),
    "bent": ("bent",),
    "folded": FOLDED,
}
"""What tables say of a finger, and the states that it stands for."""
