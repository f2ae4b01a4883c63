"""Small models with what one operator alone does not show: several graphs, variables, branches,
loops, custom operators, shapes that are computed, recurrent layers, tables."""

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

FLOAT, INT, BOOL, RESOURCE, INT64, STRING = 0, 2, 6, 13, 4, 5
_NUMPY = {FLOAT: np.float32, INT: np.int32, BOOL: np.bool_, INT64: np.int64}


def operator(model: Any, name: str, *, version: int = 1, custom: str = "") -> Any:
    """A new operator with the options that its kernel wants, all of them at their defaults."""
    from handheld.engine._verify.operators import signatures

    number = getattr(schema.BuiltinOperator, name)
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.version, code.customCode = version, custom or None
    model.operatorCodes.append(code)
    node = schema.OperatorT()
    node.opcodeIndex = len(model.operatorCodes) - 1
    node.builtinOptionsType = 0
    options = signatures()[number].options if number in signatures() else ""
    if options:
        node.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        node.builtinOptions = getattr(schema, options + "T")()
    return node


class Builder:
    """A model under construction, graph by graph; methods return a tensor's index."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.model.subgraphs, self.model.signatureDefs = [], []
        self.graph()

    def graph(self) -> int:
        """Begin a further graph; returns its number."""
        self.sub = schema.SubGraphT()
        self.sub.tensors, self.sub.operators = [], []
        self.sub.inputs, self.sub.outputs = [], []
        self.model.subgraphs.append(self.sub)
        return len(self.model.subgraphs) - 1

    def turn(self, number: int) -> None:
        """Go on with a graph that was begun."""
        self.sub = self.model.subgraphs[number]

    def tensor(self, shape: Sequence[int], dtype: int = FLOAT, **more: Any) -> int:
        """A tensor without values."""
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.sub.tensors)}"
        tensor.shape, tensor.type, tensor.buffer = list(shape), dtype, more.pop("buffer", 0)
        for name, value in more.items():
            setattr(tensor, name, value)
        self.sub.tensors.append(tensor)
        return len(self.sub.tensors) - 1

    def input(self, shape: Sequence[int], dtype: int = FLOAT, **more: Any) -> int:
        """A tensor that is an input of its graph."""
        index = self.tensor(shape, dtype, **more)
        self.sub.inputs.append(index)
        return index

    def constant(self, values: Any, dtype: int = INT, **more: Any) -> int:
        """A tensor whose values are in the file."""
        array = np.asarray(values, _NUMPY[dtype])
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self.tensor(array.shape, dtype, buffer=len(self.model.buffers) - 1, **more)

    def strings(self, *words: str) -> int:
        """A constant of texts: how many, where each begins and the last ends, then their
        characters.
        """
        texts = [word.encode() for word in words]
        ends = 4 * (len(texts) + 2) + np.cumsum([0, *map(len, texts)])
        buffer = schema.BufferT()
        head = np.array([len(texts), *ends], np.int32).tobytes()
        buffer.data = np.frombuffer(head + b"".join(texts), np.uint8)
        self.model.buffers.append(buffer)
        return self.tensor((len(texts),), STRING, buffer=len(self.model.buffers) - 1)

    def op(
        self,
        name: str,
        inputs: Sequence[int],
        shape: Sequence[int] | None = (),
        dtype: int = FLOAT,
        **more: Any,
    ) -> int:
        """An operator with one output; ``shape`` None: with none."""
        version = more.pop("version", 1)
        node = operator(self.model, name, version=version, custom=more.pop("custom", ""))
        node.customOptions = more.pop("custom_options", None)
        node.inputs = list(inputs)
        out = -1 if shape is None else self.tensor(shape, dtype)
        node.outputs = [] if shape is None else [out]
        for key, value in more.items():
            setattr(node.builtinOptions, key, value)
        self.sub.operators.append(node)
        return out

    def output(self, *indices: int) -> None:
        """Make tensors outputs of their graph."""
        self.sub.outputs.extend(indices)

    def signature(
        self, key: str, number: int, inputs: dict[str, int], outputs: dict[str, int]
    ) -> None:
        """Offer a graph by name."""
        entry = schema.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = key, number
        entry.inputs = [_named(name, index) for name, index in inputs.items()]
        entry.outputs = [_named(name, index) for name, index in outputs.items()]
        self.model.signatureDefs.append(entry)

    def finish(self) -> bytes:
        """The file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _named(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def variable(
    read: Sequence[int] = (4,), assigned: Sequence[int] = (4,), dtype: int = FLOAT
) -> bytes:
    """``sum = state + x``, which becomes the state; a graph that runs once clears it."""
    b = Builder()
    x = b.input((4,))
    b.op("CALL_ONCE", [], None, initSubgraphIndex=1)
    handle = b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    state = b.op("READ_VARIABLE", [handle], read, dtype)
    total = b.op("ADD", [x, state], (4,))
    b.op("ASSIGN_VARIABLE", [handle, total], None)
    b.output(state, total)
    b.graph()
    handle = b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    b.op("ASSIGN_VARIABLE", [handle, b.constant(np.zeros(assigned), FLOAT)], None)
    return b.finish()


def branches(
    *, shapes: Sequence[Sequence[int]] = ((4,), (4,)), dtypes: Sequence[int] = (0, 0)
) -> bytes:
    """``if go: relu(x), else: exp(x)``."""
    b = Builder()
    go, x = b.input((), BOOL), b.input((4,))
    b.output(b.op("IF", [go, x], (4,), thenSubgraphIndex=1, elseSubgraphIndex=2))
    for name, shape, dtype in zip(("RELU", "EXP"), shapes, dtypes, strict=True):
        b.graph()
        x = b.input((4,))
        b.output(b.op(name if dtype == FLOAT else "CAST", [x], shape, dtype))
    return b.finish()


def nested(levels: int) -> bytes:
    """IFs inside one another, both branches of each the next: 2 to the power of
    ``levels`` calls.
    """
    b = Builder()
    for level in range(levels + 1):
        if level:
            b.graph()
        go, x = b.input((), BOOL), b.input((4,))
        target = level + 1
        if level < levels:
            out = b.op("IF", [go, go, x], (4,), thenSubgraphIndex=target, elseSubgraphIndex=target)
        else:
            out = b.op("RELU", [x], (4,))
        b.output(out)
    return b.finish()


def loop(*, endless: bool = False) -> bytes:
    """``while count < 3: count += 1, x *= 2``, or without an end."""
    b = Builder()
    count, x = b.input((), INT), b.input((4,))
    node = operator(b.model, "WHILE")
    node.inputs = [count, x]
    node.outputs = [b.tensor((), INT), b.tensor((4,))]
    node.builtinOptions.condSubgraphIndex, node.builtinOptions.bodySubgraphIndex = 1, 2
    b.sub.operators.append(node)
    b.output(*node.outputs)
    b.graph()
    count, x = b.input((), INT), b.input((4,))
    if endless:
        b.output(b.op("EQUAL", [count, count], (), BOOL))
    else:
        b.output(b.op("LESS", [count, b.constant(3)], (), BOOL))
    b.graph()
    count, x = b.input((), INT), b.input((4,))
    step = b.op("ADD", [count, b.constant(1)], (), INT)
    b.output(step, b.op("ADD", [x, x], (4,)))
    return b.finish()


def computed_shape() -> bytes:
    """Flatten by the batch's own length, as exporters write it."""
    b = Builder()
    x = b.input((2, 3, 4))
    shape = b.op("SHAPE", [x], (3,), INT, outType=INT)
    ends = [b.constant([0]), b.constant([1]), b.constant([1])]
    batch = b.op("STRIDED_SLICE", [shape, *ends], (), INT, shrinkAxisMask=1)
    target = b.op("PACK", [batch, b.constant(-1)], (2,), INT, valuesCount=2)
    b.output(b.op("RESHAPE", [x, target], (2, 12)))
    return b.finish()


def open_batch() -> bytes:
    """A dense layer whose batch is open."""
    b = Builder()
    x = b.input((1, 3), shapeSignature=[-1, 3])
    out = b.op("FULLY_CONNECTED", [x, b.constant(np.ones((2, 3)), FLOAT), -1], (1, 2))
    b.sub.tensors[out].shapeSignature = [-1, 2]
    b.output(out)
    return b.finish()


def deep_batch(closing: str) -> bytes:
    """Two dense layers whose batch is open, and ``closing`` of their result with itself."""
    b = Builder()
    tensor = b.input((1, 3), shapeSignature=[-1, 3])
    for width in (4, 2):
        weights = b.constant(np.ones((width, b.sub.tensors[tensor].shape[1])), FLOAT)
        tensor = b.op("FULLY_CONNECTED", [tensor, weights, -1], (1, width))
        b.sub.tensors[tensor].shapeSignature = [-1, width]
    out = b.op(closing, [tensor, tensor], (1, 2))
    b.sub.tensors[out].shapeSignature = [-1, 2]
    b.output(out)
    return b.finish()


def shrinking() -> bytes:
    """A window of 4 over an open side that the file gives as 1: to be resized before it runs."""
    b = Builder()
    x = b.input((1, 1, 1, 1), shapeSignature=[1, -1, 1, 1])
    kernel = b.constant(np.ones((1, 4, 1, 1)), FLOAT)
    options = {"padding": 1, "strideW": 1, "strideH": 1}
    out = b.op("CONV_2D", [x, kernel, b.constant([0], FLOAT)], (1, 1, 1, 1), **options)
    b.sub.tensors[out].shapeSignature = [1, -1, 1, 1]
    b.output(out)
    return b.finish()


def two_signatures() -> bytes:
    """``encode`` doubles, ``decode`` halves and adds one, each a graph of its own."""
    b = Builder()
    x = b.input((3,))
    code = b.op("ADD", [x, x], (3,))
    b.output(code)
    b.signature("encode", 0, {"x": x}, {"code": code})
    b.graph()
    code = b.input((3,))
    x = b.op("MUL", [code, b.constant(0.5, FLOAT)], (3,))
    y = b.op("ADD", [code, b.constant(1, FLOAT)], (3,))
    b.output(x, y)
    b.signature("decode", 1, {"code": code}, {"y": y, "x": x})
    return b.finish()


def lstm() -> bytes:
    """A recurrent layer of 3 cells over 5 steps of 2 numbers."""
    b = Builder()
    x = b.input((1, 5, 2))
    weights = [b.constant(np.full((3, 2), 0.1), FLOAT) for _ in range(4)]
    recurrent = [b.constant(np.full((3, 3), 0.1), FLOAT) for _ in range(4)]
    biases = [b.constant(np.zeros(3), FLOAT) for _ in range(4)]
    state = [b.tensor((1, 3), isVariable=True) for _ in range(2)]
    inputs = [x, *weights, *recurrent, -1, -1, -1, *biases, -1, -1, *state, -1, -1, -1, -1]
    options = {"fusedActivationFunction": 4}
    b.output(b.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (1, 5, 3), **options))
    return b.finish()


