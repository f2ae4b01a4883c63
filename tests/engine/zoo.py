"""One small valid model for each of the operators that exported networks use most; food for the
checks' tests.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FIXTURES = Path(__file__).parents[1] / "fixtures"


def fixtures_module() -> Any:
    """``tests/fixtures/make_models.py``, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("make_models", FIXTURES / "make_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


X4 = (1, 6, 6, 4)  # a small picture
WINDOW = {"strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2, "padding": 1}
CONV = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, "padding": 0}
_ints, _ones = (lambda *v: np.array(v, np.int32)), (lambda *s: np.ones(s, np.float32))

# operator, operands (a shape: an activation, an array: a constant), shapes of outputs, options,
# their values
FLOATS: list[tuple[str, list[Any], list[tuple[int, ...]], str, dict[str, Any]]] = [
    *((op, [X4, X4], [X4], opt, {}) for op, opt in (("ADD", "AddOptions"), ("SUB", "SubOptions"))),
    *(
        (op, [X4, _ones(4)], [X4], opt, {})
        for op, opt in (("MUL", "MulOptions"), ("DIV", "DivOptions"))
    ),
    *(
        (op, [X4, X4], [X4], "", {})
        for op in ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW", "FLOOR_DIV")
    ),
    *(
        (op, [X4], [X4], "", {})
        for op in ("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "EXP", "ELU", "ABS")
    ),
    *(
        (op, [X4, X4], [X4], "", {})
        for op in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
    ),
    *(
        (op, [X4], [X4], "", {})
        for op in ("SQRT", "RSQRT", "NEG", "SQUARE", "LOG", "FLOOR", "CEIL", "SIN", "COS")
    ),
    *(
        (op, [X4], [(1, 3, 3, 4)], "Pool2DOptions", WINDOW)
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    ),
    ("CONV_2D", [X4, _ones(5, 3, 3, 4), _ones(5)], [(1, 6, 6, 5)], "Conv2DOptions", CONV),
    (
        "DEPTHWISE_CONV_2D",
        [X4, _ones(1, 3, 3, 4), _ones(4)],
        [X4],
        "DepthwiseConv2DOptions",
        {**CONV, "depthMultiplier": 1},
    ),
    (
        "TRANSPOSE_CONV",
        [_ints(1, 12, 12, 5), _ones(5, 2, 2, 4), X4],
        [(1, 12, 12, 5)],
        "TransposeConvOptions",
        {"strideW": 2, "strideH": 2, "padding": 0},
    ),
    ("FULLY_CONNECTED", [(2, 8), _ones(3, 8), _ones(3)], [(2, 3)], "FullyConnectedOptions", {}),
    ("FULLY_CONNECTED", [(2, 8), _ones(3, 8), None], [(2, 3)], "FullyConnectedOptions", {}),
    ("BATCH_MATMUL", [(2, 3, 4), (2, 4, 5)], [(2, 3, 5)], "BatchMatMulOptions", {}),
    ("PRELU", [X4, _ones(1, 1, 4)], [X4], "", {}),
    ("LEAKY_RELU", [X4], [X4], "LeakyReluOptions", {"alpha": 0.1}),
    ("GELU", [X4], [X4], "GeluOptions", {"approximate": True}),
    ("SOFTMAX", [(2, 8)], [(2, 8)], "SoftmaxOptions", {"beta": 1.0}),
    ("LOG_SOFTMAX", [(2, 8)], [(2, 8)], "LogSoftmaxOptions", {}),
    ("L2_NORMALIZATION", [(2, 8)], [(2, 8)], "L2NormOptions", {}),
    ("RESHAPE", [X4, _ints(1, 36, 4)], [(1, 36, 4)], "ReshapeOptions", {"newShape": [1, 36, 4]}),
    ("RESHAPE", [X4], [(36, 4)], "ReshapeOptions", {"newShape": [36, 4]}),
    ("SQUEEZE", [X4], [X4[1:]], "SqueezeOptions", {"squeezeDims": [0]}),
    ("EXPAND_DIMS", [X4, _ints(0)], [(1, *X4)], "ExpandDimsOptions", {}),
    ("TRANSPOSE", [X4, _ints(0, 3, 1, 2)], [(1, 4, 6, 6)], "TransposeOptions", {}),
    ("CONCATENATION", [X4, X4, X4], [(1, 6, 6, 12)], "ConcatenationOptions", {"axis": 3}),
    ("PACK", [(3, 4), (3, 4)], [(3, 2, 4)], "PackOptions", {"axis": 1, "valuesCount": 2}),
    ("UNPACK", [(3, 2)], [(3,), (3,)], "UnpackOptions", {"axis": 1, "num": 2}),
    ("SPLIT", [_ints(3), X4], [(1, 6, 6, 2)] * 2, "SplitOptions", {"numSplits": 2}),
    (
        "SPLIT_V",
        [X4, _ints(1, 3), _ints(3)],
        [(1, 6, 6, 1), (1, 6, 6, 3)],
        "SplitVOptions",
        {"numSplits": 2},
    ),
    (
        "PAD",
        [X4, np.array([[0, 0], [1, 1], [2, 0], [0, 4]], np.int32)],
        [(1, 8, 8, 8)],
        "PadOptions",
        {},
    ),
    (
        "MIRROR_PAD",
        [X4, np.array([[0, 0], [1, 1], [2, 0], [0, 0]], np.int32)],
        [(1, 8, 8, 4)],
        "MirrorPadOptions",
        {},
    ),
    ("SLICE", [X4, _ints(0, 1, 1, 0), _ints(1, 2, -1, 4)], [(1, 2, 5, 4)], "SliceOptions", {}),
    (
        "STRIDED_SLICE",
        [X4, _ints(0, 1, 0, 0), _ints(1, 6, 6, 4), _ints(1, 2, 1, 1)],
        [(1, 3, 6, 4)],
        "StridedSliceOptions",
        {},
    ),
    ("GATHER", [(5, 4), _ints(0, 2)], [(2, 4)], "GatherOptions", {"axis": 0}),
    ("GATHER_ND", [(5, 4), np.array([[0, 1]], np.int32)], [(1,)], "GatherNdOptions", {}),
    ("TILE", [(2, 3), _ints(2, 1)], [(4, 3)], "TileOptions", {}),
    ("BROADCAST_TO", [(1, 3), _ints(4, 3)], [(4, 3)], "BroadcastToOptions", {}),
    *(
        (op, [X4, _ints(1, 2)], [(1, 1, 1, 4)], "ReducerOptions", {"keepDims": True})
        for op in ("MEAN", "SUM")
    ),
    *(
        (op, [X4, _ints(-1)], [(1, 6, 6)], "ReducerOptions", {})
        for op in ("REDUCE_MAX", "REDUCE_MIN")
    ),
    ("ARG_MAX", [X4, _ints(3)], [(1, 6, 6)], "ArgMaxOptions", {"outputType": 2}),
    ("TOPK_V2", [(2, 8), np.int32(3)], [(2, 3), (2, 3)], "TopKV2Options", {}),
    ("CUMSUM", [(2, 8), _ints(1)], [(2, 8)], "CumsumOptions", {}),
    (
        "RESIZE_BILINEAR",
        [X4, _ints(12, 9)],
        [(1, 12, 9, 4)],
        "ResizeBilinearOptions",
        {"halfPixelCenters": True},
    ),
    (
        "RESIZE_NEAREST_NEIGHBOR",
        [X4, _ints(12, 9)],
        [(1, 12, 9, 4)],
        "ResizeNearestNeighborOptions",
        {},
    ),
    ("SPACE_TO_DEPTH", [X4], [(1, 3, 3, 16)], "SpaceToDepthOptions", {"blockSize": 2}),
    ("DEPTH_TO_SPACE", [X4], [(1, 12, 12, 1)], "DepthToSpaceOptions", {"blockSize": 2}),
    (
        "SPACE_TO_BATCH_ND",
        [X4, _ints(2, 2), np.zeros((2, 2), np.int32)],
        [(4, 3, 3, 4)],
        "SpaceToBatchNDOptions",
        {},
    ),
    (
        "BATCH_TO_SPACE_ND",
        [(4, 3, 3, 4), _ints(2, 2), np.zeros((2, 2), np.int32)],
        [X4],
        "BatchToSpaceNDOptions",
        {},
    ),
    ("REVERSE_V2", [X4, _ints(1)], [X4], "ReverseV2Options", {}),
    ("SELECT_V2", [np.ones((6, 4), bool), X4, X4], [X4], "SelectV2Options", {}),
    ("ADD_N", [X4, X4, X4], [X4], "AddNOptions", {}),
    *((op, [X4], [X4], "", {}) for op in ("RELU_N1_TO_1", "RELU_0_TO_1", "ZEROS_LIKE")),
    ("ATAN2", [X4, X4], [X4], "", {}),
    ("L2_POOL_2D", [X4], [(1, 3, 3, 4)], "Pool2DOptions", WINDOW),
    (
        "LOCAL_RESPONSE_NORMALIZATION",
        [X4],
        [X4],
        "LocalResponseNormalizationOptions",
        {"radius": 2, "bias": 1.0, "alpha": 0.5, "beta": 0.5},
    ),
    ("ARG_MIN", [X4, _ints(3)], [(1, 6, 6)], "ArgMinOptions", {"outputType": 2}),
    (
        "PADV2",
        [X4, np.array([[0, 0], [1, 1], [2, 0], [0, 4]], np.int32), np.float32(7)],
        [(1, 8, 8, 8)],
        "PadV2Options",
        {},
    ),
    (
        "REVERSE_SEQUENCE",
        [(2, 5, 3), _ints(2, 4)],
        [(2, 5, 3)],
        "ReverseSequenceOptions",
        {"seqDim": 1, "batchDim": 0},
    ),
    ("MATRIX_DIAG", [(2, 3)], [(2, 3, 3)], "MatrixDiagOptions", {}),
]

_INT8_NAMES = """
ADD SUB MUL MAXIMUM MINIMUM LOGISTIC TANH RELU HARD_SWISH AVERAGE_POOL_2D MAX_POOL_2D CONV_2D
DEPTHWISE_CONV_2D FULLY_CONNECTED PRELU LEAKY_RELU SOFTMAX RESHAPE CONCATENATION PAD MEAN SUM
TRANSPOSE RESIZE_BILINEAR TRANSPOSE_CONV ABS RSQRT SQUARED_DIFFERENCE LOG_SOFTMAX L2_NORMALIZATION
BATCH_MATMUL SPLIT EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL SLICE
RESIZE_NEAREST_NEIGHBOR ARG_MAX PACK TILE REDUCE_MAX SPACE_TO_DEPTH DEPTH_TO_SPACE SQUEEZE GATHER
SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND EXPAND_DIMS MIRROR_PAD STRIDED_SLICE GELU EXP
"""


def _activations(operands: list[Any]) -> list[Any]:
    """Two activations in place of an activation and a constant."""
    return [operand.shape if isinstance(operand, np.ndarray) else operand for operand in operands]


INTS: list[tuple[str, list[Any], list[tuple[int, ...]], str, dict[str, Any]]] = [
    (op, _activations(operands) if op == "MUL" else operands, *rest)
    for op, operands, *rest in FLOATS
    if op in _INT8_NAMES.split()
]
_FIXED_OUTPUT = {  # scales that the kernel demands: scale, zero point
    "LOGISTIC": (1 / 256, -128),
    "TANH": (1 / 128, 0),
    "SOFTMAX": (1 / 256, -128),
    "LOG_SOFTMAX": (16 / 256, 127),
    "L2_NORMALIZATION": (1 / 128, 0),
}
_COMPARISONS = {"EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"}
_VERSION = {"GATHER": 2, "SPLIT_V": 2, "BROADCAST_TO": 2, "TRANSPOSE_CONV": 2, "SELECT_V2": 1}
_INT_VERSION = {
    "HARD_SWISH": 1,
    "PRELU": 1,
    "RESHAPE": 1,
    "EXPAND_DIMS": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "BATCH_MATMUL": 2,
    "RSQRT": 2,
}


# Operators of types of their own: operands and outputs are (shape, dtype), or an array that is a
# constant.
_TWO, _SIX = ((2, 3), "bool"), ((6,), "float32")
_BYTES = {"scale": [0.5], "zero_point": [3]}
_BOXES, _SCORES = ((5, 4), "float32"), ((5,), "float32")
_LIMITS = [np.int32(3), np.float32(0.5), np.float32(0.1)]  # boxes at most, overlap, score
_CHOSEN = [((3,), "int32"), ((), "int32")]
_FILTERS = [
    _ones(6, 8),
    _ones(6, 4),
    _ones(3),
    ((1, 24), "float32"),
]  # by feature, by time, bias, state
TYPED: list[tuple[str, list[Any], list[tuple[Any, ...]], str, dict[str, Any]]] = [
    *((op, [_TWO, _TWO], [_TWO], "", {}) for op in ("LOGICAL_AND", "LOGICAL_OR")),
    ("LOGICAL_NOT", [_TWO], [_TWO], "", {}),
    *(
        (op, [_TWO, _ints(1)], [((2,), "bool")], "ReducerOptions", {})
        for op in ("REDUCE_ANY", "REDUCE_ALL")
    ),
    ("DEQUANTIZE", [((2, 3), "int8", _BYTES)], [((2, 3), "float32")], "", {}),
    ("FAKE_QUANT", [_SIX], [_SIX], "FakeQuantOptions", {"min": -1.0, "max": 1.0, "numBits": 8}),
    ("SVDF", [((1, 8), "float32"), *_FILTERS], [((1, 3), "float32")], "SVDFOptions", {"rank": 2}),
    ("NON_MAX_SUPPRESSION_V4", [_BOXES, _SCORES, *_LIMITS], _CHOSEN, "", {}),
    (
        "NON_MAX_SUPPRESSION_V5",
        [_BOXES, _SCORES, *_LIMITS, np.float32(0.5)],
        [_CHOSEN[0], ((3,), "float32"), _CHOSEN[1]],
        "",
        {},
    ),
    ("RFFT2D", [((4, 8), "float32"), _ints(4, 8)], [((4, 5), "complex64")], "", {}),
    *(
        (op, [((4, 5), "complex64")], [((4, 5), "float32")], "", {})
        for op in ("COMPLEX_ABS", "REAL", "IMAG")
    ),
    ("BUCKETIZE", [_SIX], [((6,), "int32")], "BucketizeOptions", {"boundaries": [0.0, 2.0, 4.0]}),
    *(
        (
            f"UNSORTED_SEGMENT_{op}",
            [((4, 2), "float32"), _ints(0, 2, 0, 1), np.int32(3)],
            [((3, 2), "float32")],
            "",
            {},
        )
        for op in ("MAX", "MIN", "PROD", "SUM")
    ),
    ("BITCAST", [((2, 3), "float32")], [((2, 3), "int32")], "", {}),
    *(
        (op, [((4,), "int32"), ((4,), "int32")], [((4,), "int32")], "", {})
        for op in ("BITWISE_XOR", "RIGHT_SHIFT")
    ),
]


def make_typed(entry: tuple[str, list[Any], list[tuple[Any, ...]], str, dict[str, Any]]) -> bytes:
    """The model with the one operator of ``entry``, of the types that it says."""
    op, operands, results, options, values = entry
    g = fixtures_module().Graph(op.lower())
    inputs, indices = [], []
    for i, operand in enumerate(operands):
        if isinstance(operand, tuple):
            shape, dtype, *scales = operand
            inputs.append(g.tensor(f"in{i}", shape, dtype, **(scales[0] if scales else {})))
            indices.append(inputs[-1])
        else:
            indices.append(g.constant(f"constant{i}", operand, np.asarray(operand).dtype.name))
    outputs = [g.tensor(f"out{i}", *result) for i, result in enumerate(results)]
    g.op(op, indices, outputs[0], options, **values)
    g.sub.operators[0].outputs = outputs
    if op == "SVDF":  # its state
        g.sub.tensors[inputs.pop()].isVariable = True
    return bytes(g.finish(inputs, outputs))


def make(
    entry: tuple[str, list[Any], list[tuple[int, ...]], str, dict[str, Any]], *, quantised: bool
) -> bytes:
    """The model with the one operator of ``entry``, in float32 or with int8 activations and
    weights.
    """
    op, operands, shapes, options, values = entry
    g = fixtures_module().Graph(op.lower())
    kind: dict[str, Any] = (
        {"dtype": "int8", "scale": [0.05], "zero_point": [0]} if quantised else {}
    )
    inputs, indices = [], []
    for i, operand in enumerate(operands):
        if operand is None:
            indices.append(-1)
        elif isinstance(operand, tuple):
            inputs.append(g.tensor(f"in{i}", operand, **kind))
            indices.append(inputs[-1])
        else:
            indices.append(_constant(g, f"constant{i}", np.asarray(operand), i == 2, kind))
    if op in _FIXED_OUTPUT and quantised:
        kind |= {"scale": [_FIXED_OUTPUT[op][0]], "zero_point": [_FIXED_OUTPUT[op][1]]}
    outputs = [_output(g, op, i, shape, kind) for i, shape in enumerate(shapes)]
    g.op(op, indices, outputs[0], options, **values)
    g.sub.operators[0].outputs = outputs
    g.model.operatorCodes[0].version = (_INT_VERSION if quantised else _VERSION).get(
        op, 2 if quantised else 1
    )
    return bytes(g.finish(inputs, outputs))


def _constant(g: Any, name: str, value: np.ndarray, is_bias: bool, kind: dict[str, Any]) -> int:
    if value.dtype == np.float32 and kind:
        bias = {"dtype": "int32", "scale": [0.0025], "zero_point": [0]}
        return int(g.constant(name, value, **(bias if is_bias and value.ndim == 1 else kind)))
    return int(g.constant(name, value, value.dtype.name))


def _output(g: Any, op: str, position: int, shape: tuple[int, ...], kind: dict[str, Any]) -> int:
    integer = op in ("ARG_MAX", "ARG_MIN") or (op == "TOPK_V2" and position == 1)
    if op in _COMPARISONS:
        return int(g.tensor(f"out{position}", shape, "bool"))
    return int(g.tensor(f"out{position}", shape, **({"dtype": "int32"} if integer else kind)))


def weights_behind(content: bytes, least: int = 8) -> bytes:
    """The same model with its constants of ``least`` bytes or more behind it, where
    ai-edge-quantizer puts those above 1 kB.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    behind, end = b"", len(content) // 16 * 16 + 1024
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) >= least:
            buffer.offset, buffer.size = end + len(behind), len(buffer.data)
            behind += bytes(buffer.data) + bytes(-len(buffer.data) % 16)
            buffer.data = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()).ljust(end, b"\0") + behind


def models() -> dict[str, Callable[[], bytes]]:
    """Every model of the zoo, by a name that is unique, made when called."""
    found: dict[str, Callable[[], bytes]] = {}
    for quantised, entries in ((False, FLOATS), (True, INTS)):
        for entry in entries:
            name = f"{entry[0].lower()}{'_int8' if quantised else ''}"
            while name in found:
                name += "_again"
            found[name] = lambda entry=entry, quantised=quantised: make(entry, quantised=quantised)
    for entry in TYPED:
        found[entry[0].lower()] = lambda entry=entry: make_typed(entry)
    return found
