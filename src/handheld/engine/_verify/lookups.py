"""Output shapes of operators that look up, scatter, fill or recur.

Where a shape hangs on values that only a run knows, the rule ends in ``LookupError`` after it has
judged the rest: what an operand smaller than the others imply would let the kernel read.
"""

import math

from handheld.engine._verify.call import Call, Shape, axis_of


def shape_of(call: Call) -> list[Shape]:
    return [(len(call.shape(0)),)]


def rank(call: Call) -> list[Shape]:
    call.shape(0)
    return [()]


def embedding(call: Call) -> list[Shape]:
    (count,), table = call.shape(0, 1), call.shape(1)
    if len(table) < 2 or 0 in table:
        raise ValueError(f"looks up in a table {table}")
    return [(count, *table[1:])]


def one_hot(call: Call) -> list[Shape]:
    shape = list(call.shape(0))
    for scalar in (1, 2, 3):
        if math.prod(call.shape(scalar)) != 1:
            raise ValueError(f"operand {scalar} has shape {call.shape(scalar)}, expected one value")
    depth = call.int_(1)
    if depth < 0:
        raise ValueError(f"depth {depth}")
    shape.insert(axis_of(call.option("axis"), len(shape) + 1), depth)
    return [tuple(shape)]


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
    if len(sides) > 8 or min(sides, default=0) < 0:
        raise ValueError(f"a shape of {sides[:9]}, expected at most 8 sides of 0 or more")
    return tuple(sides)


def range_(call: Call) -> list[Shape]:
    for scalar in range(3):
        call.shape(scalar, 0)
    start, limit, delta = (call.int_(i) for i in range(3))
    if not delta:
        raise ValueError(f"a range from {start} to {limit} by 0")
    return [(len(range(start, limit, delta)),)]


def select(call: Call) -> list[Shape]:
    condition, shape = call.shape(0), call.shape(1)
    if call.shape(2) != shape:
        raise ValueError(f"selects between {shape} and {call.shape(2)}")
    scalar = not condition or condition == shape[:1]
    if condition != shape and not scalar:
        raise ValueError(f"selects between {shape} by {condition}")
    return [shape]


def update_slice(call: Call) -> list[Shape]:
    shape, update = call.shape(0), call.shape(1)
    fits = len(update) == len(shape) and all(u <= n for u, n in zip(update, shape, strict=True))
    if not fits or call.shape(2) != (len(shape),):
        raise ValueError(f"writes {update} at {call.shape(2)} numbers into {shape}")
    return [shape]


def scatter(call: Call) -> list[Shape]:
    indices, updates = call.shape(0), call.shape(1)
    shape = _sides(call, 2)
    depth = indices[-1] if indices else 0
    if not indices or depth > len(shape) or updates != (*indices[:-1], *shape[depth:]):
        raise ValueError(f"scatters {updates} by indices {indices} into {shape}")
    return [shape]


def segments(call: Call) -> list[Shape]:
    data, ids = call.shape(0), call.shape(1, 1)
    if not data or data[0] != ids[0]:
        raise ValueError(f"{ids} segment ids for rows of {data}")
    raise LookupError  # as many segments as the greatest id says


def unsorted_segments(call: Call) -> list[Shape]:
    data, ids = call.shape(0), call.shape(1)
    if not ids or data[: len(ids)] != ids:
        raise ValueError(f"{ids} segment ids for {data}")
    count = call.int_(2)
    if count < 0:
        raise ValueError(f"{count} segments")
    return [(count, *data[len(ids) :])]


def conv_3d(call: Call) -> list[Shape]:
    _, _, _, depth, out = call.shape(1, 5)
    return _conv_3d(call, 0, depth, out, 2)


def conv_3d_transpose(call: Call) -> list[Shape]:
    _, _, _, out, depth = call.shape(1, 5)
    return _conv_3d(call, 2, depth, out, 3)


def _conv_3d(call: Call, data: int, depth: int, out: int, bias: int) -> list[Shape]:
    shape = call.shape(data, 5)
    if shape[4] != depth or not out or not depth:
        raise ValueError(f"filter {call.shape(1)} for an input {shape}")
    if call.present(bias) and math.prod(call.shape(bias)) != out:
        raise ValueError(f"bias {call.shape(bias)} for {out} channels")
    raise LookupError


def matrix_diag(call: Call) -> list[Shape]:
    shape = call.shape(0)
    if not shape:
        raise ValueError("a diagonal of no sides")
    return [(*shape, shape[-1])]


def set_diag(call: Call) -> list[Shape]:
    shape, diagonal = call.shape(0), call.shape(1)
    if len(shape) < 2 or diagonal != (*shape[:-2], min(shape[-2:])):
        raise ValueError(f"a diagonal {diagonal} for {shape}")
    return [shape]