def custom(
    name: str, options: dict[str, Any] | None, inputs: Sequence[Any], outputs: Sequence[Any]
) -> bytes:
    """One custom operator, its options as a FlexBuffer map."""
    b = Builder()
    data = None if options is None else list(flexbuffers.Dumps(options))
    indices = [b.input(*entry) for entry in inputs]
    node = operator(b.model, "CUSTOM", custom=name)
    node.inputs, node.customOptions = indices, data
    node.outputs = [b.tensor(*entry) for entry in outputs]
    b.sub.operators.append(node)
    b.output(*node.outputs)
    return b.finish()


MFCC = {
    "upper_frequency_limit": 4000,
    "lower_frequency_limit": 20,
    "filterbank_channel_count": 40,
    "dct_coefficient_count": 13,
}
SPECTROGRAM = {"window_size": 64, "stride": 32, "magnitude_squared": True}
DETECTIONS = {
    "max_detections": 3,
    "max_classes_per_detection": 1,
    "num_classes": 2,
    "nms_score_threshold": 0.1,
    "nms_iou_threshold": 0.5,
    "x_scale": 10.0,
    "y_scale": 10.0,
    "w_scale": 5.0,
    "h_scale": 5.0,
}


def mfcc(options: dict[str, Any] | None = MFCC) -> bytes:
    return custom("Mfcc", options, [((1, 4, 33),), ((1,), INT)], [((1, 4, 13),)])


