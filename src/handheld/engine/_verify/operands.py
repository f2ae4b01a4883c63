"""Types and scales of an operator's operands, where its kernel takes them on trust.

``check_operands`` refuses what is certainly wrong. ``doubts`` tells what no kernel's rule here
covers: such a file may well be right, and is run in a process of its own.
"""

from collections.abc import Callable, Iterable, Sequence

from handheld.engine._verify.custom import TRANSPOSE_CONV_BIAS
from handheld.engine._verify.flatbuffer import Table, fail, unsupported
from handheld.engine._verify.tensors import OPAQUE, has_data, type_name

_ONE_TYPE = """
ABS ADD ADD_N AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_TO CEIL CONCATENATION COS CUMSUM DEPTH_TO_SPACE DIV ELU EXP
EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER GATHER_ND HARD_SWISH L2_NORMALIZATION L2_POOL_2D LEAKY_RELU
LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
MIRROR_PAD MUL NEG PACK PAD PADV2 POW PRELU REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6
RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SIN SLICE
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TILE
TRANSPOSE UNPACK UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM ZEROS_LIKE
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
_LOGICAL = ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT")
_PAIRS = """
ADD ATAN2 BATCH_MATMUL BITWISE_XOR DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS
LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MINIMUM MUL NOT_EQUAL POW RIGHT_SHIFT SQUARED_DIFFERENCE
SUB
"""
_LIKE_DATA = """
ATAN2 BATCH_MATMUL BITWISE_XOR CONV_2D DEPTHWISE_CONV_2D DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP
FAKE_QUANT FULLY_CONNECTED GELU LOGISTIC REDUCE_ALL REDUCE_ANY REVERSE_V2 RIGHT_SHIFT
MATRIX_DIAG MATRIX_SET_DIAG SCATTER_ND SELECT SELECT_V2 SIGN SOFTMAX TANH TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
"""
_ALIKE: dict[str, tuple[int, ...]] = {  # operands of one type
    **dict.fromkeys(_PAIRS.split(), (0, 1)),
    "DYNAMIC_UPDATE_SLICE": (0, 1),
    "MATRIX_SET_DIAG": (0, 1),
    "ONE_HOT": (2, 3),
    "PADV2": (0, 2),
    "PRELU": (0, 1),
    "RANGE": (0, 1),
    "SELECT": (1, 2),
    "SELECT_V2": (1, 2),
}
_ALL_ALIKE = ("ADD_N", "CONCATENATION", "PACK")
_WHOLE: dict[str, tuple[int, ...]] = {  # operands that are indices
    **dict.fromkeys(("GATHER", "GATHER_ND", "SEGMENT_SUM"), (1,)),
    **dict.fromkeys(("EMBEDDING_LOOKUP", "ONE_HOT", "SCATTER_ND"), (0,)),
    "DYNAMIC_UPDATE_SLICE": (2,),
    "UNSORTED_SEGMENT_MAX": (1,),
    "UNSORTED_SEGMENT_MIN": (1,),
    "UNSORTED_SEGMENT_PROD": (1,),
    "UNSORTED_SEGMENT_SUM": (1,),
}
# Lists that the kernel reads as int32, whatever they are: of int64 it would see other numbers than the rules.
_INT32_LISTS = {"BATCH_TO_SPACE_ND": (1, 2), "SPACE_TO_BATCH_ND": (1, 2)}
_FLOATS_ALONE = ("FAKE_QUANT", "UNIDIRECTIONAL_SEQUENCE_LSTM", TRANSPOSE_CONV_BIAS)
_INDEX_TYPES = ("int32", "int64")
_OUTPUT_LIKE_DATA = frozenset(_LIKE_DATA.split())
_DATA = {  # which input is the data, where it is not the first
    "EMBEDDING_LOOKUP": 1,
    "FILL": 1,
    "SCATTER_ND": 1,
    "SELECT": 1,
    "SELECT_V2": 1,
    "SPLIT": 1,
    "TRANSPOSE_CONV": 2,
}
_INT8, _UINT8, _INT16, _INT32, _FLOAT32 = 9, 3, 7, 2, 0
_OPTION_TYPES = {"ARG_MAX": "output_type", "ARG_MIN": "output_type", "SHAPE": "out_type"}
_PLAIN = frozenset(("float32", "int32", "uint8", "int64", "bool", "int16", "int8"))
_WEIGHTS = frozenset(("float16", "int4", "float32", "int8", "uint8"))
_WEIGHTED = """
BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE EMBEDDING_LOOKUP FULLY_CONNECTED TRANSPOSE_CONV
"""
# Kernels that know bool, or copy elements by their size; MATRIX_DIAG takes it for float32, and
# writes four bytes for each.
_BOOLS = """
BROADCAST_TO CAST CONCATENATION EQUAL EXPAND_DIMS GATHER GATHER_ND LOGICAL_AND LOGICAL_NOT LOGICAL_OR
NOT_EQUAL PACK REDUCE_ALL REDUCE_ANY RESHAPE REVERSE_V2 SELECT SELECT_V2 SHAPE SLICE SPLIT SPLIT_V
SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK WHERE
"""
_TAKES_BOOLS = frozenset(_BOOLS.split())
# Kernels that compute with plain integers; FAKE_QUANT takes bytes for float32.
_INTEGERS = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE BATCH_TO_SPACE_ND BITWISE_XOR BROADCAST_ARGS
BROADCAST_TO BUCKETIZE CAST CONCATENATION CUMSUM DEPTH_TO_SPACE DIV DYNAMIC_UPDATE_SLICE
EMBEDDING_LOOKUP EQUAL EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD GATHER GATHER_ND GREATER GREATER_EQUAL LESS
LESS_EQUAL MATRIX_DIAG MATRIX_SET_DIAG MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT
PACK PAD PADV2 POW RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANGE RANK READ_VARIABLE REDUCE_MAX
REDUCE_MIN REDUCE_PROD RELU RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RIGHT_SHIFT
SCATTER_ND SELECT SELECT_V2 SHAPE SIGN SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V
SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TILE TOPK_V2 TRANSPOSE UNPACK UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM ZEROS_LIKE
"""
_TAKES_INTEGERS = frozenset(_INTEGERS.split())
_WIDE = ("int32", "int64")
_NARROW = ("int8", "int16", "uint8")
_SCALED_MOVES = ("AVERAGE_POOL_2D", "DENSIFY", "HARD_SWISH", "L2_POOL_2D", "MAX_POOL_2D")
_TAKES_WEIGHTS = frozenset(_WEIGHTED.split())
_TAKES_HALVES = ("DENSIFY", "DEQUANTIZE")
# Where the scales of a filter's channels lie; elsewhere kernels read them by another axis.
_SCALE_AXES = {
    "CONV_2D": (1, 0),
    "DEPTHWISE_CONV_2D": (1, 3),
    "FULLY_CONNECTED": (1, 0),
    "TRANSPOSE_CONV": (1, 0),
}
_MOST_SIDES = 6  # the rank that broadcasting kernels and the delegate can take
_HANDLES = """
ASSIGN_VARIABLE HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE IF READ_VARIABLE VAR_HANDLE
WHILE
"""
_TAKES_HANDLES = frozenset(_HANDLES.split())


