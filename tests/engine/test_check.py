"""Files that are wrong in one place, and what is said about them."""

import flatbuffers
import numpy as np
import pytest
import zoo
from ai_edge_litert import schema_py_generated as schema

from handheld.engine import Model
from handheld.engine._file import read
from handheld.errors import ModelError


def spoil(content, change):
    """The model with ``change(model, main graph)`` applied."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model, model.subgraphs[0])
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _set(path, value):
    """A change that assigns ``value`` at a dotted path of the model."""

    def change(model, graph):
        owner, parts = (
            graph if path.startswith("graph.") else model,
            path.removeprefix("graph.").split("."),
        )
        for part in parts[:-1]:
            owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
        if parts[-1].isdigit():
            owner[int(parts[-1])] = value
        else:
            setattr(owner, parts[-1], value)

    return change


def _new(kind, **values):
    table = getattr(schema, kind + "T")()
    for name, value in values.items():
        setattr(table, name, value)
    return table


def _composite(model, graph):
    """As litert-torch writes an average over windows that leaves out the padding."""
    model.operatorCodes[0].builtinCode = 206
    node = graph.operators[0]
    node.builtinOptions2Type = 21
    node.builtinOptions2 = _new("StableHLOCompositeOptions", decompositionSubgraphIndex=0)


WRONG = [
    ("tiny_add", _set("version", 2), "schema version 2, expected 3"),
    ("tiny_add", _set("subgraphs", []), "at least one"),
    ("tiny_add", _set("operatorCodes.0.builtinCode", 300), "operator number 300"),
    ("tiny_add", _set("operatorCodes.0.builtinCode", 163), "operator STABLEHLO_ADD"),
    ("tiny_add", _composite, "operator STABLEHLO_COMPOSITE"),
    ("tiny_add", _set("operatorCodes.0.builtinCode", 32), "custom operator without a name"),
    ("tiny_add", _set("operatorCodes.0.version", 0), "operator version 0"),
    ("tiny_add", _set("graph.operators.0.opcodeIndex", 1), "operator code 1 of 1"),
    ("tiny_add", _set("graph.operators.0.inputs", [0]), "1 inputs and 1 outputs, expected 2 and 1"),
    ("tiny_add", _set("graph.operators.0.inputs", [0, 3]), "tensor index 3, expected -1 to 2"),
    ("tiny_add", _set("graph.operators.0.inputs", [0, -1]), "input 1 is absent"),
    ("tiny_add", _set("graph.operators.0.inputs", [0, 2]), "before any operator computes"),
    (
        "tiny_add",
        _set("graph.operators.0.outputs", [0]),
        "an input, a constant, or one tensor twice",
    ),
    ("tiny_add", _set("graph.inputs", [0, 0]), "listed twice"),
    ("tiny_add", _set("graph.outputs", [7]), "tensor index 7"),
    ("tiny_add", _set("graph.tensors.0.shape", [1, -4]), "negative side"),
    ("tiny_add", _set("graph.tensors.0.shape", [1, 5]), "shape"),
    ("tiny_add", _set("graph.tensors.2.shape", [1, 5]), "outputs are declared as"),
    ("tiny_add", _set("graph.tensors.0.shape", [1 << 16, 1 << 16]), "too large"),
    ("tiny_add", _set("graph.tensors.0.shape", [1] * 9), "too large"),
    ("tiny_add", _set("graph.tensors.0.shapeSignature", [-1]), "does not agree"),
    ("tiny_add", _set("graph.tensors.0.type", 99), "element type 99"),
    ("tiny_add", _set("graph.tensors.0.type", 2), "element types"),
    ("tiny_add", _set("graph.tensors.0.buffer", 9), "buffer 9 of 1"),
    ("tiny_add", _set("graph.operators.0.builtinOptionsType", 21), "expected AddOptions"),
    (
        "tiny_add",
        _set("graph.operators.0.builtinOptions.fusedActivationFunction", 6),
        "expected 0 to 5",
    ),
    ("tiny_add", _set("signatureDefs.0.inputs.0.tensorIndex", 2), "is tensor 2, not in"),
    (
        "tiny_add",
        _set("metadata", [_new("Metadata", name="x", buffer=5)]),
        "entry named b'x' in buffer 5",
    ),
    (
        "tiny_int8",
        _set("graph.tensors.0.quantization.scale", [0.5, 0.5]),
        "2 scales but 1 zero points",
    ),
    (
        "tiny_int8",
        _set("graph.tensors.0.quantization.scale", [np.nan]),
        "not all within 1e-30 to 1e+30",
    ),
    (
        "tiny_int8",
        _set("graph.tensors.0.quantization.zeroPoint", [300]),
        "zero point 300 is no value of int8",
    ),
    ("tiny_int8", _set("graph.tensors.0.quantization", None), "has no scale"),
    ("tiny_int8", _set("graph.tensors.1.shape", [2, 5]), "8 bytes of data, expected 10"),
    ("tiny_int8", _set("graph.tensors.1.isVariable", True), "variable tensor with constant data"),
    (
        "tiny_int8",
        _set("graph.tensors.1.sparsity", _new("SparsityParameters", traversalOrder=[0])),
        "sparse",
    ),
    ("tiny_palm", _set("graph.operators.0.builtinOptions.strideW", 0), "stride_w: 0, expected 1"),
    ("tiny_palm", _set("graph.operators.0.builtinOptions", None), "expected Pool2DOptions"),
    ("tiny_palm", _set("buffers.1.data", np.zeros(8, np.uint8)), "8 bytes of data"),
]

UNSUPPORTED = (
    "operator number 300",
    "operator STABLEHLO_ADD",
    "operator STABLEHLO_COMPOSITE",
    "too large",
)


@pytest.mark.parametrize(
    ("name", "change", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_wrong_file(fixtures, name, change, message):
    content = spoil((fixtures / f"{name}.tflite").read_bytes(), change)
    with pytest.raises(ModelError) as caught:
        read(content, "some/path.tflite")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"some/path.tflite ({len(content)} bytes): ")
    # A file that is fine but not supported is never called corrupt.
    corrupt = message not in UNSUPPORTED
    assert ("fetch it again" in str(caught.value)) == corrupt
    assert ("seems whole" in str(caught.value)) != corrupt


def test_kernels_that_stop_the_process_are_refused():
    def integers(model, graph):
        for tensor in graph.tensors:
            tensor.type = 2

    remainder = zoo.make(("FLOOR_MOD", [(4,), (4,)], [(4,)], "", {}), quantised=False)
    assert read(remainder, "x").operators == ("FLOOR_MOD",)
    assert "remainder of integers" in read(spoil(remainder, integers), "x").doubts[0]
    with pytest.raises(ModelError, match="a scale of exactly 1"):
        read(
            spoil(zoo.models()["less_int8"](), _set("graph.tensors.0.quantization.scale", [1.0])),
            "x",
        )
    with pytest.raises(ModelError, match="far too large for the output"):
        read(
            spoil(zoo.models()["add_int8"](), _set("graph.tensors.0.quantization.scale", [1e6])),
            "x",
        )


def _volumes(op: str, *, depth: int = 4, bias: int = 5) -> bytes:
    """A convolution of a volume with four channels, with a filter for ``depth`` of them and five of
    its own.
    """
    data, biases = (1, 6, 6, 6, 4), np.ones(bias, np.float32)
    if op == "CONV_3D":
        operands = [data, np.ones((2, 2, 2, depth, 5), np.float32), biases]
    else:
        operands = [
            np.array([1, 6, 6, 6, 5], np.int32),
            np.ones((2, 2, 2, 5, depth), np.float32),
            data,
            biases,
        ]
    strides = {
        "strideD": 1,
        "strideH": 1,
        "strideW": 1,
        "dilationDFactor": 1,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
    }
    return zoo.make(
        (op, operands, [(1, 6, 6, 6, 5)], "Conv3DOptions", {**strides, "padding": 0}),
        quantised=False,
    )


@pytest.mark.parametrize("op", ["CONV_3D", "CONV_3D_TRANSPOSE"])
def test_convolutions_of_volumes(op):
    assert read(_volumes(op), "x").operators == (op,)
    with pytest.raises(ModelError, match=r"filter .* for an input"):
        read(_volumes(op, depth=3), "x")
    with pytest.raises(ModelError, match=r"bias \(4,\) for 5 channels"):
        read(_volumes(op, bias=4), "x")


def test_options_of_an_unknown_kind_that_are_absent_are_refused(fixtures):
    def unknown(model, graph):
        graph.operators[0].builtinOptionsType, graph.operators[0].builtinOptions = 200, None

    with pytest.raises(ModelError, match="options of kind 200"):
        read(spoil((fixtures / "tiny_add.tflite").read_bytes(), unknown), "x")


def test_subgraphs_that_call_one_another_are_refused(fixtures):
    def loop(model, graph):
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 118
        node = graph.operators[0]
        node.builtinOptionsType, node.builtinOptions = (
            92,
            _new("IfOptions", thenSubgraphIndex=0, elseSubgraphIndex=0),
        )

    with pytest.raises(ModelError, match="in a circle"):
        read(spoil((fixtures / "tiny_add.tflite").read_bytes(), loop), "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes is less than"),
        (b"TFL3", "4 bytes is less than"),
        (b"PK\x03\x04" + bytes(40), "identifier is b'\\x00\\x00\\x00\\x00', expected b'TFL3'"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(40), "points to byte 2147483647 of a file of 48 bytes"),
        (b"\x08\0\0\0TFL3\xff\xff\xff\x7f" + bytes(40), "vtable at byte -"),
        (b"\x08\0\0\0TFL3\0\0\0\0" + bytes(40), "vtable at byte 8 says 0 bytes"),
    ],
)
def test_no_model_at_all(content, message):
    with pytest.raises(ModelError) as caught:
        read(content, "x")
    assert message in str(caught.value)


def test_every_truncation_is_refused(fixture_file):
    content = fixture_file.read_bytes()
    for length in range(0, len(content) - 16, 7):
        with pytest.raises(ModelError):
            read(content[:length], "x")


@pytest.mark.timeout(60)  # by the square of its length it took longer
def test_a_long_vector_shared_by_many_fields_is_refused_quickly():
    count = 60_000  # a vector of tables that are all the same table
    body = b"".join(int(4 * (count - i) + 8).to_bytes(4, "little") for i in range(count))
    vtable, table = b"\x06\0\x08\0\x04\0\0\0", b"\x08\0\0\0\x04\0\0\0"
    head = b"\x10\0\0\0TFL3"
    content = head + vtable + table + count.to_bytes(4, "little") + body + bytes(64)
    with pytest.raises(ModelError):
        read(content, "x")


@pytest.mark.parametrize("name", zoo.models())
def test_valid_operators_open_and_run(name):
    with Model.load(zoo.models()[name]()) as model:
        outputs = model.run(*(np.ones(info.shape, info.dtype) for info in model.inputs))
        assert [(o.shape, o.dtype) for o in outputs] == [
            (info.shape, info.dtype) for info in model.outputs
        ]
