"""When and where to look for missing hands: often, but only where something has changed."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.graph import Calculator, Context, Contract
from handheld.hands.result import Region
from handheld.hands.views import views_of_still, views_of_stream
from handheld.media import Frame, Image, Rect, letterbox

LOOK_ANYWAY = 10
"""Frames after which the detector looks again though nothing has changed: it may have missed a hand
that is held still.
"""

# Cells along the longer side of the grid on which pictures are compared: some twenty pixels of a
# webcam's, over which a sensor's noise averages out, and less than a hand at arm's length.
_CELLS = 32

# Rows of a picture that are looked at; more cost time and say the same.
_ROWS = 240

# Share of the followed hands' area that must have changed: a hand that comes is no smaller than a
# part of them, where compression, flicker and folds of clothes change single cells.
_SHARE = 0.15

# Reach of a followed hand around the middle of its region, in sides: fingers stretch beyond it.
_REACH = 0.6


class _Grid(NamedTuple):
    """A picture as a coarse grid.

    Attributes:
        cells: (h, w, 3) mean colours, 0 to 255.
        hands: (h, w) where followed hands are.
        height, width: of the picture, pixels.
    """

    cells: NDArray[np.int16]
    hands: NDArray[np.bool_]
    height: int
    width: int

    def differs_from(self, other: "_Grid", change: float, view: Rect) -> bool:
        """Whether enough of what lies in a view, where no hand is, then or now, has changed."""
        if self.cells.shape != other.cells.shape:
            return True
        changes = np.abs(self.cells - other.cells).max(axis=2)
        changes[self.hands | other.hands] = 0
        changed = np.count_nonzero(changes[self._cells_of(view)] >= change)
        hands = np.count_nonzero(self.hands)
        # Where hands fill the picture, there is little left that could change.
        return bool(changed >= max(1.0, _SHARE * min(hands, self.hands.size - hands)))

    def _cells_of(self, view: Rect) -> tuple[slice, slice]:
        """Return the rows and columns of the cells in a view."""
        rows, columns = self.hands.shape
        return (
            _span(view.y, view.height, self.height / rows),
            _span(view.x, view.width, self.width / columns),
        )


class _Look(NamedTuple):
    """What the detector saw in a view.

    Attributes:
        grid: the picture.
        frame: its number.
    """

    grid: _Grid
    frame: int


def _span(middle: float, side: float, cell: float) -> slice:
    low = int((middle - side / 2) / cell)
    high = ceil((middle + side / 2) / cell)
    return slice(max(0, low), high)


def _grid_of(image: Image, regions: Sequence[Region]) -> _Grid:
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
    return _Grid(cells, hands, height, width)


class RedetectSchedule(Calculator):
    """Says for each frame whether the palm detector shall run, and where it shall look.

    It runs where no hand is followed, and in the frame after a hand was lost. Otherwise, while
    fewer than ``max_hands`` are followed, it is due in every ``every``-th frame, and looks where
    the picture has changed since it last looked there: a hand does not come where nothing moves.

    So that one that it missed is not missed for ever, it looks anyway after :data:`LOOK_ANYWAY`
    times, at the next view in turn; and at each view after as many times for each that there is.

    Args:
        max_hands: hands to follow at most.
        every: frames.
        change: grey levels by which a part outside of the followed hands must have changed that is
            15 % as large as they; 0 looks whether or not any has.
        closer: whether it looks closer too, see :mod:`~handheld.hands.views`.
        still: whether frames have nothing to do with each other, and it looks at all views of each.
    """

    contract = Contract(
        inputs={"frame": Frame, "followed": list[Region]},
        outputs={"detect": bool, "views": list[Rect]},
    )

    def __init__(
        self,
        *,
        max_hands: int,
        every: int,
        change: float = 0.0,
        closer: bool = False,
        still: bool = False,
    ) -> None:
        self._max_hands = max_hands
        self._every = every
        self._change = change
        self._closer = closer
        self._still = still

    def open(self, context: Context) -> None:
        """Start without hands."""
        self._since = 0
        self._before = 0
        self._turn = 0
        self._frame = 0
        self._size = (0, 0)
        # Of each view that was looked at since a hand is followed.
        self._looks: dict[Rect, _Look] = {}

    def process(self, context: Context) -> None:
        """Decide."""
        followed: Sequence[Region] = context.get("followed") or ()
        # Counted in frames, not in time: at half the rate the detector has twice the time.
        self._since += 1
        self._frame += 1
        is_lost = len(followed) < self._before
        self._before = len(followed)
        views: list[Rect] = []
        if len(followed) < self._max_hands:
            views = self._views(context.get("frame").image, followed, is_lost=is_lost)
        # From any run on, whatever it was for.
        if views:
            self._since = 0
            context.send("views", views)
        context.send("detect", bool(views))

    def _views(self, image: Image, followed: Sequence[Region], *, is_lost: bool) -> list[Rect]:
        """Return where to look for a hand that is missing."""
        height, width = image.shape[:2]
        if self._still and self._closer:
            return views_of_still(height, width)
        in_turn = views_of_stream(height, width) if self._closer else [letterbox(height, width)]
        # All of the picture is new to a tracker that has no hand, or has one less.
        is_new = is_lost or not followed
        if is_new or self._size != (height, width):
            self._looks = {}
            self._size = (height, width)
        if is_new:
            return [self._next(in_turn)]
        if self._since < self._every:
            return []
        if not self._change:
            return [self._next(in_turn)]
        return self._due(_grid_of(image, followed), in_turn)

    def _next(self, in_turn: Sequence[Rect]) -> Rect:
        self._turn += 1
        return in_turn[(self._turn - 1) % len(in_turn)]

    def _due(self, grid: _Grid, in_turn: Sequence[Rect]) -> list[Rect]:
        """Return the next view that is to be looked at, if any is; remembers what is seen there."""
        patience = LOOK_ANYWAY * self._every
        for _ in in_turn:
            view = self._next(in_turn)
            look = self._looks.get(view)
            is_due = (
                look is None
                or self._since >= patience
                # Of each view too: something that moves elsewhere must not keep it from its turn.
                or self._frame - look.frame >= patience * len(in_turn)
                or grid.differs_from(look.grid, self._change, view)
            )
            if is_due:
                self._looks[view] = _Look(grid, self._frame)
                return [view]
        return []
