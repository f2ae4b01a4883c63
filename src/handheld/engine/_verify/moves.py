"""Output shapes of operators that move, repeat, drop or reduce elements."""

import math

import numpy as np

from handheld.engine._verify.call import Call, Shape, axis_of
from handheld.engine._verify.layers import equal


def reshape(call: Call) -> list[Shape]:
    shape = call.shape(0)
    wanted = _new_shape(call)
    if len(wanted) > 8 or min(wanted, default=0) < -1 or wanted.count(-1) > 1:
        raise ValueError(f"new shape {wanted[:9]}, expected at most 8 sides, one of them -1")
    count = math.prod(shape)
    if -1 in wanted:
        rest = math.prod(side for side in wanted if side != -1)
        if not rest or count % rest:
            raise ValueError(f"new shape {wanted} for an input {shape}")
        wanted[wanted.index(-1)] = count // rest
    if math.prod(wanted) != count:
        raise ValueError(f"new shape {wanted} for an input {shape}")
    return [tuple(wanted)]


def _new_shape(call: Call) -> list[int]:
    """The operand where there is one (the kernel prefers it), or the option."""
    if len(call.shapes) < 2:
        numbers = call.option("new_shape", ())
        # Old converters wrote [0] for a scalar.
        return [] if tuple(numbers) == (0,) else list(numbers)
    sides = call.shape(1)
    if len(sides) != 1 or sides[0] > 8:
        raise ValueError(f"new shape is given by {sides} numbers, expected a list of at most 8")
    return call.ints(1)


def squeeze(call: Call) -> list[Shape]:
    shape = call.shape(0)
    listed = call.option("squeeze_dims", ())
    if len(listed) > 8:
        raise ValueError(f"squeezes {len(listed)} sides of {shape}")
    axes = {axis_of(axis, len(shape)) for axis in listed}
    if any(shape[axis] != 1 for axis in axes):
        raise ValueError(f"squeezes sides {sorted(axes)} of {shape}")
    if not listed:
        axes = {axis for axis, side in enumerate(shape) if side == 1}
    return [tuple(side for axis, side in enumerate(shape) if axis not in axes)]


def expand(call: Call) -> list[Shape]:
    shape, axis = list(call.shape(0)), call.int_(1)
    shape.insert(axis_of(axis, len(shape) + 1), 1)
    return [tuple(shape)]


def transpose(call: Call) -> list[Shape]:
    shape, order = call.shape(0), call.ints(1)
    if sorted(axis_of(i, len(shape)) for i in order) != list(range(len(shape))):
        raise ValueError(f"order {order} of {len(shape)} sides")
    return [tuple(shape[i] for i in order)]


def _pads(call: Call, position: int, sides: int) -> list[tuple[int, int]]:
    flat = call.ints(position)
    if len(flat) != 2 * sides or min(flat, default=0) < 0:
        raise ValueError(f"{len(flat)} pads {flat[:8]}, expected {2 * sides} of 0 or more")
    return list(zip(flat[::2], flat[1::2], strict=True))


def pad(call: Call) -> list[Shape]:
    shape = call.shape(0)
    return [tuple(n + a + b for n, (a, b) in zip(shape, _pads(call, 1, len(shape)), strict=True))]


def mirror(call: Call) -> list[Shape]:
    shape, least = call.shape(0), int(call.option("mode"))  # 0: REFLECT, which does not repeat the edge
    reach = [max(pair) for pair in _pads(call, 1, len(shape))]
    if any(pad > n - 1 + least for pad, n in zip(reach, shape, strict=True)):
        raise ValueError(f"pads {reach} are wider than what they mirror, {shape}")
    return pad(call)


def concat(call: Call) -> list[Shape]:
    shapes = [call.shape(i) for i in range(len(call.shapes))]
    axis = axis_of(call.option("axis"), len(shapes[0]))
    if len({(*s[:axis], *s[axis + 1 :], len(s)) for s in shapes}) != 1:
        raise ValueError(f"joins {shapes} along axis {axis}")
    return [(*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])]


