"""Axes and sides of shapes, as the shape rules count them."""

from collections.abc import Collection, Iterable

# Python's integers, never numpy's: products of a hostile file's sides must not wrap.
Shape = tuple[int, ...]


def axis_of(axis: int, rank: int) -> int:
    """The axis from the front that ``axis``, which may be negative, stands for."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank} sides")
    return axis % rank


def axes_of(axes: Iterable[int], rank: int) -> set[int]:
    """The axes from the front that ``axes`` stand for."""
    return {axis_of(axis, rank) for axis in axes}


def replaced(shape: Shape, axis: int, *sides: int) -> Shape:
    """The shape with other sides where ``axis`` was; without any, the axis is dropped."""
    return (*shape[:axis], *sides, *shape[axis + 1 :])


def inserted(shape: Shape, axis: int, side: int) -> Shape:
    """The shape with one side more; ``axis`` counts in the new shape, and may be negative."""
    axis = axis_of(axis, len(shape) + 1)
    return (*shape[:axis], side, *shape[axis:])


def dropped(shape: Shape, axes: Collection[int]) -> Shape:
    """The shape without some of its axes."""
    return tuple(side for axis, side in enumerate(shape) if axis not in axes)
