"""Output shapes of operators that move, repeat, drop or reduce elements."""

import math
from collections.abc import Sequence
from operator import floordiv, mod, mul

import numpy as np

from handheld.engine._verify.axes import Shape, axes_of, axis_of, dropped, inserted, replaced
from handheld.engine._verify.call import Call
from handheld.engine._verify.layers import equal
from handheld.engine._verify.tensors import MAX_SIDES


def reshape(call: Call) -> list[Shape]:
    shape = call.shape(0)
    sides = _new_shape(call)
    if len(sides) > MAX_SIDES or min(sides, default=0) < -1 or sides.count(-1) > 1:
        raise ValueError(f"new shape {sides[:9]}, expected at most 8 sides, one of them -1")
    if -1 in sides:
        _infer_side(sides, math.prod(shape))
    if -1 in sides or math.prod(sides) != math.prod(shape):
        raise ValueError(f"new shape {sides} for an input {shape}")
    return [tuple(sides)]


def _new_shape(call: Call) -> list[int]:
    """The operand where there is one (the kernel prefers it), or the option."""
    if len(call.shapes) < 2:
        sides = list(call.option("new_shape", ()))
        # Old converters wrote [0] for a scalar.
        if sides == [0]:
            return []
        return sides
    operand = call.shape(1)
    if len(operand) != 1 or operand[0] > MAX_SIDES:
        raise ValueError(f"new shape is given by {operand} numbers, expected a list of at most 8")
    return call.ints(1)


def _infer_side(sides: list[int], count: int) -> None:
    """Replace the one -1 by the side that makes ``count`` elements, if there is one."""
    others = -math.prod(sides)
    if others and count % others == 0:
        sides[sides.index(-1)] = count // others


def squeeze(call: Call) -> list[Shape]:
    shape = call.shape(0)
    listed = call.option("squeeze_dims", ())
    if not listed:
        return [tuple(side for side in shape if side != 1)]
    if len(listed) > MAX_SIDES:
        raise ValueError(f"squeezes {len(listed)} sides of {shape}")
    axes = axes_of(listed, len(shape))
    if not {shape[axis] for axis in axes} <= {1}:
        raise ValueError(f"squeezes sides {sorted(axes)} of {shape}")
    return [dropped(shape, axes)]


def expand(call: Call) -> list[Shape]:
    return [inserted(call.shape(0), call.int_(1), 1)]


def transpose(call: Call) -> list[Shape]:
    shape = call.shape(0)
    order = call.ints(1)
    axes = axes_of(order, len(shape))
    # An axis that is named twice leaves another one out, or there are too many.
    if len(axes) != len(shape) or len(order) != len(shape):
        raise ValueError(f"order {order} of {len(shape)} sides")
    # Not of ``axes``, which has no order; a negative axis counts from the end here too.
    return [tuple(map(shape.__getitem__, order))]


def _pads(call: Call, position: int, rank: int) -> list[tuple[int, int]]:
    """Elements to add before and after each side."""
    flat = call.ints(position)
    if len(flat) != 2 * rank or min(flat, default=0) < 0:
        raise ValueError(f"{len(flat)} pads {flat[:8]}, expected {2 * rank} of 0 or more")
    return list(zip(flat[::2], flat[1::2], strict=True))


def _padded(shape: Sequence[int], pads: list[tuple[int, int]]) -> list[int]:
    return [side + sum(pair) for side, pair in zip(shape, pads, strict=True)]


def pad(call: Call) -> list[Shape]:
    shape = call.shape(0)
    pads = _pads(call, 1, len(shape))
    return [tuple(_padded(shape, pads))]


def mirror(call: Call) -> list[Shape]:
    shape = call.shape(0)
    # Mode 0 is REFLECT, which does not repeat the edge, and so has one element less to mirror.
    edge = 1 - int(call.option("mode"))
    reach = list(map(max, _pads(call, 1, len(shape))))
    for side, width in zip(shape, reach, strict=True):
        if width > side - edge:
            raise ValueError(f"pads {reach} are wider than what they mirror, {shape}")
    return pad(call)


def concat(call: Call) -> list[Shape]:
    shapes = call.all_shapes()
    axis = axis_of(call.option("axis"), len(shapes[0]))
    # The rank is compared as well: beyond it, cutting an axis out changes nothing.
    others = {(len(shape), replaced(shape, axis)) for shape in shapes}
    if len(others) != 1:
        raise ValueError(f"joins {shapes} along axis {axis}")
    total = sum(shape[axis] for shape in shapes)
    return [replaced(shapes[0], axis, total)]


