"""When to look for missing hands: often, but only where something has changed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.graph import Calculator, Context, Contract
from handheld.hands.result import Region
from handheld.media import Frame, Image

LOOK_ANYWAY = 10
"""Frames after which the detector looks again though nothing has changed: it may have missed a hand
that is held still.
"""

# Cells along the longer side of the grid on which pictures are compared: some twenty pixels of a
# webcam's, over which a sensor's noise averages out, and less than a hand at arm's length.
_CELLS = 32

# Rows of a picture that are looked at; more cost time and say the same.
_ROWS = 240

# Reach of a followed hand around the middle of its region, in sides: fingers stretch beyond it.
_REACH = 0.6


class _View(NamedTuple):
    """A picture as a coarse grid.

    Attributes:
        cells: (h, w, 3) mean colours, 0 to 255.
        hands: (h, w) where followed hands are.
    """

    cells: NDArray[np.int16]
    hands: NDArray[np.bool_]

    def differs_from(self, other: "_View", change: float) -> bool:
        """Whether a cell in which no hand is, then or now, has changed by as much."""
        if self.cells.shape != other.cells.shape:
            return True
        changes = np.abs(self.cells - other.cells).max(axis=2)
        changes[self.hands | other.hands] = 0
        return bool(changes.max() >= change)


def _view_of(image: Image, regions: Sequence[Region]) -> _View:
    # Late: a graph can be looked at where OpenCV is not installed.
    import cv2

    height, width = image.shape[:2]
    scale = _CELLS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rows = image[:: max(1, height // _ROWS)]
    cells = cv2.resize(rows, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    across = (np.arange(size[0]) + 0.5) * width / size[0]
    down = (np.arange(size[1]) + 0.5) * height / size[1]
    hands = np.zeros((size[1], size[0]), np.bool_)
    for region in regions:
        rect = region.rect
        columns = np.abs(across - rect.x) < _REACH * rect.width
        hands |= columns & (np.abs(down - rect.y) < _REACH * rect.height)[:, None]
    return _View(cells, hands)


class RedetectSchedule(Calculator):
    """Says for each frame whether the palm detector shall run.

    It runs where no hand is followed, and in the frame after a hand was lost. Otherwise, while
    fewer than ``max_hands`` are followed, it is due in every ``every``-th frame, and runs if the
    picture has changed since it last ran: a hand does not come where nothing moves. So that one
    that it missed is not missed for ever, it looks anyway after :data:`LOOK_ANYWAY` times.

    Args:
        max_hands: hands to follow at most.
        every: frames.
        change: grey levels by which some place outside of the followed hands must have changed; 0
            looks whether or not any has.
    """

    contract = Contract(inputs={"frame": Frame, "followed": list[Region]}, outputs={"detect": bool})

    def __init__(self, *, max_hands: int, every: int, change: float = 0.0) -> None:
        self._max_hands = max_hands
        self._every = every
        self._change = change

    def open(self, context: Context) -> None:
        """Start without hands."""
        self._since = 0
        self._before = 0
        self._seen: _View | None = None

    def process(self, context: Context) -> None:
        """Decide."""
        followed: Sequence[Region] = context.get("followed") or ()
        # Counted in frames, not in time: at half the rate the detector has twice the time.
        self._since += 1
        is_lost = len(followed) < self._before
        self._before = len(followed)
        detect = len(followed) < self._max_hands
        # All of the picture is new to a tracker that has no hand, or has one less.
        if detect and followed and not is_lost:
            detect = self._since >= self._every and self._is_new(context.get("frame"), followed)
        elif detect:
            self._seen = None
        # From any run on, whatever it was for.
        if detect:
            self._since = 0
        context.send("detect", detect)

    def _is_new(self, frame: Frame, followed: Sequence[Region]) -> bool:
        """Whether there is something to look at; remembers what the detector will have seen."""
        if not self._change:
            return True
        view = _view_of(frame.image, followed)
        is_new = (
            self._seen is None
            or self._since >= LOOK_ANYWAY * self._every
            or view.differs_from(self._seen, self._change)
        )
        if is_new:
            self._seen = view
        return is_new
