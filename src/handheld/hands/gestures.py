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
from typing import Any, Literal, Self

import numpy as np

from handheld.errors import InputError
from handheld.hands.result import HandResult, Points, palm_size
from handheld.hands.skeleton import FINGERS

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
_OTHERS, _TIPS = zip(*((name, joints[3]) for name, joints in FINGERS.items() if name != "thumb"), strict=True)
_TABLES = ("signs", "american", "european", "chinese")


@dataclass(frozen=True)
class FingerStates:
    """What a hand's fingers do.

    Attributes:
        bend: finger -> accumulated joint angles, degrees.
        states: finger -> straight, hooked (straight at the knuckle, bent beyond it), curved as around a ball, or bent.
        thumb_points: where a straight thumb points in the picture: up, down or side.
        touching: fingers whose tip touches the thumb's.
    """

    bend: dict[str, float]
    states: dict[str, State]
    thumb_points: Literal["up", "down", "side"]
    touching: frozenset[str]


def finger_states(landmarks: Points, world: Points | None = None) -> FingerStates:
    """Return the state of each finger.

    Args:
        landmarks: (21, 3) pixels, y downwards; for directions.
        world: (21, 3) metres, for angles; without it the landmarks' own depth is used.
    """
    points = (landmarks if world is None else world).astype(np.float64)
    angles = _joint_angles(points)
    bend = dict(zip(FINGERS, angles.sum(axis=1).tolist(), strict=True))
    states = {name: _state(name, bend[name], float(angles[number, 0])) for number, name in enumerate(FINGERS)}
    reach = np.linalg.norm(points[[4, 2]] - points[17], axis=1)
    if not reach[0] > _THUMB_OUT * reach[1]:  # the thumb lies across the palm
        states["thumb"] = "bent"
    seen = landmarks.astype(np.float64)
    apart = np.linalg.norm(seen[[0, *_TIPS]] - seen[[9, 4, 4, 4, 4]], axis=1)
    touching = frozenset(name for name, distance in zip(_OTHERS, apart[1:], strict=True) if distance < _TOUCH * apart[0])
    return FingerStates(bend, states, _thumb_direction(landmarks), touching)


def _joint_angles(points: Any) -> Any:
    """Return (5, 3) angles in degrees between successive segments of each finger; the thumb has two, and a nought first."""
    segments = points[_CHAINS[:, 1:]] - points[_CHAINS[:, :-1]]
    lengths = np.linalg.norm(segments, axis=2)
    cosines = (segments[:, :-1] * segments[:, 1:]).sum(axis=2) / np.maximum(lengths[:, :-1] * lengths[:, 1:], 1e-12)
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

    def fits(self, hand: FingerStates) -> bool:
        """Whether a hand shows this gesture."""
        return (
            all(hand.states[finger] in states for finger, states in self.fingers.items())
            and self.thumb_points in (None, hand.thumb_points)
            and (
                self.touching is None
                or (self.touching == hand.touching if not self.touching else self.touching <= hand.touching)
            )
        )


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

        Raises :class:`InputError` for an unknown name, finger, state or key.
        """
        if isinstance(table, GestureTable):
            return cls(table.rows)
        if str(table) in _TABLES:
            text = resources.files("handheld.hands").joinpath("tables", f"{table}.toml").read_text("utf-8")
            return cls(_parse(text, str(table)))
        path = Path(table)
        try:
            return cls(_parse(path.read_text("utf-8"), str(path)))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"no gesture table {str(table)!r}: expected {', '.join(_TABLES)} or a TOML file ({error})"
            ) from error

    def extended(self, rows: Iterable[Gesture]) -> "GestureTable":
        """Return a table that tries ``rows`` first."""
        return GestureTable((*rows, *self.rows))

    def recognise(self, hand: HandResult) -> str | None:
        """Return the name of the first gesture that a hand shows, or ``None``."""
        row = self.find(hand)
        return row.name if row else None

    def find(self, hand: HandResult) -> Gesture | None:
        """Return the first row that a hand fits, or ``None``; always ``None`` without landmarks."""
        if hand.landmarks is None or palm_size(hand.landmarks) == 0:
            return None
        states = finger_states(hand.landmarks, hand.world)
        return next((row for row in self.rows if row.fits(states)), None)


def count(hands: Sequence[HandResult], way: str | GestureTable = "american") -> int | None:
    """Return the number, 0 to 10, that one or two hands show; two hands add up. ``None`` where a hand shows no number.

    Args:
        hands: one or two.
        way: american, european or chinese, or a table of one's own.
    """
    rows = [GestureTable.load(way).find(hand) for hand in hands]
    numbers = [row.number for row in rows if row is not None and row.number is not None]
    total = sum(numbers)
    return total if numbers and len(numbers) == len(hands) and total <= 10 else None


def _parse(text: str, source: str) -> tuple[Gesture, ...]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not a gesture table: {error}") from error
    base = GestureTable.load(content.pop("extends")).rows if "extends" in content else ()
    rows = tuple(_row(row, f"{source}, gesture {number}") for number, row in enumerate(content.pop("gesture", []), start=1))
    if content or not rows:
        raise InputError(f"{source}: expected rows [[gesture]]" + (f", got {sorted(content)}" if content else ""))
    return (*rows, *base)


def _row(row: dict[str, Any], where: str) -> Gesture:
    row = dict(row)
    try:
        name = str(row.pop("name"))
    except KeyError:
        raise InputError(f"{where}: has no name") from None
    fingers = {finger: _states(row.pop(finger), f"{where} ({name}), {finger}") for finger in FINGERS if finger in row}
    points, touching, number = row.pop("thumb_points", None), row.pop("touching", None), row.pop("number", None)
    if row:
        raise InputError(f"{where} ({name}): unknown keys {sorted(row)}; fingers are {', '.join(FINGERS)}")
    if points not in (None, "up", "down", "side"):
        raise InputError(f"{where} ({name}): thumb_points must be up, down or side, got {points!r}")
    if touching is not None and not set(touching) <= FINGERS.keys() - {"thumb"}:
        raise InputError(f"{where} ({name}): touching must name fingers other than the thumb, got {touching!r}")
    return Gesture(name, fingers, points, None if touching is None else frozenset(touching), number)


def _states(value: Any, where: str) -> tuple[State, ...]:
    named = (value,) if isinstance(value, str) else tuple(value)
    states = tuple(state for name in named for state in (FOLDED if name == "folded" else (name,)))
    if not states or not set(states) <= {"straight", *FOLDED}:
        raise InputError(f"{where}: expected straight, hooked, curved, bent or folded, got {value!r}")
    return states