def pack(call: Call) -> list[Shape]:
    (shape,) = equal(call)
    return [inserted(shape, call.option("axis"), len(call.shapes))]


def unpack(call: Call) -> list[Shape]:
    shape = call.shape(0)
    axis = axis_of(call.option("axis"), len(shape))
    count = len(call.outputs)
    if shape[axis] != count:
        raise ValueError(f"{count} outputs of {shape}")
    return [replaced(shape, axis)] * count


def split(call: Call) -> list[Shape]:
    shape = call.shape(1)
    axis = axis_of(call.int_(0), len(shape))
    count = len(call.outputs)
    if shape[axis] % count:
        raise ValueError(f"{count} equal parts of {shape[axis]}")
    return [replaced(shape, axis, shape[axis] // count)] * count


def split_v(call: Call) -> list[Shape]:
    shape = call.shape(0)
    sizes = call.ints(1)
    axis = axis_of(call.int_(2), len(shape))
    if -1 in sizes:  # what the others leave over; - 1 takes the -1 itself out of the sum
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    covers = sum(sizes) == shape[axis] and min(sizes, default=0) >= 0
    if not covers or len(sizes) != len(call.outputs):
        raise ValueError(f"parts {sizes} of {shape[axis]}")
    return [replaced(shape, axis, size) for size in sizes]


def slice_(call: Call) -> list[Shape]:
    shape = call.shape(0)
    begin = call.ints(1)
    size = call.ints(2)
    problem = f"begin {begin} and size {size} of {shape}"
    if not len(shape) == len(begin) == len(size):
        raise ValueError(problem)
    result = []
    for side, first, count in zip(shape, begin, size, strict=True):
        length = count
        if count == -1:  # all that follows
            length = side - first
        if first < 0 or length < 0 or first + length > side:
            raise ValueError(problem)
        result.append(length)
    return [tuple(result)]


def strided_slice(call: Call) -> list[Shape]:
    shape = call.shape(0)
    begin = call.ints(1)
    end = call.ints(2)
    step = call.ints(3)
    if not len(begin) == len(end) == len(step) <= MAX_SIDES or 0 in step:
        raise ValueError(f"begin {begin}, end {end}, step {step}")
    if call.option("offset"):
        raise LookupError
    result: list[int] = []
    axis = 0
    for entry in range(len(begin)):
        if _bit(call, "ellipsis_mask", entry):
            # The ellipsis stands for all axes but those that later entries speak of.
            later = _sliced_axes(call, range(entry + 1, len(begin)))
            end_axis = max(len(shape) - later, axis)
            result += shape[axis:end_axis]
            axis = end_axis
        elif _bit(call, "new_axis_mask", entry):
            result.append(1)
        elif axis >= len(shape):
            raise ValueError(f"begin {begin} of {shape}")
        else:
            result += _sliced_side(call, entry, shape[axis])
            axis += 1
    return [(*result, *shape[axis:])]


def _bit(call: Call, mask: str, entry: int) -> bool:
    return bool(call.option(mask) >> entry & 1)


def _sliced_axes(call: Call, entries: range) -> int:
    """How many axes of the input the entries speak of."""
    new_axes = sum(_bit(call, "new_axis_mask", entry) for entry in entries)
    return len(entries) - new_axes


def _sliced_side(call: Call, entry: int, side: int) -> list[int]:
    """The side that an entry makes of ``side``; none where it takes one element."""
    begin = call.ints(1)[entry]
    end = call.ints(2)[entry]
    step = call.ints(3)[entry]
    if _bit(call, "shrink_axis_mask", entry):
        axis_of(begin, side)
        if step < 0:  # the kernel then walks nothing, and leaves the output as it was in memory
            raise ValueError(f"takes one element at {begin} by a step of {step}")
        return []
    start: int | None = begin
    if _bit(call, "begin_mask", entry):
        start = None
    stop: int | None = end
    if _bit(call, "end_mask", entry):
        stop = None
    # Python cuts as the kernel does, negative positions and steps among it.
    walked = range(*slice(start, stop, step).indices(side))
    return [len(walked)]


def gather(call: Call) -> list[Shape]:
    shape = call.shape(0)
    indices = call.shape(1)
    axis = axis_of(call.option("axis"), len(shape))
    batch = axis_of(call.option("batch_dims"), len(indices) + 1)
    # Along its first sides, each row of indices has a row of data of its own.
    if batch > axis or shape[:batch] != indices[:batch]:
        raise ValueError(f"takes {indices} of {shape} along axis {axis}, {batch} batch sides")
    return [replaced(shape, axis, *indices[batch:])]


def gather_nd(call: Call) -> list[Shape]:
    shape = call.shape(0)
    indices = call.shape(1)
    # An index names as many axes as the last side is long.
    if not indices or indices[-1] > len(shape):
        raise ValueError(f"indices {indices} of {shape}")
    return [indices[:-1] + shape[indices[-1] :]]


def tile(call: Call) -> list[Shape]:
    shape = call.shape(0)
    times = call.ints(1)
    if len(shape) != len(times) or min(times, default=0) < 0:
        raise ValueError(f"repeats {shape} {times} times")
    return [tuple(map(mul, shape, times))]


def broadcast_to(call: Call) -> list[Shape]:
    target = tuple(call.ints(1))
    # Before numpy sees them: it refuses what it cannot hold in words of its own.
    is_shape = len(target) <= MAX_SIDES and min(target, default=0) >= 0
    if not is_shape or np.broadcast_shapes(call.shape(0), target) != target:
        raise ValueError(f"spreads {call.shape(0)} to {target[:9]}")
    return [target]


def reduce(call: Call) -> list[Shape]:
    shape = call.shape(0)
    listed = call.ints(1)
    axes: set[int] = set()
    if shape:  # of a scalar there is nothing to reduce, though an axis may be listed
        axes = axes_of(listed, len(shape))
    if len(listed) > max(len(shape), 1):
        raise ValueError(f"axes {listed} of {shape}")
    if not call.option("keep_dims"):
        return [dropped(shape, axes)]
    for axis in axes:
        shape = replaced(shape, axis, 1)
    return [shape]


def arg(call: Call) -> list[Shape]:
    shape = call.shape(0)
    axis = axis_of(call.int_(1), len(shape))
    return [replaced(shape, axis)]


def along(call: Call) -> list[Shape]:
    axes = call.ints(1)
    shape = call.shape(0)
    axes_of(axes, len(shape))
    return [shape]


def top(call: Call) -> list[Shape]:
    shape = call.shape(0)
    count = call.int_(1)
    if not shape or not 0 <= count <= shape[-1]:
        raise ValueError(f"the {count} largest of {shape}")
    return [(*shape[:-1], count)] * 2  # values and indices


def resize(call: Call) -> list[Shape]:
    batch, height, width, channels = call.shape(0, 4)
    size = call.ints(1)
    if len(size) != 2 or min(*size, height, width) < 1:
        raise ValueError(f"{call.shape(0)} to size {size[:4]}")
    return [(batch, *size, channels)]


def to_depth(call: Call) -> list[Shape]:
    batch, height, width, channels = call.shape(0, 4)
    block = call.option("block_size")
    if height % block or width % block:
        raise ValueError(f"blocks of {block} of {call.shape(0)}")
    rows = height // block
    columns = width // block
    return [(batch, rows, columns, channels * block * block)]


def to_space(call: Call) -> list[Shape]:
    batch, height, width, channels = call.shape(0, 4)
    block = call.option("block_size")
    depth, remainder = divmod(channels, block * block)
    if remainder:
        raise ValueError(f"blocks of {block} of {call.shape(0)}")
    return [(batch, height * block, width * block, depth)]


def _blocks(call: Call) -> list[int]:
    """Sides of the blocks that SPACE_TO_BATCH_ND and its inverse cut a picture into."""
    shape = call.shape(0)
    blocks = call.ints(1)
    # The kernels know one side or two between batch and channels.
    if len(shape) not in (3, 4) or len(blocks) != len(shape) - 2 or min(blocks) < 1:
        raise ValueError(f"blocks {blocks} of {shape}")
    return blocks


def to_batch(call: Call) -> list[Shape]:
    blocks = _blocks(call)
    pads = _pads(call, 2, len(blocks))
    batch, *sides, channels = call.shape(0)
    padded = _padded(sides, pads)
    if any(map(mod, padded, blocks)):
        raise ValueError(f"blocks {blocks} of padded sides {padded}")
    count = math.prod(blocks)
    return [(batch * count, *map(floordiv, padded, blocks), channels)]


def from_batch(call: Call) -> list[Shape]:
    blocks = _blocks(call)
    crops = _pads(call, 2, len(blocks))
    batch, *sides, channels = call.shape(0)
    spread = map(mul, sides, blocks)
    cropped = [side - sum(pair) for side, pair in zip(spread, crops, strict=True)]
    count = math.prod(blocks)
    if batch % count or min(cropped) < 0:
        raise ValueError(f"blocks {blocks} and crops {crops} of {call.shape(0)}")
    return [(batch // count, *cropped, channels)]