def pack(call: Call) -> list[Shape]:
    shape = list(equal(call)[0])
    shape.insert(axis_of(call.option("axis"), len(shape) + 1), len(call.shapes))
    return [tuple(shape)]


def unpack(call: Call) -> list[Shape]:
    shape = list(call.shape(0))
    if shape.pop(axis_of(call.option("axis"), len(shape))) != len(call.outputs):
        raise ValueError(f"{len(call.outputs)} outputs of {call.shape(0)}")
    return [tuple(shape)] * len(call.outputs)


def split(call: Call) -> list[Shape]:
    shape, axis, parts = list(call.shape(1)), call.int_(0), len(call.outputs)
    axis = axis_of(axis, len(shape))
    if shape[axis] % parts:
        raise ValueError(f"{parts} equal parts of {shape[axis]}")
    shape[axis] //= parts
    return [tuple(shape)] * parts


def split_v(call: Call) -> list[Shape]:
    shape, sizes, axis = call.shape(0), call.ints(1), call.int_(2)
    axis = axis_of(axis, len(shape))
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if sum(sizes) != shape[axis] or min(sizes, default=0) < 0 or len(sizes) != len(call.outputs):
        raise ValueError(f"parts {sizes} of {shape[axis]}")
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def slice_(call: Call) -> list[Shape]:
    shape, begin, size = call.shape(0), call.ints(1), call.ints(2)
    if not len(shape) == len(begin) == len(size):
        raise ValueError(f"begin {begin} and size {size} of {shape}")
    taken = tuple(n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True))
    if any(b < 0 or s < 0 or b + s > n for n, b, s in zip(shape, begin, taken, strict=True)):
        raise ValueError(f"begin {begin} and size {size} of {shape}")
    return [taken]


def strided_slice(call: Call) -> list[Shape]:
    shape, begin, end, step = call.shape(0), call.ints(1), call.ints(2), call.ints(3)
    if not len(begin) == len(end) == len(step) <= 8 or 0 in step:
        raise ValueError(f"begin {begin}, end {end}, step {step}")
    if call.option("offset"):
        raise LookupError
    taken: list[int] = []
    axis = 0
    for position in range(len(begin)):
        if _bit(call, "ellipsis_mask", position):
            spared = _sliced_sides(call, range(position + 1, len(begin)))
            until = max(len(shape) - spared, axis)
            taken += shape[axis:until]
            axis = until
        elif _bit(call, "new_axis_mask", position):
            taken.append(1)
        elif axis >= len(shape):
            raise ValueError(f"begin {begin} of {shape}")
        else:
            taken += _taken(call, position, shape[axis])
            axis += 1
    return [(*taken, *shape[axis:])]


def _bit(call: Call, mask: str, position: int) -> bool:
    return bool(call.option(mask) >> position & 1)


def _sliced_sides(call: Call, positions: range) -> int:
    """How many sides of the input the entries at ``positions`` speak of."""
    return sum(1 for position in positions if not _bit(call, "new_axis_mask", position))


def _taken(call: Call, position: int, side: int) -> list[int]:
    begin, end, step = (call.ints(operand)[position] for operand in (1, 2, 3))
    if _bit(call, "shrink_axis_mask", position):
        axis_of(begin, side)
        if step < 0:  # the kernel then walks nothing, and leaves the output as it was in memory
            raise ValueError(f"takes one element at {begin} by a step of {step}")
        return []
    start = None if _bit(call, "begin_mask", position) else begin
    stop = None if _bit(call, "end_mask", position) else end
    return [len(range(*slice(start, stop, step).indices(side)))]


def gather(call: Call) -> list[Shape]:
    shape, indices = call.shape(0), call.shape(1)
    axis, batch = axis_of(call.option("axis"), len(shape)), axis_of(call.option("batch_dims"), len(indices) + 1)
    if batch > axis or shape[:batch] != indices[:batch]:
        raise ValueError(f"takes {indices} of {shape} along axis {axis}, {batch} batch sides")
    return [(*shape[:axis], *indices[batch:], *shape[axis + 1 :])]