def boxes(call: Call) -> list[Shape]:
    """Non-maximum suppression: as many boxes as the largest number asks for."""
    count = call.shape(0, 2)
    if count[1] != 4 or call.shape(1, 1) != count[:1]:
        raise ValueError(f"boxes {count} with scores {call.shape(1)}")
    for scalar in range(2, len(call.shapes)):
        call.shape(scalar, 0)
    raise LookupError


def unique(call: Call) -> list[Shape]:
    call.shape(0, 1)
    raise LookupError


def broadcast_args(call: Call) -> list[Shape]:
    shapes = [_sides(call, position) for position in (0, 1)]
    longest = max(len(shape) for shape in shapes)
    padded = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    if any(a != b and 1 not in (a, b) for a, b in zip(*padded, strict=True)):
        raise ValueError(f"shapes {shapes} that do not broadcast")
    return [(longest,)]


_GATES = 4  # input, forget, cell, output


def sequence_lstm(call: Call) -> list[Shape]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: 24 operands, of which the first gate may be absent."""
    data = call.shape(0, 3)
    batch = data[1] if call.option("time_major") else data[0]
    cells, depth = call.shape(2, 2)
    outputs = call.shape(6, 2)[1]
    if depth != data[2] or min(cells, outputs, batch) < 1:
        raise ValueError(f"weights {call.shape(2)} for an input {data}")
    if bool(call.option("diagonal_recurrent_tensors")):
        raise LookupError
    _expect(call, range(1, 5), (cells, depth))
    _expect(call, range(5, 9), (cells, outputs))
    _expect(call, range(9, 16), (cells,))
    _expect(call, (16,), (outputs, cells))
    _expect(call, (17,), (outputs,))
    _expect(call, (18,), (batch, outputs))
    _expect(call, (19,), (batch, cells))
    _expect(call, range(20, 24), (cells,))
    _expect_together(call, (1, 5, 12))
    _expect_together(call, (9, 10, 11) if call.present(1) else (10, 11))
    _expect_together(call, range(20, 24) if call.present(1) else range(21, 24))
    for position in (2, 3, 4, 6, 7, 8, 13, 14, 15, 18, 19):
        call.shape(position)
    if not call.present(16) and outputs != cells:
        raise ValueError(f"{outputs} outputs of {cells} cells without a projection")
    if call.present(17) and not call.present(16):
        raise ValueError("a projection's bias without a projection")
    return [(*data[:2], outputs)]


def _expect(call: Call, positions: range | tuple[int, ...], shape: Shape) -> None:
    for position in positions:
        if call.present(position) and call.shape(position) != shape:
            raise ValueError(f"operand {position} has shape {call.shape(position)}, expected {shape}")


def _expect_together(call: Call, positions: range | tuple[int, ...]) -> None:
    if len({call.present(position) for position in positions}) > 1:
        raise ValueError(f"operands {list(positions)} are neither all there nor all absent")


def full_or_basic_lstm(call: Call) -> list[Shape]:
    """LSTM: only the basic kernel, of five operands, which no shape of a file can lead astray."""
    if call.option("kernel_type") != 1:
        raise LookupError
    (batch, depth), (_, outputs) = call.shape(0, 2), call.shape(1, 2)
    _expect(call, (1, 4), (batch, outputs))
    _expect(call, (2,), (_GATES * outputs, depth + outputs))
    _expect(call, (3,), (_GATES * outputs,))
    raise LookupError


def svdf(call: Call) -> list[Shape]:
    """Filters of rank one, over a state that moves on by one step at each run."""
    batch, depth = call.shape(0, 2)
    filters, width = call.shape(1, 2)
    memory = call.shape(2, 2)[1]
    rank_ = call.option("rank")
    if rank_ < 1 or filters % rank_ or width != depth or memory < 1:
        raise ValueError(f"filters {call.shape(1)} of rank {rank_} for an input {call.shape(0)}")
    _expect(call, (2,), (filters, memory))
    _expect(call, (3,), (filters // rank_,))
    _expect(call, (4,), (batch, memory * filters))
    for position in (1, 2, 4):
        call.shape(position)
    raise LookupError  # integers bring scales and intermediates, for which there is no rule


def reverse_sequence(call: Call) -> list[Shape]:
    shape = call.shape(0)
    batch = axis_of(call.option("batch_dim"), len(shape))
    axis = axis_of(call.option("seq_dim"), len(shape))
    if call.shape(1) != (shape[batch],) or batch == axis:
        raise ValueError(f"{call.shape(1)} lengths for {shape}")
    raise LookupError  # the kernel reads as far as the lengths say