def check_operands(where: str, name: str, inputs: Sequence[Table | None], outputs: Sequence[Table]) -> None:
    """Refuse operator ``name`` if types or scales of its operands are wrong."""
    tensors = [tensor for tensor in (*inputs, *outputs) if tensor]
    data = _data(name, inputs)
    if name in _OUTPUTS_LIKE_INPUT and data and any(out["type"] != data["type"] for out in outputs):
        types = [out["type"] for out in outputs]
        fail(where, f"element types {types} of outputs, {data['type']} of the input")
    if name in (*_COMPARISONS, *_LOGICAL) and type_name(outputs[0]) != "bool":
        fail(where, f"an output of {type_name(outputs[0])}, expected bool")
    if name not in _TAKES_HANDLES and any(type_name(t) in OPAQUE[1:] for t in tensors):
        fail(where, "reads or writes a handle, which is for variables and tables alone")
    if name in _NEEDS_SCALE:
        _check_scales(where, name, [t for t in tensors if t["type"] in (_INT8, _UINT8, _INT16)])
    if name in _SCALE_AXES:
        _check_channels(where, name, inputs)
    for tensor in inputs:
        if tensor and tensor["sparsity"] and name != "DENSIFY":
            unsupported(where, "a sparse constant is supported where DENSIFY unpacks it, only there")