def gather_nd(call: Call) -> list[Shape]:
    shape, indices = call.shape(0), call.shape(1)
    if not indices or indices[-1] > len(shape):
        raise ValueError(f"indices {indices} of {shape}")
    return [(*indices[:-1], *shape[indices[-1] :])]


def tile(call: Call) -> list[Shape]:
    shape, times = call.shape(0), call.ints(1)
    if len(shape) != len(times) or min(times, default=0) < 0:
        raise ValueError(f"repeats {shape} {times} times")
    return [tuple(n * t for n, t in zip(shape, times, strict=True))]


def broadcast_to(call: Call) -> list[Shape]:
    wanted = tuple(call.ints(1))
    if len(wanted) > 8 or min(wanted, default=0) < 0 or np.broadcast_shapes(call.shape(0), wanted) != wanted:
        raise ValueError(f"spreads {call.shape(0)} to {wanted[:9]}")
    return [wanted]


def reduce(call: Call) -> list[Shape]:
    shape, listed = call.shape(0), call.ints(1)
    axes = {axis_of(axis, len(shape)) for axis in listed if shape}
    if len(listed) > max(len(shape), 1):
        raise ValueError(f"axes {listed} of {shape}")
    if call.option("keep_dims"):
        return [tuple(1 if i in axes else n for i, n in enumerate(shape))]
    return [tuple(n for i, n in enumerate(shape) if i not in axes)]


def arg(call: Call) -> list[Shape]:
    shape, axis = list(call.shape(0)), call.int_(1)
    del shape[axis_of(axis, len(shape))]
    return [tuple(shape)]


def along(call: Call) -> list[Shape]:
    for axis in call.ints(1):
        axis_of(axis, len(call.shape(0)))
    return [call.shape(0)]


def top(call: Call) -> list[Shape]:
    shape, count = call.shape(0), call.int_(1)
    if not shape or not 0 <= count <= shape[-1]:
        raise ValueError(f"the {count} largest of {shape}")
    return [(*shape[:-1], count)] * 2


def resize(call: Call) -> list[Shape]:
    (n, h, w, c), size = call.shape(0, 4), call.ints(1)
    if len(size) != 2 or min(size) < 1 or min(h, w) < 1:
        raise ValueError(f"{call.shape(0)} to size {size[:4]}")
    return [(n, size[0], size[1], c)]


def to_depth(call: Call) -> list[Shape]:
    (n, h, w, c), block = call.shape(0, 4), call.option("block_size")
    if h % block or w % block:
        raise ValueError(f"blocks of {block} of {call.shape(0)}")
    return [(n, h // block, w // block, c * block * block)]


def to_space(call: Call) -> list[Shape]:
    (n, h, w, c), block = call.shape(0, 4), call.option("block_size")
    if c % (block * block):
        raise ValueError(f"blocks of {block} of {call.shape(0)}")
    return [(n, h * block, w * block, c // (block * block))]


def _blocks(call: Call) -> tuple[Shape, list[int], list[tuple[int, int]]]:
    shape, blocks = call.shape(0), call.ints(1)
    if len(shape) not in (3, 4) or len(blocks) != len(shape) - 2 or min(blocks) < 1:
        raise ValueError(f"blocks {blocks} of {shape}")
    return shape, blocks, _pads(call, 2, len(blocks))


def to_batch(call: Call) -> list[Shape]:
    shape, blocks, pads = _blocks(call)
    padded = [n + a + b for n, (a, b) in zip(shape[1:-1], pads, strict=True)]
    if any(n % block for n, block in zip(padded, blocks, strict=True)):
        raise ValueError(f"blocks {blocks} of padded sides {padded}")
    sides = [n // block for n, block in zip(padded, blocks, strict=True)]
    return [(shape[0] * math.prod(blocks), *sides, shape[-1])]


def from_batch(call: Call) -> list[Shape]:
    shape, blocks, crops = _blocks(call)
    sides = [n * block - a - b for n, block, (a, b) in zip(shape[1:-1], blocks, crops, strict=True)]
    if shape[0] % math.prod(blocks) or min(sides) < 0:
        raise ValueError(f"blocks {blocks} and crops {crops} of {shape}")
    return [(shape[0] // math.prod(blocks), *sides, shape[-1])]