def spectrogram(options: dict[str, Any] | None = SPECTROGRAM) -> bytes:
    return custom("AudioSpectrogram", options, [((256, 1),)], [((1, 7, 33),)])


def detections(options: dict[str, Any] | None = DETECTIONS) -> bytes:
    shapes = [((1, 3, 4),), ((1, 3),), ((1, 3),), ((1,),)]
    return custom(
        "TFLite_Detection_PostProcess",
        options,
        [((1, 6, 4),), ((1, 6, 3),), ((6, 4),)],
        shapes,
    )


def sparse(indices: Sequence[int] = (1, 0), segments: Sequence[int] = (0, 1, 2)) -> bytes:
    """``x + [[0, 5], [7, 0]]``, whose second operand is stored row by row without its zeros."""
    b = Builder()
    x = b.input((2, 2))
    weights = b.constant([5, 7], FLOAT)
    tensor = b.sub.tensors[weights]
    tensor.shape = [2, 2]
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.blockMap = [0, 1], []
    rows, columns = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    rows.format, rows.denseSize = 0, 2
    columns.format = 1
    for name, values in (("arraySegments", segments), ("arrayIndices", indices)):
        vector = schema.Uint8VectorT()
        vector.values = list(values)
        setattr(columns, name, vector)
        setattr(columns, name + "Type", 3)
    tensor.sparsity.dimMetadata = [rows, columns]
    dense = b.op("DENSIFY", [weights], (2, 2))
    b.output(b.op("ADD", [x, dense], (2, 2)))
    return b.finish()