def _data(name: str, inputs: Sequence[Table | None]) -> Table | None:
    position = _DATA.get(name, 0)
    return inputs[position] if position < len(inputs) else None


def _check_channels(where: str, name: str, inputs: Sequence[Table | None]) -> None:
    """Scales by channel lie along the outputs' channels, and nowhere else."""
    position, axis = _SCALE_AXES[name]
    for i, tensor in enumerate(inputs):
        quantization = (tensor or {}).get("quantization") or {}
        if len(quantization.get("scale", ())) < 2:
            continue
        if i < position or (i == position and quantization["quantized_dimension"] != axis):
            fail(where, f"operand {i} has scales along axis {quantization['quantized_dimension']}")


def doubts(
    name: str,
    options: Table,
    inputs: Sequence[Table | None],
    outputs: Sequence[Table],
    buffers: Sequence[Table],
) -> str:
    """Why the kernel of operator ``name`` may do what no rule here foresees; "" for no reason."""
    operands = [tensor for tensor in inputs if tensor]
    tensors = [*operands, *outputs]
    return (
        _type_doubt(name, operands, outputs, buffers)
        or _bool_doubt(name, operands)
        or _integer_doubt(name, _data(name, inputs))
        or _result_doubt(name, options, operands, outputs)
        or _operand_doubt(name, inputs, outputs)
        # RESHAPE to a scalar has an empty list as its second operand.
        or _shape_doubt([*operands[:1], *outputs] if name == "RESHAPE" else tensors)
    )


def _type_doubt(name: str, operands: Sequence[Table], outputs: Sequence[Table], buffers: Sequence[Table]) -> str:
    for tensor in operands:
        weights = name in _TAKES_WEIGHTS and type_name(tensor) in _WEIGHTS
        if type_name(tensor) in _PLAIN or (weights and has_data(tensor, buffers)):
            continue
        if name not in _TAKES_HALVES or type_name(tensor) != "float16":
            return f"an operand of type {type_name(tensor)}"
    for tensor in outputs:
        halves = name == "DENSIFY" and type_name(tensor) == "float16"
        if type_name(tensor) not in _PLAIN and not halves:
            return f"an output of type {type_name(tensor)}"
    return ""


def _integer_doubt(name: str, data: Table | None) -> str:
    if data is None or name in _TAKES_INTEGERS:
        return ""
    dtype = type_name(data)
    narrow = dtype in _NARROW and name not in _NEEDS_SCALE and name not in _SCALED_MOVES
    if dtype in _WIDE or narrow:
        return f"an operand of type {dtype}"
    return ""


def _result_doubt(name: str, options: Table, operands: Sequence[Table], outputs: Sequence[Table]) -> str:
    """Kernels that choose their output's type themselves, whatever the file declares."""
    expected = [output["type"] for output in outputs]
    if name in _OPTION_TYPES:
        expected = [options.get(_OPTION_TYPES[name])]
    elif name in ("BUCKETIZE", "RANK"):
        expected = [_INT32]
    elif name == "TOPK_V2":
        expected = [operands[0]["type"], _INT32]
    elif name == "ONE_HOT":
        expected = [operands[2]["type"]]
    elif name == "RANGE":
        expected = [operands[0]["type"]]
    types = [output["type"] for output in outputs]
    return "" if types == expected else f"outputs of types {types}, which will be {expected}"


def _bool_doubt(name: str, operands: Sequence[Table]) -> str:
    if name not in _TAKES_BOOLS and any(type_name(tensor) == "bool" for tensor in operands):
        return "an operand of type bool"
    return ""


