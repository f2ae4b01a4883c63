"""Where the palm detector looks: at all of a picture, and closer.

It sees a small square, in which a hand some metres away is a few pixels. Closer looks show more of
it.
"""

from itertools import chain, product
from math import ceil

from handheld.media import Rect, letterbox

# Side of a closer look of a stream, as a share of the picture's longer side: hands are 1.7 times as
# large, and those on the edge between two looks are whole in one of them.
_CLOSER = 0.6

# Of a picture: a panorama would else be looked at for minutes.
_MOST_PARTS = 3


def views_of_stream(height: int, width: int) -> list[Rect]:
    """Return the squares that frames are looked at in, one a frame: all of the picture in every
    other one, and closer looks in turn in those between.
    """
    all_of_it = letterbox(height, width)
    side = _CLOSER * all_of_it.width
    middles = product(_middles(height, side), _middles(width, side))
    closer = [Rect(x, y, side, side, 0.0) for y, x in middles]
    return list(chain.from_iterable((all_of_it, look) for look in closer))


def views_of_still(height: int, width: int) -> list[Rect]:
    """Return the squares that a single picture is looked at in: all of it, and squares as high as a
    picture that is wider than high, or as wide as one that is higher; three of them at most, which
    are larger where that is not enough.
    """
    all_of_it = letterbox(height, width)
    side = max(float(min(height, width)), all_of_it.width / _MOST_PARTS)
    middles = product(_middles(height, side), _middles(width, side))
    squares = [Rect(x, y, side, side, 0.0) for y, x in middles]
    # Of a picture that is nearly square the only part is nearly the whole.
    return [all_of_it, *squares] if len(squares) > 1 else [all_of_it]


# Share of a side that looks may leave out: a hand reaches farther than that.
_LEFT_OUT = 0.1


def _middles(length: int, side: float) -> list[float]:
    """Return the middles of as few looks as cover a length, in pixels."""
    count = ceil(length / side - _LEFT_OUT)
    if count <= 1:
        return [length / 2]
    step = (length - side) / (count - 1)
    return [side / 2 + number * step for number in range(count)]


def is_whole(box: Rect, view: Rect, height: int, width: int) -> bool:
    """Whether a view ends nowhere in an upright box, but where the picture ends: what is cut off is
    seen better in another view.
    """
    return _ends_beyond(box.x, box.width, view.x, view.width, width) and _ends_beyond(
        box.y, box.height, view.y, view.height, height
    )


def _ends_beyond(middle: float, side: float, view: float, view_side: float, length: int) -> bool:
    """Whether a view that does not reach the picture's ends reaches those of a box."""
    low = view - view_side / 2
    high = view + view_side / 2
    return not (0 < low > middle - side / 2 or (length > high and high < middle + side / 2))