def broadcast_args(values: Sequence[int] = (1, 4)) -> bytes:
    """The shape that two computed shapes broadcast to."""
    b = Builder()
    x = b.input((2,), INT)
    computed = b.op("ADD", [b.constant([0, 0]), b.constant(values)], (2,), INT)
    b.output(b.op("BROADCAST_ARGS", [computed, b.constant([4, 4])], (2,), INT), x)
    return b.finish()


def lookups() -> bytes:
    """Reading rows of tables by indices that the caller gives."""
    b = Builder()
    ids = b.input((3,), INT)
    table = b.constant(np.arange(12).reshape(4, 3), FLOAT)
    b.output(b.op("EMBEDDING_LOOKUP", [ids, table], (3, 3)))
    b.output(b.op("GATHER", [table, ids], (3, 3)))
    scalars = [b.constant(3), b.constant(1, FLOAT), b.constant(0, FLOAT)]
    b.output(b.op("ONE_HOT", [ids, *scalars], (3, 3), axis=-1))
    shape = b.constant([4, 3])
    column = b.op("EXPAND_DIMS", [ids, b.constant(1)], (3, 1), INT)
    b.output(b.op("GATHER_ND", [table, column], (3, 3)))
    rows = b.constant(np.ones((3, 3)), FLOAT)
    b.output(b.op("SCATTER_ND", [column, rows, shape], (4, 3)))
    start = b.constant([0, 0])
    b.output(b.op("DYNAMIC_UPDATE_SLICE", [table, rows, start], (4, 3)))
    b.output(b.op("UNSORTED_SEGMENT_SUM", [rows, ids, b.constant(4)], (4, 3)))
    return b.finish()


def table() -> bytes:
    """Counts by word: a hash table that is filled once and asked at every run."""
    b = Builder()
    x = b.input((2,), INT64)
    b.op("CALL_ONCE", [], None, initSubgraphIndex=1)
    handle = _table(b)
    words = b.strings("one", "three")
    found = b.op("HASHTABLE_FIND", [handle, words, b.constant(-1, INT64)], (2,), INT64)
    b.output(b.op("ADD", [x, found], (2,), INT64), b.op("HASHTABLE_SIZE", [handle], (1,), INT64))
    b.graph()
    handle = _table(b)
    b.op("HASHTABLE_IMPORT", [handle, b.strings("one", "two"), b.constant([1, 2], INT64)], None)
    return b.finish()


def _table(b: Builder) -> int:
    return b.op("HASHTABLE", [], (1,), RESOURCE, tableId=1, keyDtype=STRING, valueDtype=INT64)


def models() -> dict[str, Callable[[], bytes]]:
    """Every model here that is right, by name."""
    return {
        "variable": variable,
        "branches": branches,
        "nested": lambda: nested(3),
        "loop": loop,
        "computed_shape": computed_shape,
        "open_batch": open_batch,
        "two_signatures": two_signatures,
        "lstm": lstm,
        "mfcc": mfcc,
        "spectrogram": spectrogram,
        "detections": detections,
        "sparse": sparse,
        "broadcast_args": broadcast_args,
        "lookups": lookups,
        "table": table,
    }
