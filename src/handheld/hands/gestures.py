"""Gestures from the bend of each finger.

As the 2019 post describes: joint angles accumulate along each finger, which makes it straight or
bent, and the set of states is looked up in a table. Beyond it: the thumb's direction, finger tips
that touch, and tables that a user can extend.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from handheld.config import read_config
from handheld.errors import InputError
from handheld.hands.result import HandResult, Points, palm_size
from handheld.hands.skeleton import FINGERS, Keypoint
from handheld.ranges import height_and_width, whole_in_range
from handheld.untrusted import require_name

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

_LEAST_CONFIDENCE = 0.3
"""Probability below which a keypoint counts as not seen, where the pack's model gives one.

One in a thousand hands of the photos of digits, all whole and in view, has so doubtful a keypoint;
of the hands on clips of sign language, which are cut by the border, blurred or hidden, 36 in 100.
"""

_CHAINS = np.array([(0, *joints) for joints in FINGERS.values()])
_TIPS = {finger: tip for finger, (*_, tip) in FINGERS.items() if finger != "thumb"}
_THUMB_ENDS = np.array([Keypoint.THUMB_TIP, Keypoint.THUMB_MCP])
# The palm's length, and from each tip to the thumb's: all at once, since a call of numpy costs more
# than what it computes of a hand.
_APART_FROM = np.array([Keypoint.WRIST, *_TIPS.values()])
_APART_TO = np.array([Keypoint.MIDDLE_MCP, *[Keypoint.THUMB_TIP] * len(_TIPS)])
_TABLES = ("signs", "american", "european", "chinese")
_TABLE_FOLDER = Path(__file__).with_name("tables")

_MOST = 10
"""Number that two hands count to."""


@dataclass(frozen=True)
class FingerStates:
    """What a hand's fingers do.

    Attributes:
        bend: finger -> accumulated joint angles, degrees.
        states: finger -> straight, hooked (straight at the knuckle, bent beyond it), curved as
            around a ball, or bent.
        thumb_points: where a straight thumb points in the picture: up, down or side.
        touching: fingers whose tip touches the thumb's.
        unseen: fingers of which a joint or the tip is outside the picture, or is one that the model
            doubts: their states are its guess.
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
    confidence: Points | None = None,
) -> FingerStates:
    """Return the state of each finger.

    Args:
        landmarks: (21, 3) pixels, y downwards; for directions.
        world: (21, 3) metres, for angles; without it the landmarks' own depth is used.
        size: height and width of the picture, to know which fingers are outside; without it all
            count as inside.
        confidence: (21,) probability of each keypoint that it is right, in [0, 1]; without it all
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
        unseen=unseen_fingers(landmarks, size=size, confidence=confidence),
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


def unseen_fingers(
    landmarks: Points,
    *,
    size: tuple[int, int] | None = None,
    confidence: Points | None = None,
) -> frozenset[str]:
    """Return the fingers that a gesture should not rest on; see :func:`finger_states`.

    Of a joint that the model does not see it makes a guess.
    """
    hidden = np.zeros(len(landmarks), bool)
    if size is not None:
        height_and_width("size", size)
        height, width = size
        x = landmarks[:, 0]
        y = landmarks[:, 1]
        hidden |= (x < 0) | (x > width) | (y < 0) | (y > height)
    if confidence is not None:
        hidden |= confidence < _LEAST_CONFIDENCE
    # Most hands are seen whole, in every frame.
    if not hidden.any():
        return frozenset()
    return frozenset(name for name, joints in FINGERS.items() if hidden[list(joints)].any())


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


class GestureRecogniser(ABC):
    """Names the gesture that a hand shows: by a table, a trained model, or a user's examples."""

    @abstractmethod
    def recognise(
        self,
        hand: HandResult,
        *,
        size: tuple[int, int] | None = None,
        mirrored: bool = False,
    ) -> str | None:
        """Return the name of the gesture, or ``None`` where there is none or it is in doubt.

        Args:
            hand: with landmarks; without them the answer is ``None``.
            size: height and width of the picture: fingers outside of it tell nothing.
            mirrored: whether the picture is a mirror image, in which a right hand has the shape of
                a left one.
        """


