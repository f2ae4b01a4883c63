"""Output shapes of operators that look up, scatter or fill.

Where a shape hangs on values that only a run knows, the rule ends in ``LookupError`` after it has
judged the rest: what an operand smaller than the others imply would let the kernel read.
"""

import math
from itertools import zip_longest

from handheld.engine._verify.axes import Shape, axis_of, inserted
from handheld.engine._verify.call import Call
from handheld.engine._verify.tensors import MAX_SIDES


def shape_of(call: Call) -> list[Shape]:
    return [(len(call.shape(0)),)]


def rank(call: Call) -> list[Shape]:
    call.shape(0)
    return [()]


def embedding(call: Call) -> list[Shape]:
    (count,) = call.shape(0, 1)
    table = call.shape(1)
    if len(table) < 2 or 0 in table:
        raise ValueError(f"looks up in a table {table}")
    return [(count, *table[1:])]


def one_hot(call: Call) -> list[Shape]:
    shape = call.shape(0)
    for scalar in (1, 2, 3):  # depth, and the values for on and off
        if math.prod(call.shape(scalar)) != 1:
            problem = f"operand {scalar} has shape {call.shape(scalar)}"
            raise ValueError(f"{problem}, expected one value")
    depth = call.int_(1)
    if depth < 0:
        raise ValueError(f"depth {depth}")
    return [inserted(shape, call.option("axis"), depth)]


def fill(call: Call) -> list[Shape]:
    if math.prod(call.shape(1)) != 1:
        raise ValueError(f"fills with {call.shape(1)}, expected one value")
    return [_sides(call, 0)]


def random(call: Call) -> list[Shape]:
    return [_sides(call, 0)]


def _sides(call: Call, position: int) -> Shape:
    """The shape that a list operand holds."""
    call.shape(position, 1)
    sides = call.ints(position)
    if len(sides) > MAX_SIDES or min(sides, default=0) < 0:
        raise ValueError(f"a shape of {sides[:9]}, expected at most 8 sides of 0 or more")
    return tuple(sides)


def range_(call: Call) -> list[Shape]:
    # Start, limit and step.
    for scalar in range(3):
        call.shape(scalar, 0)
    start = call.int_(0)
    limit = call.int_(1)
    delta = call.int_(2)
    if not delta:
        raise ValueError(f"a range from {start} to {limit} by 0")
    return [(len(range(start, limit, delta)),)]


def select(call: Call) -> list[Shape]:
    condition = call.shape(0)
    shape = call.shape(1)
    if call.shape(2) != shape:
        raise ValueError(f"selects between {shape} and {call.shape(2)}")
    # One condition for all elements, or for each row, or for each element.
    if condition not in ((), shape[:1], shape):
        raise ValueError(f"selects between {shape} by {condition}")
    return [shape]


def update_slice(call: Call) -> list[Shape]:
    shape = call.shape(0)
    update = call.shape(1)
    # The kernel moves an update that begins too late, so only its size can lead it outside.
    fits = all(length <= side for length, side in zip(update, shape, strict=False))
    if not fits or len(update) != len(shape) or call.shape(2) != (len(shape),):
        raise ValueError(f"writes {update} at {call.shape(2)} numbers into {shape}")
    return [shape]


def scatter(call: Call) -> list[Shape]:
    indices = call.shape(0)
    updates = call.shape(1)
    shape = _sides(call, 2)
    # An index names its first axes; what it leads to has the other ones.
    problem = f"scatters {updates} by indices {indices} into {shape}"
    if not indices or indices[-1] > len(shape):
        raise ValueError(problem)
    if updates != indices[:-1] + shape[indices[-1] :]:
        raise ValueError(problem)
    return [shape]


def segments(call: Call) -> list[Shape]:
    data = call.shape(0)
    ids = call.shape(1, 1)
    if data[:1] != ids:
        raise ValueError(f"{ids} segment ids for rows of {data}")
    raise LookupError  # as many segments as the greatest id says


def unsorted_segments(call: Call) -> list[Shape]:
    data = call.shape(0)
    ids = call.shape(1)
    if not ids or data[: len(ids)] != ids:
        raise ValueError(f"{ids} segment ids for {data}")
    count = call.int_(2)
    if count < 0:
        raise ValueError(f"{count} segments")
    return [(count, *data[len(ids) :])]


def matrix_diag(call: Call) -> list[Shape]:
    shape = call.shape(0)
    if not shape:
        raise ValueError("a diagonal of no sides")
    return [(*shape, shape[-1])]


def set_diag(call: Call) -> list[Shape]:
    shape = call.shape(0)
    diagonal = call.shape(1)
    if len(shape) < 2 or diagonal != (*shape[:-2], min(shape[-2:])):
        raise ValueError(f"a diagonal {diagonal} for {shape}")
    return [shape]


def boxes(call: Call) -> list[Shape]:
    """Non-maximum suppression: as many boxes as the largest number asks for."""
    count, corners = call.shape(0, 2)
    if corners != 4 or call.shape(1, 1) != (count,):
        raise ValueError(f"boxes {call.shape(0)} with scores {call.shape(1)}")
    # The kernel reads one value of each without a look at its shape.
    for scalar in range(2, len(call.shapes)):
        call.shape(scalar, 0)
    raise LookupError


def unique(call: Call) -> list[Shape]:
    call.shape(0, 1)
    raise LookupError


def broadcast_args(call: Call) -> list[Shape]:
    shapes = [_sides(call, 0), _sides(call, 1)]
    # Not numpy's broadcasting of shapes, which has a limit on the product of the sides.
    for pair in zip_longest(*map(reversed, shapes), fillvalue=1):
        if len({*pair, 1}) > 2:
            raise ValueError(f"shapes {shapes} that do not broadcast")
    return [(max(map(len, shapes)),)]


def reverse_sequence(call: Call) -> list[Shape]:
    shape = call.shape(0)
    batch = axis_of(call.option("batch_dim"), len(shape))
    axis = axis_of(call.option("seq_dim"), len(shape))
    if call.shape(1) != (shape[batch],) or batch == axis:
        raise ValueError(f"{call.shape(1)} lengths for {shape}")
    raise LookupError  # the kernel reads as far as the lengths say
