"""The shapes that an operator's outputs have, from its inputs, options and known operands.

A file declares the shape of every tensor. The runtime's delegate believes some of them, so a wrong
one makes it read or write outside its arrays: what is declared is held against ``output_shapes``.
"""

from collections.abc import Callable

from handheld.engine._verify import layers, lookups, moves, recurrent
from handheld.engine._verify.axes import Shape
from handheld.engine._verify.call import Call
from handheld.engine._verify.custom import TRANSPOSE_CONV_BIAS

COUNTED = frozenset({"FULLY_CONNECTED", "RESHAPE", "SQUEEZE"})
"""Operators whose files often declare another shape than the kernel makes, of as many elements."""

_ELEMENTWISE = """
ABS BUCKETIZE CAST CEIL COMPLEX_ABS COS DENSIFY DEQUANTIZE ELU EXP FAKE_QUANT FLOOR GELU HARD_SWISH
IMAG LEAKY_RELU LOG LOGICAL_NOT LOGISTIC NEG
QUANTIZE REAL RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SIGN SIN SQRT SQUARE TANH
ZEROS_LIKE
"""
_BROADCAST = """
ADD BITWISE_XOR DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS LESS_EQUAL
LOGICAL_AND LOGICAL_OR MAXIMUM MINIMUM MUL NOT_EQUAL POW RIGHT_SHIFT SELECT_V2 SQUARED_DIFFERENCE
SUB
"""
_ROWS = ("L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION", "LOG_SOFTMAX", "SOFTMAX")
_REDUCE = ("MEAN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")

_UNSORTED = """
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM
"""

# An operator without an entry has no rule: a KeyError is a LookupError, which makes it a doubt.
_RULES: dict[str, Callable[[Call], list[Shape]]] = {
    **dict.fromkeys(_ELEMENTWISE.split(), layers.same),
    **dict.fromkeys(_BROADCAST.split(), layers.broadcast),
    **dict.fromkeys(_ROWS, layers.rows),
    **dict.fromkeys(_REDUCE, moves.reduce),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), layers.pool),
    **dict.fromkeys(("PAD", "PADV2"), moves.pad),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), moves.arg),
    **dict.fromkeys(("CUMSUM", "REVERSE_V2"), moves.along),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), moves.resize),
    **dict.fromkeys(("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"), lookups.random),
    **dict.fromkeys(("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"), lookups.boxes),
    **dict.fromkeys(_UNSORTED.split(), lookups.unsorted_segments),
    "ADD_N": layers.equal,
    # The one of its kind whose kernel does not broadcast: it reads behind the shorter operand.
    "ATAN2": layers.equal,
    "BATCH_MATMUL": layers.matmul,
    "BATCH_TO_SPACE_ND": moves.from_batch,
    "BROADCAST_ARGS": lookups.broadcast_args,
    "BROADCAST_TO": moves.broadcast_to,
    "CONCATENATION": moves.concat,
    "CONV_2D": layers.conv,
    "CONV_3D": layers.conv_3d,
    "CONV_3D_TRANSPOSE": layers.conv_3d_transpose,
    TRANSPOSE_CONV_BIAS: layers.transpose_conv_bias,
    "DEPTHWISE_CONV_2D": layers.depthwise,
    "DEPTH_TO_SPACE": moves.to_space,
    "DYNAMIC_UPDATE_SLICE": lookups.update_slice,
    "EMBEDDING_LOOKUP": lookups.embedding,
    "EXPAND_DIMS": moves.expand,
    "FILL": lookups.fill,
    "FULLY_CONNECTED": layers.dense,
    "GATHER": moves.gather,
    "GATHER_ND": moves.gather_nd,
    "LSTM": recurrent.full_or_basic_lstm,
    "MATRIX_DIAG": lookups.matrix_diag,
    "MATRIX_SET_DIAG": lookups.set_diag,
    "MIRROR_PAD": moves.mirror,
    "ONE_HOT": lookups.one_hot,
    "PACK": moves.pack,
    "PRELU": layers.prelu,
    "RANGE": lookups.range_,
    "RANK": lookups.rank,
    "RESHAPE": moves.reshape,
    "REVERSE_SEQUENCE": lookups.reverse_sequence,
    "SCATTER_ND": lookups.scatter,
    "SEGMENT_SUM": lookups.segments,
    "SELECT": lookups.select,
    "SHAPE": lookups.shape_of,
    "SLICE": moves.slice_,
    "SPACE_TO_BATCH_ND": moves.to_batch,
    "SPACE_TO_DEPTH": moves.to_depth,
    "SPLIT": moves.split,
    "SPLIT_V": moves.split_v,
    "SQUEEZE": moves.squeeze,
    "STRIDED_SLICE": moves.strided_slice,
    "SVDF": recurrent.svdf,
    "TILE": moves.tile,
    "TOPK_V2": moves.top,
    "TRANSPOSE": moves.transpose,
    "TRANSPOSE_CONV": layers.transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.sequence_lstm,
    "UNIQUE": lookups.unique,
    "UNPACK": moves.unpack,
}


def output_shapes(name: str, call: Call) -> list[Shape]:
    """Return the shapes that the outputs of operator ``name`` have at run time.

    Raises:
        LookupError: there is no rule, or an operand is only known at run time.
        ValueError: the operands do not go together.
    """
    return _RULES[name](call)