@dataclass(frozen=True)
class GestureTable(GestureRecogniser):
    """Gestures in the order in which they are tried: the first that fits is the hand's."""

    rows: tuple[Gesture, ...]

    @classmethod
    def load(cls, table: "str | os.PathLike[str] | GestureTable") -> Self:
        """Return a table by name (signs, american, european, chinese) or from a TOML file.

        A file holds rows, tried from the top, and may put them before a built-in table::

            extends = "signs"             # optional: a table by name, or a file beside this one
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

    def recognise(
        self,
        hand: HandResult,
        *,
        size: tuple[int, int] | None = None,
        mirrored: bool = False,
    ) -> str | None:
        """Return the name of the first gesture that a hand shows, or ``None``; see :meth:`find`."""
        # Angles are the same in a mirror.
        row = self.find(hand, size=size)
        if row:
            return row.name
        return None

    def find(self, hand: HandResult, *, size: tuple[int, int] | None = None) -> Gesture | None:
        """Return the first row that a hand fits, or ``None``; ``None`` without finite landmarks.

        Args:
            hand: with landmarks.
            size: height and width of the picture. A row that needs a finger outside of it is not
                known to fit, and then those after it are not tried either: the answer is ``None``.
        """
        # A palm of no length has no angles, and neither have coordinates that are no numbers.
        if hand.landmarks is None or not hand.is_finite or palm_size(hand.landmarks) == 0:
            return None
        states = finger_states(hand.landmarks, hand.world, size=size, confidence=hand.confidence)
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
    if total <= _MOST:
        return total
    return None


def _load_rows(table: str | os.PathLike[str], below: tuple[str, ...]) -> tuple[Gesture, ...]:
    """Return the rows of a table by name or file.

    ``below`` are the sources of the tables that extend it.
    """
    is_shipped = str(table) in _TABLES
    try:
        path = _TABLE_FOLDER / f"{table}.toml" if is_shipped else Path(table)
    except TypeError as error:
        raise _no_table(table) from error
    # Not Path.exists, which raises for names that no file can have.
    if not os.path.exists(path):
        raise _no_table(table)
    # By its whole path: a file may be named in several ways.
    source = str(table) if is_shipped else str(path.resolve())
    if source in below:
        raise InputError(f"{path}: extends itself, by way of {' -> '.join([*below, source])}")
    said = read_config(_TableFile, path)
    base: tuple[Gesture, ...] = ()
    if said.extends is not None:
        base = _load_rows(extended_table(said.extends, path.parent), (*below, source))
    if not said.gesture:
        raise InputError(f"{path}: expected rows [[gesture]]")
    return (*(row.read() for row in said.gesture), *base)


def _no_table(table: object) -> InputError:
    return InputError(
        f"no gesture table {str(table)!r}: expected {', '.join(_TABLES)} or a TOML file "
        "(--gestures and HandTracker take learned, .gestures and .npz files too)"
    )


def extended_table(extends: str, folder: Path) -> str | Path:
    """Return what a file of a folder extends: a table by its name, or a file beside it."""
    return extends if extends in _TABLES else folder / extends


@dataclass(frozen=True)
class _GestureRow:
    """A gesture as a file says it, fingers by one state's name or several."""

    name: str
    thumb: str | tuple[str, ...] | None = None
    index: str | tuple[str, ...] | None = None
    middle: str | tuple[str, ...] | None = None
    ring: str | tuple[str, ...] | None = None
    pinky: str | tuple[str, ...] | None = None
    thumb_points: str | None = None
    touching: tuple[str, ...] | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        require_name("name", self.name)
        for finger in FINGERS:
            _states(finger, getattr(self, finger))
        if self.thumb_points not in (None, "up", "down", "side"):
            raise InputError(f"thumb_points: expected up, down or side, got {self.thumb_points!r}")
        if self.number is not None:
            whole_in_range("number", self.number, low=0, high=_MOST)
        if not _TIPS.keys() >= set(self.touching or ()):
            raise InputError(
                f"touching: expected some of {', '.join(_TIPS)}, got {self.touching!r}"
            )

    def read(self) -> Gesture:
        fingers = {finger: _states(finger, getattr(self, finger)) for finger in FINGERS}
        return Gesture(
            self.name,
            {finger: states for finger, states in fingers.items() if states},
            self.thumb_points,
            None if self.touching is None else frozenset(self.touching),
            self.number,
        )


@dataclass(frozen=True)
class _TableFile:
    """A file of gestures; those of the table that it extends are tried after its own."""

    extends: str | None = None
    gesture: tuple[_GestureRow, ...] = ()


def _states(finger: str, names: str | tuple[str, ...] | None) -> tuple[State, ...]:
    """Return the states that names stand for; empty where a finger is not named."""
    if names is None:
        return ()
    listed = [names] if isinstance(names, str) else names
    if not listed or not set(listed) <= _STATES.keys():
        raise InputError(f"{finger}: expected some of {', '.join(_STATES)}, got {names!r}")
    states: list[State] = []
    for name in listed:
        states += _STATES[name]
    return tuple(states)


_STATES: dict[str, tuple[State, ...]] = {
    "straight": ("straight",),
    "hooked": ("hooked",),
    "curved": ("curved",),
    "bent": ("bent",),
    "folded": FOLDED,
}
"""What tables say of a finger, and the states that it stands for."""
