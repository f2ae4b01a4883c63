"""The operators that a model file may use: number, arity, and the table of its options.

An operator that is not listed is refused by name before the runtime sees it: the runtime's
kernels trust the converter for the number of their inputs, and read outside their arrays when a
file is wrong. Left out are StableHLO and the recurrent, hashing and sparse kernels of old that no
exporter of today writes. Numbers: ``BuiltinOperator`` in the TensorFlow Lite schema; arities:
``Prepare`` of the kernels.
"""

from functools import cache
from typing import NamedTuple

# A line: number, name, inputs, outputs, options. Inputs are a range (`*`: any number) and a mark of
# those that may be absent (`?`: those beyond the lower number, `~`: all but the first). Options
# with `!` are needed, as the kernel has no sensible default without them.
_OPERATORS = """
0 ADD 2 1 Add
1 AVERAGE_POOL_2D 1 1 Pool2D!
2 CONCATENATION 1-* 1 Concatenation!
3 CONV_2D 2-3? 1 Conv2D!
4 DEPTHWISE_CONV_2D 3 1 DepthwiseConv2D!
5 DEPTH_TO_SPACE 1 1 DepthToSpace!
6 DEQUANTIZE 1 1
7 EMBEDDING_LOOKUP 2 1
8 FLOOR 1 1
9 FULLY_CONNECTED 2-3? 1 FullyConnected!
11 L2_NORMALIZATION 1 1 L2Norm
12 L2_POOL_2D 1 1 Pool2D!
13 LOCAL_RESPONSE_NORMALIZATION 1 1 LocalResponseNormalization!
14 LOGISTIC 1 1
16 LSTM 5-24~ 1-4 LSTM!
17 MAX_POOL_2D 1 1 Pool2D!
18 MUL 2 1 Mul
19 RELU 1 1
20 RELU_N1_TO_1 1 1
21 RELU6 1 1
22 RESHAPE 1-2 1 Reshape
23 RESIZE_BILINEAR 2 1 ResizeBilinear
25 SOFTMAX 1 1 Softmax!
26 SPACE_TO_DEPTH 1 1 SpaceToDepth!
27 SVDF 5~ 1 SVDF!
28 TANH 1 1
34 PAD 2 1
36 GATHER 2 1 Gather
37 BATCH_TO_SPACE_ND 3 1
38 SPACE_TO_BATCH_ND 3 1
39 TRANSPOSE 2 1
40 MEAN 2 1 Reducer
41 SUB 2 1 Sub
42 DIV 2 1 Div
43 SQUEEZE 1 1 Squeeze
44 UNIDIRECTIONAL_SEQUENCE_LSTM 20-24~ 1 UnidirectionalSequenceLSTM!
45 STRIDED_SLICE 4 1 StridedSlice
47 EXP 1 1
48 TOPK_V2 2 2
49 SPLIT 2 1-* Split!
50 LOG_SOFTMAX 1 1
53 CAST 1 1 Cast
54 PRELU 2 1
55 MAXIMUM 2 1
56 ARG_MAX 2 1 ArgMax!
57 MINIMUM 2 1
58 LESS 2 1
59 NEG 1 1
60 PADV2 3 1
61 GREATER 2 1
62 GREATER_EQUAL 2 1
63 LESS_EQUAL 2 1
64 SELECT 3 1
65 SLICE 3 1
66 SIN 1 1
67 TRANSPOSE_CONV 3-4? 1 TransposeConv!
69 TILE 2 1
70 EXPAND_DIMS 2 1
71 EQUAL 2 1
72 NOT_EQUAL 2 1
73 LOG 1 1
74 SUM 2 1 Reducer
75 SQRT 1 1
76 RSQRT 1 1
77 SHAPE 1 1 Shape!
78 POW 2 1
79 ARG_MIN 2 1 ArgMin!
80 FAKE_QUANT 1 1 FakeQuant!
81 REDUCE_PROD 2 1 Reducer
82 REDUCE_MAX 2 1 Reducer
83 PACK 1-* 1 Pack!
84 LOGICAL_OR 2 1
85 ONE_HOT 4 1 OneHot!
86 LOGICAL_AND 2 1
87 LOGICAL_NOT 1 1
88 UNPACK 1 1-* Unpack!
89 REDUCE_MIN 2 1 Reducer
90 FLOOR_DIV 2 1
91 REDUCE_ANY 2 1 Reducer
92 SQUARE 1 1
93 ZEROS_LIKE 1 1
94 FILL 2 1
95 FLOOR_MOD 2 1
96 RANGE 3 1
97 RESIZE_NEAREST_NEIGHBOR 2 1 ResizeNearestNeighbor
98 LEAKY_RELU 1 1 LeakyRelu!
99 SQUARED_DIFFERENCE 2 1
100 MIRROR_PAD 2 1 MirrorPad!
101 ABS 1 1
102 SPLIT_V 3 1-* SplitV!
103 UNIQUE 1 2 Unique!
104 CEIL 1 1
105 REVERSE_V2 2 1
106 ADD_N 1-* 1
107 GATHER_ND 2 1
108 COS 1 1
109 WHERE 1 1
110 RANK 1 1
111 ELU 1 1
112 REVERSE_SEQUENCE 2 1 ReverseSequence!
113 MATRIX_DIAG 1 1
114 QUANTIZE 1 1
115 MATRIX_SET_DIAG 2 1
116 ROUND 1 1
117 HARD_SWISH 1 1
118 IF 1-* * If!
119 WHILE * * While!
120 NON_MAX_SUPPRESSION_V4 5 2
121 NON_MAX_SUPPRESSION_V5 6 3
122 SCATTER_ND 3 1
123 SELECT_V2 3 1
124 DENSIFY 1 1
125 SEGMENT_SUM 2 1
126 BATCH_MATMUL 2 1 BatchMatMul
128 CUMSUM 2 1 Cumsum!
129 CALL_ONCE 0 0 CallOnce!
130 BROADCAST_TO 2 1
131 RFFT2D 2 1
132 CONV_3D 2-3? 1 Conv3D!
133 IMAG 1 1
134 REAL 1 1
135 COMPLEX_ABS 1 1
136 HASHTABLE 0 1 Hashtable!
137 HASHTABLE_FIND 3 1
138 HASHTABLE_IMPORT 3 0
139 HASHTABLE_SIZE 1 1
140 REDUCE_ALL 2 1 Reducer
141 CONV_3D_TRANSPOSE 3-4? 1 Conv3D!
142 VAR_HANDLE 0 1 VarHandle!
143 READ_VARIABLE 1 1
144 ASSIGN_VARIABLE 2 0
145 BROADCAST_ARGS 2 1
146 RANDOM_STANDARD_NORMAL 1 1 Random!
147 BUCKETIZE 1 1 Bucketize!
148 RANDOM_UNIFORM 1 1 Random!
149 MULTINOMIAL 2 1 Random!
150 GELU 1 1 Gelu
151 DYNAMIC_UPDATE_SLICE 3 1
152 RELU_0_TO_1 1 1
153 UNSORTED_SEGMENT_PROD 3 1
154 UNSORTED_SEGMENT_MAX 3 1
155 UNSORTED_SEGMENT_SUM 3 1
156 ATAN2 2 1
157 UNSORTED_SEGMENT_MIN 3 1
158 SIGN 1 1
159 BITCAST 1 1
160 BITWISE_XOR 2 1
161 RIGHT_SHIFT 2 1
"""

