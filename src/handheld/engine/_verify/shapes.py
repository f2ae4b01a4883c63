"""The shapes that an operator's outputs must have, from its inputs, options and constant operands.

A file declares the shape of every tensor. The runtime's delegate believes some of them, so a wrong one makes it read
or write outside its arrays; ``judge`` holds what is declared against the operator's own arithmetic. Operators that
are not in ``_RULES``, and those whose operands are only known at run time, are not judged.
"""

import math
from collections.abc import Callable

from handheld.engine._verify import layers, moves
from handheld.engine._verify.call import Call, Shape

_FREE = {"FULLY_CONNECTED", "RESHAPE", "SQUEEZE"}  # the kernels count elements only

_ELEMENTWISE = """
ABS CAST CEIL COS DEQUANTIZE ELU EXP FAKE_QUANT FLOOR GELU HARD_SWISH L2_NORMALIZATION LEAKY_RELU
LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX NEG QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1
ROUND RSQRT SIGN SIN SOFTMAX SQRT SQUARE TANH ZEROS_LIKE
"""
_BROADCAST = """
ADD ATAN2 BITWISE_XOR DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR
MAXIMUM MINIMUM MUL NOT_EQUAL POW RIGHT_SHIFT SELECT_V2 SQUARED_DIFFERENCE SUB
"""
_REDUCE = ("MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")

_RULES: dict[str, Callable[[Call], list[Shape]]] = {
    **dict.fromkeys(_ELEMENTWISE.split(), layers.same),
    **dict.fromkeys(_BROADCAST.split(), layers.broadcast),
    **dict.fromkeys(_REDUCE, moves.reduce),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), layers.pool),
    **dict.fromkeys(("PAD", "PADV2"), moves.pad),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), moves.arg),
    **dict.fromkeys(("CUMSUM", "REVERSE_V2"), moves.along),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), moves.resize),
    **dict.fromkeys(("RESHAPE", "SQUEEZE"), moves.reshape),
    "ADD_N": layers.equal,
    "BATCH_MATMUL": layers.matmul,
    "BATCH_TO_SPACE_ND": moves.from_batch,
    "BROADCAST_TO": moves.broadcast_to,
    "CONCATENATION": moves.concat,
    "CONV_2D": layers.conv,
    "DEPTHWISE_CONV_2D": layers.depthwise,
    "DEPTH_TO_SPACE": moves.to_space,
    "EXPAND_DIMS": moves.expand,
    "FULLY_CONNECTED": layers.dense,
    "GATHER": moves.gather,
    "GATHER_ND": moves.gather_nd,
    "MIRROR_PAD": moves.mirror,
    "PACK": moves.pack,
    "PRELU": layers.prelu,
    "SLICE": moves.slice_,
    "SPACE_TO_BATCH_ND": moves.to_batch,
    "SPACE_TO_DEPTH": moves.to_depth,
    "SPLIT": moves.split,
    "SPLIT_V": moves.split_v,
    "STRIDED_SLICE": moves.strided_slice,
    "TILE": moves.tile,
    "TOPK_V2": moves.top,
    "TRANSPOSE": moves.transpose,
    "TRANSPOSE_CONV": layers.transpose_conv,
    "UNPACK": moves.unpack,
}


def judge(name: str, call: Call) -> str | None:
    """What is wrong with the shapes that the outputs of operator ``name`` declare: "" for nothing.

    None: no judgement, for want of a rule, or because an operand is only known at run time.
    """
    try:
        expected = _RULES[name](call)
    except LookupError:
        return None
    except ValueError as error:
        return str(error)
    declared = [tuple(shape) for shape in call.outputs]
    if name in _FREE:
        fits = [math.prod(shape) for shape in declared] == [math.prod(shape) for shape in expected]
    else:
        fits = declared == [tuple(shape) for shape in expected]
    return "" if fits else f"outputs are declared as {declared}, but inputs and options give {list(expected)}"
