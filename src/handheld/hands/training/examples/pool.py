"""Rendered pictures kept on disk: rendering one costs three times what learning from it does.

A picture is rendered when it is first asked for; afterwards it is read, and shown each time from a
little elsewhere and in another light.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import FileError
from handheld.hands.training.labels import LabelledHand, LabelledPicture

# Last number of a record that is whole: a write that was cut off leaves something else there.
_MARK = 0x68616E64


@dataclass(frozen=True, eq=False)
class RenderPool:
    """A file of pictures of one size, filled as they are asked for; several processes may share it.

    Attributes:
        path: of the file.
        height, width: of the pictures, pixels.
        hands: labels that are kept of each picture at most, the first ones.
        count: pictures in it; picture ``count + i`` is picture ``i``.
        render: renders the picture of a number.
    """

    path: Path
    height: int
    width: int
    hands: int
    count: int
    render: Callable[[int], LabelledPicture]
    _files: list[int] = field(default_factory=list, init=False, repr=False)

    @property
    def _record(self) -> np.dtype[np.void]:
        # All records have one size, so that picture i is i times that from the file's beginning.
        return np.dtype(
            [
                ("hands", np.uint8),
                ("keypoints", np.float32, (self.hands, 21, 3)),
                ("world", np.float32, (self.hands, 21, 3)),
                ("box", np.float32, (self.hands, 4)),
                ("seen", np.float32, (self.hands,)),
                ("right", np.bool_, (self.hands,)),
                ("pixels", np.uint8, (self.height, self.width, 3)),
                # Last, so that it is only there when all before it is.
                ("mark", np.uint32),
            ]
        )

    def __call__(self, index: int) -> LabelledPicture:
        """Return a picture.

        Raises:
            FileError: the file cannot be read or written, or the disk is full.
        """
        try:
            record = self._stored(index % self.count)[0]
        except OSError as error:
            message = f"{self.path}: cannot be written: {error}; free space, or lower examples.pool"
            raise FileError(message) from error
        hands = [_hand(record, number) for number in range(int(record["hands"]))]
        return LabelledPicture(record["pixels"], tuple(hands), complete=True)

    def _stored(self, row: int) -> NDArray[np.void]:
        """Return a record, which is rendered and written if it is not there."""
        stored = self._read(row)
        if stored is None:
            stored = self._rendered(row)
            # At its place in one call: processes that render the same picture write the same.
            os.pwrite(self._file, stored.tobytes(), row * self._record.itemsize)
        return stored

    @property
    def _file(self) -> int:
        """The open file; each process opens its own."""
        if not self._files:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644))
        return self._files[0]

    def _read(self, row: int) -> NDArray[np.void] | None:
        """Return a record, if it was written and can be one."""
        size = self._record.itemsize
        content = os.pread(self._file, size, row * size)
        # Beyond the file's end there is nothing; in its holes there are zeros, and no mark.
        if len(content) < size:
            return None
        record = np.frombuffer(content, self._record)
        seen = record["seen"][0]
        is_whole = record["mark"][0] == _MARK and record["hands"][0] <= self.hands
        # Not "any outside": of NaN, which a damaged disk leaves too, that is false.
        if is_whole and ((seen >= 0) & (seen <= 1)).all():
            return record
        return None

    def _rendered(self, row: int) -> NDArray[np.void]:
        picture = self.render(row)
        record = np.zeros(1, self._record)
        record["hands"] = min(len(picture.hands), self.hands)
        for number, hand in enumerate(picture.hands[: self.hands]):
            _put_hand(record[0], number, hand)
        record["pixels"] = picture.pixels
        record["mark"] = _MARK
        return record


def _put_hand(record: np.void, number: int, hand: LabelledHand) -> None:
    # NaN stands for what is not known: an array has no place for None.
    world = np.nan if hand.world is None else hand.world
    box = np.nan if hand.box is None else hand.box
    # Without flags all of it counts as seen.
    seen = 1.0 if hand.visible is None else hand.visible.mean()
    record["keypoints"][number] = hand.keypoints
    record["world"][number] = world
    record["box"][number] = box
    record["seen"][number] = seen
    record["right"][number] = hand.handedness == "Right"


def _hand(record: np.void, number: int) -> LabelledHand:
    # Which keypoints are seen is not kept, only how many: it decides whether there is a hand to
    # find.
    seen = round(21 * float(record["seen"][number]))
    return LabelledHand(
        keypoints=record["keypoints"][number],
        source="rendered",
        world=record["world"][number],
        visible=np.arange(21) < seen,
        handedness="Right" if record["right"][number] else "Left",
        box=record["box"][number],
    )


def from_middles(hand: LabelledHand) -> LabelledHand:
    """Return a rendered hand in the coordinates of crops, which count from the first pixel's
    middle.

    The renderer counts from its corner.
    """
    keypoints = hand.keypoints - np.array([0.5, 0.5, 0.0], np.float32)
    box = None if hand.box is None else hand.box - 0.5
    return replace(hand, keypoints=keypoints, box=box)
