"""The labels on the desk of the page: in the order in which they are looked at, with what a person
changed.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeAlias

from handheld.errors import InputError
from handheld.files import ensure_writable, locked_file
from handheld.hands.training.examples.corrections import (
    append_correction,
    apply_corrections,
    corrections_file,
    read_corrections,
    write_corrections,
)
from handheld.hands.training.examples.records import (
    FARTHEST,
    KEYPOINTS,
    parsed,
    require_record,
)
from handheld.ranges import in_range, whole_in_range

Table: TypeAlias = dict[str, Any]
PhotoState: TypeAlias = Literal["", "changed", "reviewed"]
"""What a person did with a photo's labels: nothing yet, something, or found all of them right."""

# Nearer than this, in pixels, a keypoint has not moved: the page rounds to hundredths.
_STILL = 0.006


class StaleVersionError(InputError):
    """Somebody else changed the labels of a photo meanwhile."""


@dataclass(frozen=True)
class HandEdit:
    """A hand as the page sends it.

    Attributes:
        keypoints: 21 of x, y in pixels; None where unknown.
        visible: 21, whether each can be seen.
        handedness: the person's own side, None if unknown.
        dropped: whether the label is of no use.
    """

    keypoints: tuple[tuple[float, float] | None, ...]
    visible: tuple[bool, ...]
    handedness: Literal["Left", "Right"] | None
    dropped: bool

    def __post_init__(self) -> None:
        for name in ("keypoints", "visible"):
            whole_in_range(f"{name}: length", len(getattr(self, name)), low=21, high=21)
        for point in self.keypoints:
            for number in point or ():
                in_range("keypoints", number, low=-FARTHEST, high=FARTHEST)


@dataclass(frozen=True)
class PhotoEdit:
    """What the page sends of a photo.

    Attributes:
        version: of the labels that were changed; 0 for those that nobody has changed.
        reviewed: whether the person has seen all hands, and they are right now.
        hands: all of the photo, in their order.
    """

    version: int
    reviewed: bool
    hands: tuple[HandEdit, ...]


class LabelDesk:
    """Labels that are looked at and corrected, one photo at a time; used by several threads.

    A line of the labels is read when its photo is looked at: of ten thousand only names and scores
    are kept.

    Attributes:
        names: of the photos; those of whose hands the teacher was least sure come first.
        scores: their largest disagreement, in palm lengths; None where nobody knows.
    """

    def __init__(self, labels: Path) -> None:
        self._labels = labels
        self._file = corrections_file(labels)
        self._guard = threading.Lock()
        self._corrected = read_corrections(self._file)
        entries = _entries(labels)
        # Stable: photos that nobody scored stay as they are in the file.
        entries.sort(key=lambda entry: -(entry.score or 0.0))
        self.names = [entry.name for entry in entries]
        self.scores = [entry.score for entry in entries]
        self._starts = [entry.start for entry in entries]
        self._states = [entry.state for entry in entries]
        strangers = self._corrected.keys() - set(self.names)
        if strangers:
            raise InputError(
                f"{self._file}: photo {min(strangers)} is not in {labels}: these are corrections "
                "of other labels; move them away"
            )
        if self._corrected:
            write_corrections(self._file, self._corrected)

    def state(self, index: int) -> PhotoState:
        """Return what a person did with a photo."""
        record = self._corrected.get(self.names[index])
        return self._states[index] if record is None else _state_of(record)

    def record(self, index: int) -> Table:
        """Return the labels of a photo as they are now."""
        corrected = self._corrected.get(self.names[index])
        return self._original(index) if corrected is None else corrected

    def save(self, index: int, edit: PhotoEdit) -> Table:
        """Keep what a person made of a photo's labels, on the disk when this returns.

        Returns:
            The labels as they are now.

        Raises:
            StaleVersionError: they were changed after the person saw them; nothing is kept.
            InputError: the edit is of other hands.
            OSError: it cannot be written; what was kept before is whole.
        """
        with self._guard:
            now = self.record(index)
            if now.get("version", 0) != edit.version:
                raise StaleVersionError(
                    f"{self.names[index]} was changed elsewhere, in another tab perhaps"
                )
            original = self._original(index)
            if len(edit.hands) != len(original["hands"]):
                raise InputError(f"hands: expected {len(original['hands'])}, got {len(edit.hands)}")
            hands = []
            for hand, change in zip(original["hands"], edit.hands, strict=True):
                hands.append(corrected_hand(hand, change, reviewed=edit.reviewed))
            record = original | {
                "hands": hands,
                "version": edit.version + 1,
                "reviewed": edit.reviewed,
            }
            append_correction(self._file, record)
            self._corrected[self.names[index]] = record
            return record

    def _original(self, index: int) -> Table:
        try:
            with self._labels.open("rb") as lines:
                lines.seek(self._starts[index])
                record: Table = parsed(lines.readline().decode("utf-8-sig"))
            require_record(record)
        except (OSError, ValueError):
            record = {}
        # Another line would be kept under this photo's name.
        if record.get("photo") != self.names[index]:
            raise InputError(
                f"{self._labels}: was written anew since it was opened: end this page and start it "
                "again"
            )
        return record


