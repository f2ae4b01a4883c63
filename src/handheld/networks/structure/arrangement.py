"""What happens to channels that are only arranged: axes divided, joined, interleaved, halved."""

from collections.abc import Iterator, Sequence

import numpy as np

from handheld.networks.structure.variables import Axes, Ids, Walk

Lengths = tuple[int, ...]


def places_stay(source: Axes) -> bool:
    """Whether no axis behind the channels is one of channels too."""
    return all(ids is None for ids in source[2:])


def reshaped(walk: Walk, source: Axes, before: Lengths, after: Lengths) -> Axes | None:
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
        The channels along the new axes; None where channels are mixed with examples, or with other
        channels.
    """
    found: list[Ids | None] = [None] * len(after)
    if 0 in before:
        return None
    for old, new in _blocks(before, after):
        held = [axis for axis in old if source[axis] is not None]
        if not held:
            continue
        if len(held) > 1 or 0 in old or 0 in new or not new:
            return None
        ids = source[held[0]]
        assert ids is not None
        shape = [len(ids) if axis == held[0] else 1 for axis in old]
        flat = np.broadcast_to(ids.reshape(shape), [before[axis] for axis in old])
        gets_places = len(before) == 2 and len(new) > 2
        axis, made = _divided(walk, flat.reshape([after[axis] for axis in new]), first=gets_places)
        found[new[axis]] = made
    return tuple(found)


def _blocks(before: Lengths, after: Lengths) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the smallest runs of old and of new axes that hold the same number of values."""
    i = j = 0
    while i < len(before) or j < len(after):
        old = [i] if i < len(before) else []
        new = [j] if j < len(after) else []
        i = i + len(old)
        j = j + len(new)
        have = _product(before, old)
        want = _product(after, new)
        while have != want:
            if have < want:
                old.append(i)
                i, have = i + 1, have * before[i]
            else:
                new.append(j)
                j, want = j + 1, want * after[j]
        yield old, new


def _product(lengths: Lengths, axes: Sequence[int]) -> int:
    return int(np.prod([lengths[axis] for axis in axes], dtype=np.int64))


def _divided(walk: Walk, grid: Ids, *, first: bool) -> tuple[int, Ids]:
    """Return the axis of a grid of channels that is theirs, and the channels along it, made the
    same along all others.
    """
    roots = walk.variables.roots(grid)
    for axis in range(grid.ndim):
        rows = np.moveaxis(roots, axis, 0).reshape(grid.shape[axis], -1)
        if (rows == rows[:, :1]).all():
            return axis, np.moveaxis(grid, axis, 0).reshape(grid.shape[axis], -1)[:, 0]
    long = [axis for axis in range(grid.ndim) if grid.shape[axis] > 1]
    chosen = long[0] if first else long[-1]
    columns = np.moveaxis(grid, chosen, -1).reshape(-1, grid.shape[chosen])
    return chosen, walk.same_parts(columns.ravel(), len(columns))


def gated(walk: Walk, source: Axes, axis: int) -> Axes:
    """Return the channels where one half gates the other: both lose the same places."""
    axis %= len(source)
    ids = source[axis]
    half = None if ids is None else walk.same_parts(ids, 2)
    return (*source[:axis], half, *source[axis + 1 :])


def shuffled(walk: Walk, source: Axes, groups: int) -> Axes | None:
    """Return the channels where groups are interleaved: all lose the same places."""
    ids = source[1]
    if ids is None or not places_stay(source):
        return source if ids is None else None
    walk.same_parts(ids, groups)
    return (source[0], ids.reshape(groups, -1).T.ravel(), *source[2:])


def unfolded(walk: Walk, source: Axes, factor: int) -> Axes | None:
    """Return the channels where channels become places, ``factor`` squared of them each: these go
    together.
    """
    ids = source[1]
    if ids is None or len(source) != 4 or not places_stay(source):
        return source if ids is None else None
    made = walk.same_parts(ids.reshape(-1, factor**2).T.ravel(), factor**2)
    return (source[0], made, None, None)