def _operand_doubt(name: str, inputs: Sequence[Table | None], outputs: Sequence[Table]) -> str:
    data = _data(name, inputs)
    operands = [tensor for tensor in inputs if tensor]
    if name == "FLOOR_MOD" and outputs[0]["type"] != _FLOAT32:
        return "a remainder of integers, which stops the process for some values"
    alike = range(len(inputs)) if name in _ALL_ALIKE else _ALIKE.get(name, ())
    types = {tensor["type"] for tensor in _picked(inputs, alike)}
    if len(types) > 1:
        return "operands of two types"
    if any(type_name(tensor) not in _INDEX_TYPES for tensor in _picked(inputs, _WHOLE.get(name, ()))):
        return "indices that are neither int32 nor int64"
    if any(tensor["type"] != _INT32 for tensor in _picked(inputs, _INT32_LISTS.get(name, ()))):
        return "a list that is not int32"
    if name in _SCALE_AXES and any(type_name(tensor) in _WIDE for tensor in _picked(inputs, (1,))):
        return "a filter of integers without a scale"
    if name in ("SELECT", "SELECT_V2") and operands and type_name(operands[0]) != "bool":
        return "a condition that is no bool"
    return _float_doubt(name, operands, outputs) or _mark_doubt(name, operands, data, outputs)


def _float_doubt(name: str, operands: Sequence[Table], outputs: Sequence[Table]) -> str:
    """Kernels whose rules are those of float32 alone."""
    if name == "DEQUANTIZE" and outputs[0]["type"] != _FLOAT32:
        return "values of another type than float32"
    if name in _FLOATS_ALONE and any(tensor["type"] != _FLOAT32 for tensor in operands):
        return "an operand of another type than float32"
    return ""


def _mark_doubt(name: str, operands: Sequence[Table], data: Table | None, outputs: Sequence[Table]) -> str:
    if name in _OUTPUT_LIKE_DATA and data and outputs[0]["type"] != data["type"]:
        return "an output of another type than the data"
    if any(map(_is_by_channel, operands)) and name not in (*_SCALE_AXES, "DEQUANTIZE"):
        return "an operand with scales by channel"
    if any(map(_is_by_channel, outputs)):  # a kernel that knows one scale finds 0 there, and stops the process
        return "an output with scales by channel"
    if name != "UNIDIRECTIONAL_SEQUENCE_LSTM" and any(t["is_variable"] for t in operands):
        return "a variable tensor as operand"
    return ""


def _is_by_channel(tensor: Table) -> bool:
    return len((tensor["quantization"] or {}).get("scale", ())) > 1


def _picked(inputs: Sequence[Table | None], positions: Iterable[int]) -> list[Table]:
    """The operands at some positions that are there."""
    picked = [inputs[position] for position in positions if position < len(inputs)]
    return [tensor for tensor in picked if tensor]


def _shape_doubt(tensors: Sequence[Table]) -> str:
    for tensor in tensors:
        if len(tensor["shape"]) > _MOST_SIDES:
            return f"a tensor of {len(tensor['shape'])} sides"
        if 0 in tensor["shape"]:
            return "a tensor without elements"
    return ""


def _check_scales(where: str, name: str, tensors: Iterable[Table]) -> None:
    """Kernels stop the process over a scale that is absent, or so far from the others that it cannot be meant."""
    scales = []
    for tensor in tensors:
        listed = (tensor["quantization"] or {}).get("scale") or ()
        if not listed:
            fail(where, f"tensor {tensor['name']!r} of integers has no scale")
        scales.append(max(listed))
    if name in _COMPARISONS and 1.0 in scales:
        problem = "a scale of exactly 1, at which the runtime's comparisons stop the process"
        unsupported(where, f"{problem}; use any other")
    if name not in _LEAST_OUTPUT or len(scales) < 2:
        return
    if _LEAST_OUTPUT[name](2 * max(scales[:-1])) >= scales[-1]:
        problem = f"far too large for the output's {scales[-1]}"
        fail(where, f"scales of inputs {scales[:-1]} are {problem}")
