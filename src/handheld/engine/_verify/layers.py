"""Output shapes of operators that compute: element by element, convolutions, pools, matrix products."""

import math

import numpy as np

from handheld.engine._verify.call import Call, Shape

_MAX_REACH = 1 << 24  # kernels add it to sides and strides in 32 bits


def same(call: Call) -> list[Shape]:
    return [call.shape(0)]


def rows(call: Call) -> list[Shape]:
    """Operators that work along the last side."""
    if not call.shape(0):
        raise ValueError("an input without sides")
    return [call.shape(0)]


def broadcast(call: Call) -> list[Shape]:
    return [np.broadcast_shapes(*(call.shape(i) for i in range(len(call.shapes))))]


def equal(call: Call) -> list[Shape]:
    if len({call.shape(i) for i in range(len(call.shapes))}) != 1:
        raise ValueError(f"inputs have unequal shapes {list(call.shapes)}")
    return [call.shape(0)]


def prelu(call: Call) -> list[Shape]:
    if np.broadcast_shapes(call.shape(0), call.shape(1)) != call.shape(0):
        raise ValueError(f"slopes {call.shape(1)} for an input {call.shape(0)}")
    return [call.shape(0)]


def _slide(call: Call, side: int, kernel: int, stride: str, dilation: str = "") -> int:
    """Positions of a window along one side."""
    reach = (kernel - 1) * call.option(dilation, 1) + 1
    if kernel < 1 or reach > _MAX_REACH:
        raise ValueError(f"a window of {reach} on a side of {side}")
    free = side if call.option("padding") == 0 else side - reach + 1
    if free < 1:
        raise ValueError(f"a window of {reach} on a side of {side}")
    return -(-free // int(call.option(stride)))


def _windows(call: Call, height: int, width: int, channels: int) -> list[Shape]:
    n, h, w, _ = call.shape(0, 4)
    rows = _slide(call, h, height, "stride_h", "dilation_h_factor")
    return [(n, rows, _slide(call, w, width, "stride_w", "dilation_w_factor"), channels)]


def pool(call: Call) -> list[Shape]:
    return _windows(call, call.option("filter_height"), call.option("filter_width"), call.shape(0, 4)[3])


def _bias(call: Call, position: int, count: int) -> None:
    if position < len(call.shapes) and call.shapes[position] is not None and math.prod(call.shape(position)) != count:
        raise ValueError(f"bias {call.shape(position)} for {count} channels")


def conv(call: Call) -> list[Shape]:
    out, height, width, depth = call.shape(1, 4)
    channels = call.shape(0, 4)[3]
    groups = channels // max(depth, 1)
    if not out or not depth or not groups or channels % depth or out % groups:
        raise ValueError(f"filter {call.shape(1)} for an input {call.shape(0)}")
    _bias(call, 2, out)
    return _windows(call, height, width, out)


def depthwise(call: Call) -> list[Shape]:
    one, height, width, out = call.shape(1, 4)
    channels = call.shape(0, 4)[3]
    if one != 1 or not channels or not out or out % channels:
        raise ValueError(f"filter {call.shape(1)} for an input {call.shape(0)}")
    if call.option("depth_multiplier") != out // channels:
        raise LookupError  # some of the kernels believe the option
    _bias(call, 2, out)
    return _windows(call, height, width, out)


def transpose_conv(call: Call) -> list[Shape]:
    result, (out, height, width, depth), (n, h, w, c) = tuple(call.ints(0)), call.shape(1, 4), call.shape(2, 4)
    if len(result) != 4 or min(result) < 1 or result[0] != n or result[3] != out or depth != c:
        raise ValueError(f"filter {call.shape(1)} makes {result} of an input {call.shape(2)}")
    rows, columns = _slide(call, result[1], height, "stride_h"), _slide(call, result[2], width, "stride_w")
    if (rows, columns) != (h, w):
        raise ValueError(f"an output {result} belongs to an input of {rows} x {columns}, not {h} x {w}")
    _bias(call, 3, out)
    return [result]


def transpose_conv_bias(call: Call) -> list[Shape]:
    """MediaPipe's custom operator, which the delegate runs."""
    n, h, w, c = call.shape(0, 4)
    out, height, width, depth = call.shape(1, 4)
    padding, stride_w, stride_h = call.option("structure")
    if depth != c or min(out, height, width, depth, n, h, w) < 1:
        raise ValueError(f"filter {call.shape(1)} for an input {call.shape(0)}")
    if height < stride_h or width < stride_w:
        raise LookupError  # gaps between the windows
    _bias(call, 2, out)
    if padding == 1:
        return [(n, h * stride_h, w * stride_w, out)]
    return [(n, (h - 1) * stride_h + height, (w - 1) * stride_w + width, out)]


def dense(call: Call) -> list[Shape]:
    out, depth = call.shape(1, 2)
    total = math.prod(call.shape(0))
    if not depth or total % depth or (call.option("keep_num_dims") and call.shape(0)[-1:] != (depth,)):
        raise ValueError(f"weights {call.shape(1)} for an input {call.shape(0)}")
    _bias(call, 2, out)
    if call.option("weights_format"):
        raise LookupError  # shuffled weights, which the kernel unshuffles by a shape of its own
    if call.option("keep_num_dims"):
        return [(*call.shape(0)[:-1], out)]
    return [(total // depth, out)]


def matmul(call: Call) -> list[Shape]:
    a, b = call.shape(0), call.shape(1)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"matrices of shapes {a} and {b}")
    (m, k), (j, n) = a[-2:][:: -1 if call.option("adj_x") else 1], b[-2:][:: -1 if call.option("adj_y") else 1]
    if k != j:
        raise ValueError(f"matrices of shapes {a} and {b}")
    return [(*np.broadcast_shapes(a[:-2], b[:-2]), m, n)]