_REFUSED = """
10:HASHTABLE_LOOKUP 15:LSH_PROJECTION 24:RNN 29:CONCAT_EMBEDDINGS 30:SKIP_GRAM 31:CALL
33:EMBEDDING_LOOKUP_SPARSE 35:UNIDIRECTIONAL_SEQUENCE_RNN 46:BIDIRECTIONAL_SEQUENCE_RNN
51:DELEGATE 52:BIDIRECTIONAL_SEQUENCE_LSTM 68:SPARSE_TO_DENSE
127:PLACEHOLDER_FOR_GREATER_OP_CODES 162:STABLEHLO_LOGISTIC 163:STABLEHLO_ADD 164:STABLEHLO_DIVIDE
165:STABLEHLO_MULTIPLY 166:STABLEHLO_MAXIMUM 167:STABLEHLO_RESHAPE 168:STABLEHLO_CLAMP
169:STABLEHLO_CONCATENATE 170:STABLEHLO_BROADCAST_IN_DIM 171:STABLEHLO_CONVOLUTION
172:STABLEHLO_SLICE 173:STABLEHLO_CUSTOM_CALL 174:STABLEHLO_REDUCE 175:STABLEHLO_ABS
176:STABLEHLO_AND 177:STABLEHLO_COSINE 178:STABLEHLO_EXPONENTIAL 179:STABLEHLO_FLOOR
180:STABLEHLO_LOG 181:STABLEHLO_MINIMUM 182:STABLEHLO_NEGATE 183:STABLEHLO_OR 184:STABLEHLO_POWER
185:STABLEHLO_REMAINDER 186:STABLEHLO_RSQRT 187:STABLEHLO_SELECT 188:STABLEHLO_SUBTRACT
189:STABLEHLO_TANH 190:STABLEHLO_SCATTER 191:STABLEHLO_COMPARE 192:STABLEHLO_CONVERT
193:STABLEHLO_DYNAMIC_SLICE 194:STABLEHLO_DYNAMIC_UPDATE_SLICE 195:STABLEHLO_PAD
196:STABLEHLO_IOTA 197:STABLEHLO_DOT_GENERAL 198:STABLEHLO_REDUCE_WINDOW 199:STABLEHLO_SORT
200:STABLEHLO_WHILE 201:STABLEHLO_GATHER 202:STABLEHLO_TRANSPOSE 203:DILATE
204:STABLEHLO_RNG_BIT_GENERATOR 205:REDUCE_WINDOW 206:STABLEHLO_COMPOSITE 207:STABLEHLO_SHIFT_LEFT
208:STABLEHLO_CBRT 209:STABLEHLO_CASE
"""

