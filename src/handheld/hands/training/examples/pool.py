"""Rendered crops kept on disk: rendering one costs three times what learning from it does.

A crop is rendered when it is first asked for; afterwards it is read, and shown each time from a little
elsewhere and in another light.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MediaError
from handheld.hands.training.labels import LabelledHand, LabelledPicture

_MARK = 0x68616E64
"""First number of a record that is whole: it is written last."""


@dataclass(frozen=True, eq=False)
class RenderPool:
    """A file of crops of one hand each, filled as they are asked for; several processes may share it.

    Attributes:
        path: of the file.
        size: side of the crops, pixels.
        count: crops in it; crop ``count + i`` is crop ``i``.
        render: renders the crop of a number: the hand that it is of is its first label.
    """

    path: Path
    size: int
    count: int
    render: Callable[[int], LabelledPicture]
    _files: list[int] = field(default_factory=list, init=False, repr=False)

    @property
    def _record(self) -> np.dtype[np.void]:
        return np.dtype(
            [
                ("keypoints", np.float32, (21, 3)),
                ("world", np.float32, (21, 3)),
                ("right", np.float32),
                ("pixels", np.uint8, (self.size, self.size, 3)),
                ("mark", np.uint32),
            ]
        )

    def __call__(self, index: int) -> tuple[NDArray[np.uint8], LabelledHand]:
        """Return the pixels (size, size, 3) and the hand of a crop.

        Raises:
            MediaError: the file cannot be read or written, or the disk is full.
        """
        place = index % self.count
        try:
            stored = self._read(place)
            if stored is None:
                stored = self._rendered(place)
                os.pwrite(self._file, stored.tobytes(), place * self._record.itemsize)
        except OSError as error:
            raise MediaError(f"{self.path}: cannot be written: {error}; free space, or lower examples.pool") from error
        hand = LabelledHand(
            keypoints=stored["keypoints"][0],
            source="rendered",
            world=stored["world"][0],
            handedness="Right" if stored["right"][0] else "Left",
        )
        return stored["pixels"][0], hand

    @property
    def _file(self) -> int:
        """The open file; each process opens its own."""
        if not self._files:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644))
        return self._files[0]

    def _read(self, place: int) -> NDArray[np.void] | None:
        content = os.pread(self._file, self._record.itemsize, place * self._record.itemsize)
        if len(content) < self._record.itemsize:
            return None
        record = np.frombuffer(content, self._record)
        return record if record["mark"][0] == _MARK else None

    def _rendered(self, place: int) -> NDArray[np.void]:
        picture = self.render(place)
        hand = picture.hands[0]
        record = np.zeros(1, self._record)
        # The renderer counts from the first pixel's corner, crops from its middle.
        record["keypoints"] = hand.keypoints - np.array([0.5, 0.5, 0.0], np.float32)
        record["world"] = np.nan if hand.world is None else hand.world
        record["right"] = hand.handedness == "Right"
        record["pixels"] = picture.pixels
        record["mark"] = _MARK
        return record
