"""Output shapes of recurrent operators, which hold many operands against one another.

Operands by position: ``lstm_shared.h`` and ``svdf.cc`` among the runtime's kernels.
"""

from collections.abc import Iterable

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.call import Call

_GATES = 4  # input, forget, cell, output
_BASIC = 1  # LSTMKernelType in the schema

# Operands of UNIDIRECTIONAL_SEQUENCE_LSTM; the gates stand in the order of above.
_INPUT_WEIGHTS = range(1, 5)
_RECURRENT_WEIGHTS = range(5, 9)
_PEEPHOLES = range(9, 12)
_BIASES = range(12, 16)
_PROJECTION = 16
_PROJECTION_BIAS = 17
_OUTPUT_STATE = 18
_CELL_STATE = 19
_NORMS = range(20, 24)
# The input gate may be left out (it is then what the forget gate leaves over), the others not.
_NEEDED = (2, 3, 4, 6, 7, 8, 13, 14, 15, _OUTPUT_STATE, _CELL_STATE)


def sequence_lstm(call: Call) -> list[Shape]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: 24 operands, of which the first gate may be absent."""
    data = call.shape(0, 3)
    batch = data[0]
    if call.option("time_major"):
        batch = data[1]
    # Of the forget gate, the first one that is always there: its weights say how large all are.
    cells, depth = call.shape(2, 2)
    _, outputs = call.shape(6, 2)
    if depth != data[2] or min(cells, outputs, batch) < 1:
        raise ValueError(f"weights {call.shape(2)} for an input {data}")
    if call.option("diagonal_recurrent_tensors"):
        raise LookupError
    _expect(call, _INPUT_WEIGHTS, (cells, depth))
    _expect(call, _RECURRENT_WEIGHTS, (cells, outputs))
    _expect(call, (*_PEEPHOLES, *_BIASES), (cells,))
    _expect(call, (_PROJECTION,), (outputs, cells))
    _expect(call, (_PROJECTION_BIAS,), (outputs,))
    _expect(call, (_OUTPUT_STATE,), (batch, outputs))
    _expect(call, (_CELL_STATE,), (batch, cells))
    _expect(call, _NORMS, (cells,))
    _expect_gates(call)
    for position in _NEEDED:
        call.shape(position)
    _check_projection(call, cells, outputs)
    return [(*data[:2], outputs)]


def _expect_gates(call: Call) -> None:
    """What belongs to the first gate is there with its weights, all of it or nothing."""
    has_input_gate = call.present(1)
    first = int(not has_input_gate)
    _expect_together(call, (1, 5, 12))
    _expect_together(call, _PEEPHOLES[first:])
    _expect_together(call, _NORMS[first:])


def _check_projection(call: Call, cells: int, outputs: int) -> None:
    if call.present(_PROJECTION):
        return
    if outputs != cells:
        raise ValueError(f"{outputs} outputs of {cells} cells without a projection")
    if call.present(_PROJECTION_BIAS):
        raise ValueError("a projection's bias without a projection")


def _expect(call: Call, positions: Iterable[int], shape: Shape) -> None:
    for position in positions:
        if call.present(position) and call.shape(position) != shape:
            problem = f"operand {position} has shape {call.shape(position)}"
            raise ValueError(f"{problem}, expected {shape}")


def _expect_together(call: Call, positions: Iterable[int]) -> None:
    if len(set(map(call.present, positions))) > 1:
        raise ValueError(f"operands {list(positions)} are neither all there nor all absent")


def full_or_basic_lstm(call: Call) -> list[Shape]:
    """LSTM: only the basic kernel, of five operands, which no shape of a file can lead astray."""
    if call.option("kernel_type") != _BASIC:
        raise LookupError
    batch, depth = call.shape(0, 2)
    _, outputs = call.shape(1, 2)
    _expect(call, (1, 4), (batch, outputs))
    _expect(call, (2,), (_GATES * outputs, depth + outputs))
    _expect(call, (3,), (_GATES * outputs,))
    raise LookupError


def svdf(call: Call) -> list[Shape]:
    """Filters of rank one, over a state that moves on by one step at each run."""
    batch, depth = call.shape(0, 2)
    filters, width = call.shape(1, 2)
    _, memory = call.shape(2, 2)
    rank = call.option("rank")
    if rank < 1 or filters % rank or width != depth or memory < 1:
        problem = f"filters {call.shape(1)} of rank {rank}"
        raise ValueError(f"{problem} for an input {call.shape(0)}")
    _expect(call, (2,), (filters, memory))
    _expect(call, (3,), (filters // rank,))
    _expect(call, (4,), (batch, memory * filters))
    for position in (1, 2, 4):
        call.shape(position)
    raise LookupError  # integers bring scales and intermediates, for which there is no rule
