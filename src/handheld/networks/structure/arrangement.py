"""What happens to channels that are only arranged: axes divided, joined, interleaved, halved."""

from collections.abc import Iterator

import numpy as np

from handheld.networks.structure.variables import Axes, Ids, Walk, require

Lengths = tuple[int, ...]


def with_axis(axes: Axes, axis: int, *ids: Ids | None) -> Axes:
    """Return axes with others, or none, in place of one."""
    return (*axes[:axis], *ids, *axes[axis + 1 :])


def places_stay(source: Axes) -> bool:
    """Whether no axis behind the channels is one of channels too."""
    return all(ids is None for ids in source[2:])


def reshaped(walk: Walk, source: Axes, before: Lengths, after: Lengths) -> Axes:
    """Return the channels after ``x.view``: axes are divided and joined in the order of memory.

    Where a channel axis is divided, its last part is one of channels, and all parts before lose the
    same: the heads of an attention, the groups of a shuffle; but where numbers without places get
    some, (n, c h w) to (n, c, h, w), it is the first. Joined axes hold a channel as often as it has
    places.

    Args:
        walk: written to.
        source: channels along the axes.
        before: lengths of the axes.
        after: lengths of the new axes, of the same product.

    Returns:
        The channels along the new axes.

    Raises:
        NoRuleError: channels are mixed with examples, or with other channels.
    """
    require(0 not in before)
    axes: list[Ids | None] = [None] * len(after)
    for old, new in _blocks(before, after):
        if all(source[axis] is None for axis in old):
            continue
        # Axis 0 is the batch, which no other axis may be mixed with.
        require(bool(new) and 0 not in old and 0 not in new)
        lengths = [after[axis] for axis in new]
        grid = _grid(source, before, old).reshape(lengths)
        gets_places = len(before) == 2 and len(new) > 2
        axis, ids = _divided(walk, grid, first=gets_places)
        axes[new[axis]] = ids
    return tuple(axes)


class _AxisRun:
    """Neighbouring axes, and how many values they hold together."""

    def __init__(self, lengths: Lengths, start: int):
        self._lengths = lengths
        self.stop = start
        self.axes: list[int] = []
        self.values = 1
        if start < len(lengths):
            self.grow()

    def grow(self) -> None:
        """Take the next axis in."""
        self.axes.append(self.stop)
        self.values *= self._lengths[self.stop]
        self.stop += 1


def _blocks(before: Lengths, after: Lengths) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the smallest runs of old and of new axes that hold the same number of values."""
    old = _AxisRun(before, 0)
    new = _AxisRun(after, 0)
    while old.axes or new.axes:
        while old.values != new.values:
            smaller = old if old.values < new.values else new
            smaller.grow()
        yield old.axes, new.axes
        old = _AxisRun(before, old.stop)
        new = _AxisRun(after, new.stop)


def _grid(source: Axes, lengths: Lengths, block: list[int]) -> Ids:
    """Return the channel of each place of a block of axes, one of which is of channels."""
    held: list[Ids] = []
    shape: list[int] = []
    for axis in block:
        ids = source[axis]
        if ids is None:
            # Stretched below: each place along it is of the same channels.
            shape.append(1)
        else:
            held.append(ids)
            shape.append(len(ids))
    # Of two axes of channels a place would belong to two.
    require(len(held) == 1)
    stretched = [lengths[axis] for axis in block]
    return np.broadcast_to(held[0].reshape(shape), stretched)


def _divided(walk: Walk, grid: Ids, *, first: bool) -> tuple[int, Ids]:
    """Return the axis of a grid of channels that is theirs, and the channels along it, made the
    same along all others.
    """
    for axis in range(grid.ndim):
        columns = _columns(grid, axis)
        roots = walk.variables.roots(columns)
        # All others only repeat them.
        if (roots == roots[0]).all():
            return axis, columns[0]
    # An axis of one place cannot tell channels apart.
    long = [axis for axis, length in enumerate(grid.shape) if length > 1]
    axis = long[0] if first else long[-1]
    columns = _columns(grid, axis)
    return axis, walk.same_pieces(columns.ravel(), len(columns))


def _columns(grid: Ids, axis: int) -> Ids:
    """Return (others, length) the channels along an axis, at each place of the other axes."""
    return np.moveaxis(grid, axis, -1).reshape(-1, grid.shape[axis])


def gated(walk: Walk, source: Axes, axis: int) -> Axes:
    """Return the channels where one half gates the other: both lose the same places."""
    axis %= len(source)
    ids = source[axis]
    if ids is None:
        return source
    return with_axis(source, axis, walk.same_pieces(ids, 2))


def shuffled(walk: Walk, source: Axes, groups: int) -> Axes:
    """Return the channels where groups are interleaved: all lose the same places.

    Raises :class:`~handheld.networks.structure.variables.NoRuleError` for other channels beside.
    """
    ids = source[1]
    if ids is None:
        return source
    require(places_stay(source))
    walk.same_pieces(ids, groups)
    return with_axis(source, 1, ids.reshape(groups, -1).T.ravel())


def unfolded(walk: Walk, source: Axes, factor: int) -> Axes:
    """Return the channels where channels become places, ``factor`` squared of them each: these go
    together.

    Raises :class:`~handheld.networks.structure.variables.NoRuleError` for what is no picture.
    """
    ids = source[1]
    if ids is None:
        return source
    require(len(source) == 4 and places_stay(source))
    # torch lays the places of one channel side by side: here they become the pieces.
    by_place = ids.reshape(-1, factor**2).T.ravel()
    return (source[0], walk.same_pieces(by_place, factor**2), None, None)
