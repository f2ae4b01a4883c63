"""Types, scales and shapes of an operator's operands, where its kernel takes them on trust."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from handheld.engine._verify.call import Call
from handheld.engine._verify.flatbuffer import Table, fail
from handheld.engine._verify.shapes import judge

_ONE_TYPE = """
ABS ADD ADD_N AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_TO CEIL CONCATENATION COS CUMSUM DEPTH_TO_SPACE DIV ELU EXP
EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER GATHER_ND HARD_SWISH L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LOG
LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PACK PAD PADV2 POW
PRELU REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SIN SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V
SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TILE TRANSPOSE UNPACK ZEROS_LIKE
"""
_SCALED = """
ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL EXP
FULLY_CONNECTED GELU GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG LOGISTIC
LOG_SOFTMAX MEAN MUL NOT_EQUAL PACK PRELU QUANTIZE REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RSQRT SOFTMAX SQRT
SQUARED_DIFFERENCE SUB SUM TANH TRANSPOSE_CONV
"""
_OUTPUTS_LIKE_INPUT = frozenset(_ONE_TYPE.split())
_NEEDS_SCALE = frozenset(_SCALED.split())
# The output's scale must be larger than this, of twice the largest scale of an input: the kernel's fixed point
# arithmetic has that many bits.
_LEAST_OUTPUT: dict[str, Callable[[float], float]] = {
    "ADD": lambda twice: twice / 2**15,
    "SUB": lambda twice: twice / 2**15,
    "SQUARED_DIFFERENCE": lambda twice: twice * twice / 2**14,
}
_COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
_DATA = {"SPLIT": 1, "FILL": 1}  # which input is the data, where it is not the first
_INT8, _UINT8, _INT16, _FLOAT32, _FLOAT64 = 9, 3, 7, 0, 10
_INTEGERS = {2: "<i4", 4: "<i8"}


def check_operands(where: str, name: str, node: Table, tensors: Sequence[Table], buffers: Sequence[Table]) -> bool:
    """Check the operands of operator ``name``, whose indices are in range; whether its output shapes are known."""
    inputs = [tensors[i] if i >= 0 else None for i in node["inputs"]]
    outputs = [tensors[i] for i in node["outputs"]]
    data = inputs[_DATA.get(name, 0)] if inputs else None
    if name in _OUTPUTS_LIKE_INPUT and data and any(out["type"] != data["type"] for out in outputs):
        fail(where, f"element types {[out['type'] for out in outputs]} of outputs, {data['type']} of the input")
    if name == "FLOOR_MOD" and outputs[0]["type"] not in (_FLOAT32, _FLOAT64):
        fail(where, "the runtime's remainder of integers stops the process for some values; compute it in float32")
    if name in _NEEDS_SCALE:
        _check_scales(where, name, [t for t in (*inputs, *outputs) if t and t["type"] in (_INT8, _UINT8, _INT16)])
    problem = judge(
        name,
        Call(
            shapes=[tensor and tensor["shape"] for tensor in inputs],
            values=[_value(tensor, buffers) for tensor in inputs],
            options=node["builtin_options"] or {},
            outputs=[out["shape"] for out in outputs],
        ),
    )
    if problem:
        fail(where, problem)
    return problem is not None


def _value(tensor: Table | None, buffers: Sequence[Table]) -> np.ndarray | None:
    """Values of an integer constant; an empty float array for other constants; None for what is computed."""
    if tensor is None:
        return None
    data: np.ndarray | tuple[()] = buffers[tensor["buffer"]]["data"]
    if not len(data) and 0 not in tensor["shape"]:
        return None
    kind = _INTEGERS.get(tensor["type"])
    return np.asarray(data).view(kind) if kind and len(data) else np.empty(0, kind or "f4")


def _check_scales(where: str, name: str, tensors: Iterable[Table]) -> None:
    """Kernels stop the process over a scale that is absent, or so far from the others that it cannot be meant."""
    scales = []
    for tensor in tensors:
        found = (tensor["quantization"] or {}).get("scale") or ()
        if not found:
            fail(where, f"tensor {tensor['name']!r} of integers has no scale")
        scales.append(max(found))
    if name in _COMPARISONS and 1.0 in scales:
        fail(where, "a scale of exactly 1, at which the runtime's comparisons stop the process; use any other")
    if name in _LEAST_OUTPUT and scales and _LEAST_OUTPUT[name](2 * max(scales[:-1])) >= scales[-1]:
        fail(where, f"scales of inputs {scales[:-1]} are far too large for the output's {scales[-1]}")
