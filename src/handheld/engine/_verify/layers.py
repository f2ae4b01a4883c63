"""Output shapes of operators that compute.

Element by element, convolutions, pools, matrix products.
"""

import math

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.call import Call

_MAX_REACH = 1 << 24  # kernels add it to sides and strides in 32 bits
_SAME = 0  # the schema's Padding
_SAME_OF_STRUCTURE = 1  # TfLitePadding in the custom operators' options: kTfLitePaddingSame


def same(call: Call) -> list[Shape]:
    return [call.shape(0)]


def rows(call: Call) -> list[Shape]:
    """Operators that work along the last side."""
    if not call.shape(0):
        raise ValueError("an input without sides")
    return [call.shape(0)]


def broadcast(call: Call) -> list[Shape]:
    return [np.broadcast_shapes(*call.all_shapes())]


def equal(call: Call) -> list[Shape]:
    if len(set(call.all_shapes())) != 1:
        raise ValueError(f"inputs have unequal shapes {list(call.shapes)}")
    return [call.shape(0)]


def prelu(call: Call) -> list[Shape]:
    shape = call.shape(0)
    slopes = call.shape(1)
    # The slopes are spread over the input, never the input over them.
    if np.broadcast_shapes(shape, slopes) != shape:
        raise ValueError(f"slopes {slopes} for an input {shape}")
    return [shape]


def _slide(call: Call, side: int, kernel: int, stride: str, dilation: str = "") -> int:
    """Positions of a window along one side."""
    reach = (kernel - 1) * call.option(dilation, 1) + 1
    free = side
    if call.option("padding") != _SAME:
        free = side - reach + 1
    if kernel < 1 or reach > _MAX_REACH or free < 1:
        raise ValueError(f"a window of {reach} on a side of {side}")
    return math.ceil(free / int(call.option(stride)))


def _windows(call: Call, kernel: tuple[int, int], channels: int) -> list[Shape]:
    """The output of a kernel (height, width) that slides over input 0."""
    batch, height, width, _ = call.shape(0, 4)
    rows = _slide(call, height, kernel[0], "stride_h", "dilation_h_factor")
    columns = _slide(call, width, kernel[1], "stride_w", "dilation_w_factor")
    return [(batch, rows, columns, channels)]


def pool(call: Call) -> list[Shape]:
    kernel = (call.option("filter_height"), call.option("filter_width"))
    *_, channels = call.shape(0, 4)
    return _windows(call, kernel, channels)


def _check_bias(call: Call, position: int, count: int) -> None:
    if call.present(position) and math.prod(call.shape(position)) != count:
        raise ValueError(f"bias {call.shape(position)} for {count} channels")


def _filter_mismatch(call: Call) -> ValueError:
    return ValueError(f"filter {call.shape(1)} for an input {call.shape(0)}")


def conv(call: Call) -> list[Shape]:
    outputs, height, width, depth = call.shape(1, 4)
    *_, channels = call.shape(0, 4)
    # A filter of less depth than the input makes groups of its channels, each with outputs of its
    # own; how many groups there are, the file says nowhere else.
    groups = channels // max(depth, 1)
    if not outputs or not groups or not depth or channels % depth or outputs % groups:
        raise _filter_mismatch(call)
    _check_bias(call, 2, outputs)
    return _windows(call, (height, width), outputs)


def depthwise(call: Call) -> list[Shape]:
    one, height, width, outputs = call.shape(1, 4)
    *_, channels = call.shape(0, 4)
    if one != 1 or not channels or not outputs or outputs % channels:
        raise _filter_mismatch(call)
    if call.option("depth_multiplier") != outputs // channels:
        raise LookupError  # some of the kernels believe the option
    _check_bias(call, 2, outputs)
    return _windows(call, (height, width), outputs)


def transpose_conv(call: Call) -> list[Shape]:
    """Operand 0 is the output's shape; the rule asks whether a convolution leads back from it."""
    result = tuple(call.ints(0))
    outputs, height, width, depth = call.shape(1, 4)
    batch, *sides, channels = call.shape(2, 4)
    fits = len(result) == 4 and min(result) > 0
    if not fits or (result[0], result[3], channels) != (batch, outputs, depth):
        problem = f"makes {result} of an input {call.shape(2)}"
        raise ValueError(f"filter {call.shape(1)} {problem}")
    rows = _slide(call, result[1], height, "stride_h")
    columns = _slide(call, result[2], width, "stride_w")
    if [rows, columns] != sides:
        expected = f"belongs to an input of {rows} x {columns}"
        raise ValueError(f"an output {result} {expected}, not {sides[0]} x {sides[1]}")
    _check_bias(call, 3, outputs)
    return [result]


def transpose_conv_bias(call: Call) -> list[Shape]:
    """MediaPipe's custom operator, which the delegate runs."""
    batch, rows, columns, channels = call.shape(0, 4)
    outputs, height, width, depth = call.shape(1, 4)
    padding, stride_w, stride_h = call.option("structure")
    if depth != channels or 0 in (*call.shape(0), *call.shape(1)):
        raise _filter_mismatch(call)
    if height < stride_h or width < stride_w:
        raise LookupError  # gaps between the windows
    _check_bias(call, 2, outputs)
    if padding == _SAME_OF_STRUCTURE:
        return [(batch, rows * stride_h, columns * stride_w, outputs)]
    # Windows overlap where they are longer than the stride; the last one stands out whole.
    sides = ((rows - 1) * stride_h + height, (columns - 1) * stride_w + width)
    return [(batch, *sides, outputs)]


def conv_3d(call: Call) -> list[Shape]:
    *_, depth, outputs = call.shape(1, 5)
    _check_conv_3d(call, 0, depth, outputs)
    _check_bias(call, 2, outputs)
    raise LookupError


def conv_3d_transpose(call: Call) -> list[Shape]:
    *_, outputs, depth = call.shape(1, 5)
    _check_conv_3d(call, 2, depth, outputs)
    _check_bias(call, 3, outputs)
    raise LookupError


def _check_conv_3d(call: Call, data: int, depth: int, outputs: int) -> None:
    shape = call.shape(data, 5)
    if shape[4] != depth or not outputs or not depth:
        raise ValueError(f"filter {call.shape(1)} for an input {shape}")


def dense(call: Call) -> list[Shape]:
    outputs, depth = call.shape(1, 2)
    shape = call.shape(0)
    keeps = call.option("keep_num_dims")
    total = math.prod(shape)
    if not depth or total % depth or (keeps and shape[-1:] != (depth,)):
        raise ValueError(f"weights {call.shape(1)} for an input {shape}")
    _check_bias(call, 2, outputs)
    if call.option("weights_format"):
        raise LookupError  # shuffled weights, which the kernel unshuffles by a shape of its own
    if keeps:
        return [(*shape[:-1], outputs)]
    return [(total // depth, outputs)]


def matmul(call: Call) -> list[Shape]:
    lhs = call.shape(0)
    rhs = call.shape(1)
    problem = f"matrices of shapes {lhs} and {rhs}"
    if min(len(lhs), len(rhs)) < 2:
        raise ValueError(problem)
    rows, depth = _matrix(lhs, adjoint=call.option("adj_x"))
    height, columns = _matrix(rhs, adjoint=call.option("adj_y"))
    if depth != height:
        raise ValueError(problem)
    return [(*np.broadcast_shapes(lhs[:-2], rhs[:-2]), rows, columns)]


def _matrix(shape: Shape, *, adjoint: bool) -> Shape:
    """Rows and columns of the matrices in a stack."""
    rows, columns = shape[-2:]
    if adjoint:
        return columns, rows
    return rows, columns
