"""A user's own gestures, each known by a few examples.

A hand shows the gesture whose examples' mean is nearest to its shape, if that is nearer than the
means of other common hands, and near enough: nearest class mean with rejection, as in Mensink et
al., 2013, but without a metric that is learned.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from handheld.config import from_table
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.hands.gestures import (
    GestureRecogniser,
    GestureTable,
    extended_table,
    unseen_fingers,
)
from handheld.hands.result import HandResult
from handheld.hands.shapes import Floats, hand_shape
from handheld.untrusted import read_json, require_file, require_name

MAX_EXAMPLES = 64
"""Examples of a gesture that are kept: more of one film say nothing new."""

LEAST_EXAMPLES = 3
"""Examples that a gesture needs: of one or two nobody knows how much they differ."""

_FORMAT = "handheld gestures 1"
_MAX_BYTES = 1 << 24
_POINTS = 21

_DEPTH_WEIGHT = 0.5
"""Of the distance out of the palm, which models guess: of 0, 0.3, 0.5 and 1 it confused the fewest
digits of the training people, each known by eight photos.
"""

_SAME = 0.12
"""Palm lengths: a common hand nearer than this to a gesture is that gesture, not another one.

Half of the photos of a digit lie within 0.08 of its mean, nine in ten within 0.13.
"""

_SPREADS = (0.12, 0.2)
"""Least and most distance at which a hand still shows a gesture: 95 in 100 photos of a digit lie
within 0.15 of their mean, and as many of another digit beyond 0.14.
"""

_LOOSENESS = 2.5
"""How much further than its examples a hand may be: a film of one hand shows less than there is."""

_COMMON = Path(__file__).with_name("assets") / "hand_shapes.npz"


@dataclass(frozen=True, eq=False)
class TaughtGesture:
    """A gesture by its examples.

    Attributes:
        name: what ``HandResult.gesture`` says.
        examples: (n, 21, 3) palm lengths in the palm's axes, of a right hand.
    """

    name: str
    examples: Floats

    def __post_init__(self) -> None:
        require_name("name of a gesture", self.name)
        if self.examples.ndim != 3 or self.examples.shape[1:] != (_POINTS, 3):
            raise InputError(
                f"{self.name}: expected examples of shape (n, 21, 3), got {self.examples.shape}"
            )
        if len(self.examples) < LEAST_EXAMPLES:
            raise InputError(
                f"{self.name}: expected at least {LEAST_EXAMPLES} examples, "
                f"got {len(self.examples)}: show the gesture for longer"
            )
        if not np.isfinite(self.examples).all():
            raise InputError(f"{self.name}: some numbers of the examples are not finite")

    @cached_property
    def mean(self) -> Floats:
        """(21, 3) of the examples."""
        mean: Floats = self.examples.mean(axis=0)
        return mean

    @cached_property
    def spread(self) -> float:
        """Palm lengths within which nine of ten examples are of their mean."""
        return float(np.quantile(distances(self.examples, self.mean), 0.9))


@dataclass(frozen=True, eq=False)
class TaughtGestures(GestureRecogniser):
    """A user's own gestures, and a table for the hands that show none of them.

    They mean the same however the hand is turned, and on either hand.

    Attributes:
        gestures: in the order in which they were taught.
        extends: a gesture table's name or file.
        folder: that the file's name leads from: of gestures that were read it is theirs.

    Raises:
        InputError: a gesture that is there twice, or a table that cannot be read.
    """

    gestures: tuple[TaughtGesture, ...] = ()
    extends: str = "signs"
    folder: Path = Path()

    def __post_init__(self) -> None:
        names = self.names
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"gesture {name!r} is there twice")
        # Now: the first hand that needs it may come late in a film.
        _ = self._table

    @property
    def names(self) -> list[str]:
        """Names of the gestures."""
        return [gesture.name for gesture in self.gestures]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read gestures from a file of :meth:`save`.

        Raises:
            InputError: the file is missing, or holds no gestures, or what it extends
                cannot be read.
        """
        name = os.fspath(path)
        try:
            require_file(path)
            with open(path, "rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
            stored = from_table(_GestureFile, read_json(content), "gestures")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{name}: no gestures that can be read: {reason}") from error
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        try:
            gestures = tuple(row.read() for row in stored.gestures)
            return cls(gestures, stored.extends, Path(path).parent)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gestures as JSON; the file appears whole or not at all.

        A table beside the file that was read is named by the way that leads there from the new one.

        Raises:
            FileError: it cannot be written; what was there is kept.
        """
        rows = [_row(gesture) for gesture in self.gestures]
        text = json.dumps(
            {"format": _FORMAT, "extends": self._extends_from(path), "gestures": rows},
            ensure_ascii=False,
        )
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n", "utf-8")

    def _extends_from(self, path: str | os.PathLike[str]) -> str:
        """Return what a file at a path has to name, so that it extends the same table."""
        table = extended_table(self.extends, self.folder)
        if isinstance(table, str) or Path(self.extends).is_absolute():
            return self.extends
        # Real folders: what is above a link is not what is above the folder it leads to.
        real = os.path.join(os.path.realpath(table.parent), table.name)
        relative = os.path.relpath(real, os.path.realpath(Path(path).parent))
        # A file of the name of a table that ships is named so that it is taken for a file.
        if extended_table(relative, Path()) == relative:
            return os.path.join(os.curdir, relative)
        return relative

    def taught(self, name: str, examples: Floats, *, more: bool = False) -> "TaughtGestures":
        """Return these gestures and a new one.

        Args:
            name: of the gesture.
            examples: (n, 21, 3), as :func:`example_of` returns them; of many, some are kept.
            more: whether a gesture of that name gets further examples.

        Raises:
            InputError: the name is taken and ``more`` is not said, or there are too few examples.
        """
        known = {gesture.name: gesture for gesture in self.gestures}
        if name in known:
            if not more:
                raise InputError(
                    f"gesture {name!r} is known already, by {len(known[name].examples)} examples: "
                    "add to it (--more), forget it first (--forget), or name another one"
                )
            examples = np.concatenate([known[name].examples, examples])
        known[name] = TaughtGesture(name, _thinned(examples))
        return replace(self, gestures=tuple(known.values()))

    def forget(self, name: str) -> "TaughtGestures":
        """Return these gestures without one. Raises :class:`InputError` if it is not there."""
        if name not in self.names:
            raise InputError(f"no gesture {name!r}: expected {_listed(self.names)}")
        kept = [gesture for gesture in self.gestures if gesture.name != name]
        return replace(self, gestures=tuple(kept))

    def recognise(
        self,
        hand: HandResult,
        *,
        size: tuple[int, int] | None = None,
        mirrored: bool = False,
    ) -> str | None:
        """Return the nearest gesture, or what the table says where none is near enough."""
        name = self._nearest(hand, size, mirrored)
        if name is not None:
            return name
        return self._table.recognise(hand, size=size, mirrored=mirrored)

    def _nearest(
        self, hand: HandResult, size: tuple[int, int] | None, mirrored: bool
    ) -> str | None:
        example = example_of(hand, size=size, mirrored=mirrored)
        if example is None or not self.gestures:
            return None
        apart = distances(self._means, example)
        best = int(apart.argmin())
        # Those behind the gestures are other hands.
        if best >= len(self.gestures) or apart[best] > self._reaches[best]:
            return None
        return self.gestures[best].name

    @cached_property
    def _table(self) -> GestureTable:
        return GestureTable.load(extended_table(self.extends, self.folder))

    @cached_property
    def _means(self) -> Floats:
        """(n, 21, 3): of the gestures, then of the common hands that are none of them."""
        taught = np.array([gesture.mean for gesture in self.gestures]).reshape(-1, _POINTS, 3)
        others = [
            shape
            for shape in common_shapes()
            if all(self._is_other(gesture, shape) for gesture in self.gestures)
        ]
        return np.concatenate([taught, np.array(others).reshape(-1, _POINTS, 3)])

    @staticmethod
    def _is_other(gesture: TaughtGesture, shape: Floats) -> bool:
        apart = float(distances(shape[None], gesture.mean)[0])
        return apart > max(_SAME, gesture.spread)

    @cached_property
    def _reaches(self) -> list[float]:
        """Distance from each gesture's mean at which a hand no longer shows it."""
        reaches: list[float] = []
        for index, gesture in enumerate(self.gestures):
            others = np.delete(self._means, index, axis=0)
            nearest = distances(others, gesture.mean).min(initial=_SPREADS[1])
            # No further than the nearest other gesture, however its examples differ.
            reach = float(np.clip(_LOOSENESS * gesture.spread, *_SPREADS))
            reaches.append(min(reach, float(nearest)))
        return reaches


def example_of(
    hand: HandResult, *, size: tuple[int, int] | None = None, mirrored: bool = False
) -> Floats | None:
    """Return a hand as an example, (21, 3): its shape in the palm's axes.

    It is ``None`` where the hand has no landmarks or a finger is not seen.

    Args:
        hand: with landmarks.
        size: height and width of the picture.
        mirrored: whether the picture is a mirror image.
    """
    shape = hand_shape(hand, mirrored=mirrored)
    if shape is None or hand.landmarks is None:
        return None
    if unseen_fingers(hand.landmarks, size=size, confidence=hand.confidence):
        return None
    return shape.in_palm()


def distances(shapes: Floats, shape: Floats) -> Floats:
    """Return how far shapes (n, 21, 3) are from one (21, 3): root mean square, palm lengths."""
    weights = np.array([1.0, 1.0, _DEPTH_WEIGHT])
    apart: Floats = np.sqrt((((shapes - shape) * weights) ** 2).sum(axis=2).mean(axis=1))
    return apart


def common_shapes() -> Floats:
    """Return shapes (n, 21, 3) of hands that people often show or rest with."""
    with np.load(_COMMON, allow_pickle=False) as arrays:
        return np.array(arrays["shapes"], dtype=np.float64)


@dataclass(frozen=True)
class _GestureRow:
    """A gesture as a file says it: each example is 63 numbers."""

    name: str
    examples: tuple[tuple[float, ...], ...]

    def read(self) -> TaughtGesture:
        for number, example in enumerate(self.examples):
            if len(example) != 3 * _POINTS:
                raise InputError(
                    f"{self.name}: examples[{number}]: expected 63 numbers, got {len(example)}"
                )
        points = np.array(self.examples, np.float64).reshape(-1, _POINTS, 3)
        return TaughtGesture(self.name, points)


@dataclass(frozen=True)
class _GestureFile:
    """What a file of gestures says."""

    format: str
    gestures: tuple[_GestureRow, ...]
    extends: str = "signs"

    def __post_init__(self) -> None:
        if self.format != _FORMAT:
            raise InputError(f"format: expected {_FORMAT!r}, got {self.format!r}")


def _row(gesture: TaughtGesture) -> dict[str, object]:
    # A thousandth of a palm is a tenth of a millimetre.
    flat = gesture.examples.reshape(len(gesture.examples), -1)
    return {"name": gesture.name, "examples": flat.round(3).tolist()}


def _thinned(examples: Floats) -> Floats:
    """Return at most as many examples as are kept, evenly out of all."""
    if len(examples) <= MAX_EXAMPLES:
        return examples
    picked = np.linspace(0, len(examples) - 1, MAX_EXAMPLES).round().astype(int)
    kept: Floats = examples[picked]
    return kept


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none: the file is empty"