_ANY = 1 << 16  # more than any file lists

CUSTOM = 32
"""Number of the custom operator, whose name is in the file.

The runtime refuses those that it does not have.
"""


class Signature(NamedTuple):
    """What one operator's kernel counts on.

    Args:
        name: of the operator.
        inputs, outputs: how many there may be.
        optional: inputs from this position on may be absent (-1).
        options: name of the table of its options; "": it has none.
        required: whether the kernel needs that table.
    """

    name: str
    inputs: range
    optional: int
    outputs: range
    options: str
    required: bool


@cache
def refused() -> dict[int, str]:
    """Names of the operators of the schema that are not accepted, by number."""
    names = {}
    for entry in _REFUSED.split():
        number, name = entry.split(":")
        names[int(number)] = name
    return names


@cache
def signatures() -> dict[int, Signature]:
    """Every operator that is accepted, by number."""
    custom = Signature("CUSTOM", range(_ANY), 0, range(_ANY), options="", required=False)
    by_number = {CUSTOM: custom}
    for line in _OPERATORS.strip().splitlines():
        number, signature = _parse(line)
        by_number[number] = signature
    return by_number


def _parse(line: str) -> tuple[int, Signature]:
    """Number and signature of an operator, from its line of the table."""
    number, name, inputs, outputs, *tail = line.split()
    counts = _range(inputs.rstrip("?~"))
    options = "".join(tail)
    table = ""
    if options:
        table = options.rstrip("!") + "Options"
    signature = Signature(
        name,
        counts,
        optional=_optional(inputs, counts),
        outputs=_range(outputs),
        options=table,
        required=options.endswith("!"),
    )
    return int(number), signature


def _range(text: str) -> range:
    low, _, high = text.partition("-")
    if low == "*":
        return range(_ANY)
    if high == "*":
        return range(int(low), _ANY)
    return range(int(low), int(high or low) + 1)


def _optional(inputs: str, counts: range) -> int:
    if inputs.endswith("~"):
        return 1
    if inputs.endswith("?"):
        return counts.start
    return _ANY