@contextmanager
def opened_desk(labels: Path, *, in_place: bool = False) -> Iterator[LabelDesk]:
    """Give the labels to one process at a time.

    Args:
        labels: JSON lines.
        in_place: whether corrections are written into the labels, at the end and, of a process that
            was killed, at the beginning.

    Raises:
        InputError: another process has them, or they cannot be read.
    """
    if not labels.is_file():
        raise InputError(
            f"{labels}: no such file: make it with `handheld hands pseudo-label` or "
            "`handheld hands import`"
        )
    ensure_writable(corrections_file(labels))
    with locked_file(labels):
        if in_place:
            apply_corrections(labels)
        try:
            yield LabelDesk(labels)
        finally:
            if in_place:
                apply_corrections(labels)


@dataclass(frozen=True)
class _Entry:
    """A line of labels: its photo, its largest disagreement, where it starts in the file, and what
    a person did with it in place.
    """

    name: str
    score: float | None
    start: int
    state: PhotoState


def _entries(labels: Path) -> list[_Entry]:
    entries: list[_Entry] = []
    names: set[str] = set()
    start = 0
    with labels.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = _entry(line, start)
            except ValueError as error:
                raise InputError(
                    f"{labels}: line {number}: not a photo's labels: {error}"
                ) from error
            # Two lines would have one correction, which could be of one of them only.
            if entry.name in names:
                raise InputError(f"{labels}: line {number}: {entry.name} is labelled twice")
            names.add(entry.name)
            entries.append(entry)
            start += len(line)
    if not entries:
        raise InputError(f"{labels}: no photo is labelled")
    return entries


def _entry(line: bytes, start: int) -> _Entry:
    # A byte order mark, which editors of Windows write, is before the first line only.
    record = parsed(line.decode("utf-8-sig"))
    require_record(record)
    spreads = []
    for hand in record["hands"]:
        spread = hand.get("spread")
        if spread:
            spreads.append(sum(spread) / len(spread))
    return _Entry(record["photo"], max(spreads, default=None), start, _state_of(record))


def _state_of(record: Table) -> PhotoState:
    if record.get("reviewed"):
        return "reviewed"
    return "changed" if record.get("version") else ""


def shown_hand(hand: Table) -> Table:
    """Return a hand as the page gets it: what :class:`HandEdit` has, and where it is from."""
    points = [_place(point) for point in hand["keypoints"]]
    return {
        "keypoints": points,
        "visible": _visible(hand),
        "handedness": _handedness(hand),
        "dropped": hand.get("dropped") is True,
        "source": hand.get("source", "teacher"),
    }


def corrected_hand(hand: Table, edit: HandEdit, *, reviewed: bool) -> Table:
    """Return a hand as a person wants it.

    It is the person's from the moment when anything of it was changed, or when it was seen and
    found right. What a model said of the depth of a keypoint that was moved is gone, and of the
    shape of a hand of which one was moved.
    """
    before = shown_hand(hand)
    changes: Table = {}
    points = [_moved(*pair) for pair in zip(hand["keypoints"], edit.keypoints, strict=True)]
    if points != hand["keypoints"]:
        # The wrist's depth is 0 wherever it is: that of the others counts from it.
        points[0] = [*points[0][:2], 0.0]
        changes |= {"keypoints": points, "world": None}
    if list(edit.visible) != before["visible"]:
        changes["visible"] = [int(is_seen) for is_seen in edit.visible]
    if reviewed or edit.handedness != before["handedness"]:
        changes["right"] = {"Right": 1.0, "Left": 0.0, None: None}[edit.handedness]
    if changes:
        changes["source"] = "corrected"
    # Not a correction: a label that was dropped is still who made it's.
    if edit.dropped or "dropped" in hand:
        changes["dropped"] = edit.dropped
    return hand | changes


def _moved(before: list[float | None], after: tuple[float, float] | None) -> list[float | None]:
    """Return where a keypoint is now, as it was if it has not moved."""
    if _is_still(_place(before), after):
        return before
    return [*(_rounded(after) or (None, None)), None]


def _is_still(before: list[float] | None, after: tuple[float, float] | None) -> bool:
    if before is None or after is None:
        return before is None and after is None
    return all(abs(a - b) < _STILL for a, b in zip(before, after, strict=True))


def _rounded(point: tuple[float, float] | None) -> list[float] | None:
    return None if point is None else [round(number, 2) for number in point]


def _place(point: list[float | None]) -> list[float] | None:
    x, y = point[:2]
    if x is None or y is None or not isfinite(x + y):
        return None
    return [x, y]


def _visible(hand: Table) -> list[bool]:
    """Return whether each keypoint can be seen; where nobody says, it can."""
    values = hand.get("visible") or []
    pairs = zip_longest(values[:KEYPOINTS], range(KEYPOINTS), fillvalue=True)
    return [bool(value) for value, _ in pairs]


def _handedness(hand: Table) -> str | None:
    right = hand.get("right")
    if right is None:
        return None
    return "Right" if right >= 0.5 else "Left"
