"""Files that once corrupted memory, leaked it, or killed the process: one of each kind, and more.

Each file opens and runs in a process of its own, or is refused; none may end the test's process.
"""

import itertools

import flatbuffers
import numpy as np
import pytest
import structures
import zoo
from ai_edge_litert import schema_py_generated as schema
from structures import BOOL, FLOAT, INT, INT64, RESOURCE, Builder

from handheld.engine import Model, RunLimits
from handheld.engine._file import read
from handheld.engine._verify import layers
from handheld.engine._verify import shapes as rules
from handheld.errors import InputError, ModelError


def changed(content, change):
    """The file with ``change(model)`` applied."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refusal(content):
    with pytest.raises(ModelError) as caught:
        read(content, "x")
    return str(caught.value)


def one(name, inputs, shape, dtype=FLOAT, **options):
    """A model of one operator; inputs are shapes, or arrays that are constants."""
    b = Builder()
    indices = []
    for entry in inputs:
        if entry is None:
            indices.append(-1)
        elif isinstance(entry, tuple):
            indices.append(b.input(entry))
        else:
            array = np.asarray(entry)
            indices.append(b.constant(array, INT if array.dtype.kind == "i" else FLOAT))
    b.output(b.op(name, indices, shape, dtype, **options))
    return b.finish()


ONES = np.ones
CONV = {"padding": 1, "strideW": 1, "strideH": 1}


@pytest.mark.parametrize("name", structures.models())
def test_models_that_are_right_open_and_run(name):
    with Model.load(structures.models()[name](), isolated=False) as model:
        if model._file.unsized:
            return
        outputs = model.run(*(np.ones(info.shape, info.dtype) for info in model.inputs))
        assert [out.shape for out in outputs] == [info.shape for info in model.outputs]


IN_PROCESS = (
    "variable branches nested computed_shape open_batch two_signatures lstm sparse "
    "broadcast_args lookups"
)


def test_what_the_rules_cover_shares_the_process():
    proven = [name for name, make in structures.models().items() if not read(make(), "x").doubts]
    assert sorted(proven) == sorted(IN_PROCESS.split())


VARIABLES = [
    (
        "larger",
        structures.variable(read=(4000,)),
        "reads shape (4000,) of a variable of shape (4,)",
    ),
    ("smaller", structures.variable(read=(2,)), "reads shape (2,) of a variable of shape (4,)"),
    ("other type", structures.variable(dtype=INT), "reads int32 of a variable of float32"),
    ("initialised smaller", structures.variable(assigned=(1,)), "of a variable of shape (1,)"),
]


@pytest.mark.parametrize(
    ("content", "message"), [v[1:] for v in VARIABLES], ids=[v[0] for v in VARIABLES]
)
def test_a_variable_is_read_as_it_is_assigned(content, message):
    assert message in refusal(content)


def test_a_variable_that_nothing_assigns_is_refused():
    b = Builder()
    handle = b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    b.output(b.op("READ_VARIABLE", [handle], (4,)))
    assert "nothing is ever assigned" in refusal(b.finish())


def test_a_variable_that_may_be_read_first_runs_apart():
    b = Builder()
    x = b.input((4,))
    handle = b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    b.output(b.op("READ_VARIABLE", [handle], (4,)))
    b.op("ASSIGN_VARIABLE", [handle, x], None)
    assert "before it is assigned" in read(b.finish(), "x").doubts[0]


def test_handles_are_not_numbers():
    b = Builder()
    handle = b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    b.output(b.op("RESHAPE", [handle, b.constant([1])], (1,), RESOURCE))
    assert "handle" in refusal(b.finish())
    b = Builder()
    b.op("VAR_HANDLE", [], (), INT, sharedName="state")
    assert "a handle of type int32" in refusal(b.finish())


def test_variables_and_tables_are_not_mixed():
    b = Builder()
    b.op("VAR_HANDLE", [], (), RESOURCE, sharedName="state")
    b.op("HASHTABLE", [], (), RESOURCE, tableId=0, keyDtype=4, valueDtype=5)
    assert "variables and hash tables in one file" in refusal(b.finish())
    b = Builder()
    b.op("HASHTABLE", [], (), RESOURCE, tableId=0, keyDtype=0, valueDtype=0)
    assert "expected int64 and string" in refusal(b.finish())


BRANCHES = [
    ({"dtypes": (FLOAT, INT64)}, "calls for types [0] -> [0] a graph of types [0] -> [4]"),
    ({"dtypes": (INT64, INT64)}, "a graph of types [0] -> [4]"),
]


@pytest.mark.parametrize(("options", "message"), BRANCHES)
def test_branches_have_the_types_that_the_caller_declares(options, message):
    assert message in refusal(structures.branches(**options))


def test_branches_of_other_shapes_run_apart():
    def larger(model):
        for graph in model.subgraphs[1:]:
            for tensor in graph.tensors:
                tensor.shape = [4000]

    file = read(changed(structures.branches(), larger), "x")
    assert "for a graph that takes" in file.doubts[0]


def test_calls_agree_in_number():
    def fewer(model):
        model.subgraphs[1].inputs = []
        model.subgraphs[1].tensors[0].isVariable = True

    assert "a graph of types [] -> [0]" in refusal(changed(structures.branches(), fewer))

    def condition(model):
        model.subgraphs[0].tensors[0].type = INT

    assert "a condition that is no bool" in refusal(changed(structures.branches(), condition))


def test_loops_agree_with_their_bodies():
    def other(model):
        model.subgraphs[2].tensors[model.subgraphs[2].outputs[1]].type = INT

    assert refusal(changed(structures.loop(), other))

    def number(model):
        model.subgraphs[1].tensors[model.subgraphs[1].outputs[0]].type = INT

    assert refusal(changed(structures.loop(), number))


def test_ifs_that_fork_at_every_level_are_refused_at_once():
    assert read(structures.nested(5), "x").doubts == ()
    assert "at most 64 deep and 4096 in all" in refusal(structures.nested(20))


SHAPES = [
    ("broadcast_args", structures.broadcast_args((-1, 4)), "a shape of [-1, 4]"),
    ("broadcast_args that do not", structures.broadcast_args((3, 4)), "do not broadcast"),
    ("reshape", one("RESHAPE", [(4,), [5]], (4,)), "new shape [5] for an input (4,)"),
    ("reshape by -2", one("RESHAPE", [(4,), [-2, -2]], (4,)), "new shape [-2, -2]"),
    ("reshape nothing", one("RESHAPE", [(4,), [-1, 0]], (0, 4)), "new shape [-1, 0]"),
    ("transpose", one("TRANSPOSE", [(2, 3), [0, 0]], (2, 2)), "order [0, 0] of 2 sides"),
    ("split", one("SPLIT", [0, (3,)], (3,), numSplits=1), None),
    ("tile", one("TILE", [(2,), [-1]], (2,)), "repeats"),
    ("fill", one("FILL", [[-1], 1.0], (1,)), "a shape of [-1]"),
    ("range by 0", one("RANGE", [0, 3, 0], (3,), INT), "by 0"),
    ("pad", one("PAD", [(2,), [[-1, 0]]], (1,)), "pads"),
    ("squeeze", one("SQUEEZE", [(2, 3)], (6,), squeezeDims=[0]), "squeezes sides [0]"),
    ("one hot", one("ONE_HOT", [[1, 2], -1, 1.0, 0.0], (2, 1), axis=-1), "depth -1"),
    (
        "bias",
        one("CONV_2D", [(1, 4, 4, 2), ONES((8, 1, 1, 2)), ONES(3)], (1, 4, 4, 8), **CONV),
        "bias (3,)",
    ),
    ("dense bias", one("FULLY_CONNECTED", [(1, 2), ONES((8, 2)), ONES(2)], (1, 8)), "bias (2,)"),
    (
        "window",
        one("CONV_2D", [(1, 4, 4, 2), ONES((8, 0, 1, 2)), ONES(8)], (1, 5, 4, 8), **CONV),
        "a window",
    ),
    (
        "dilation",
        one(
            "CONV_2D",
            [(1, 4, 4, 2), ONES((8, 999, 1, 2)), ONES(8)],
            (1, 4, 4, 8),
            **{**CONV, "padding": 0, "dilationHFactor": 65536},
        ),
        "a window of",
    ),
    ("embedding", one("EMBEDDING_LOOKUP", [[0, 1], ONES(4)], (2,)), "looks up in a table (4,)"),
    (
        "segments",
        one("SEGMENT_SUM", [(4, 2), [0, 1]], (2, 2)),
        "(2,) segment ids for rows of (4, 2)",
    ),
    (
        "scatter",
        one("SCATTER_ND", [[[0], [1]], ONES((3,)), [8]], (8,)),
        "scatters (3,) by indices (2, 1) into (8,)",
    ),
    ("diagonal", one("MATRIX_SET_DIAG", [(3, 3), ONES(2)], (3, 3)), "a diagonal (2,) for (3, 3)"),
    ("select", one("SELECT", [ONES(3), (4,), (4,)], (4,)), "selects between"),
    (
        "one by a step back",
        one("STRIDED_SLICE", [(4,), [1], [2], [-2]], (), shrinkAxisMask=1),
        "by a step of -2",
    ),
    (
        "comparison of floats",
        one("LESS", [(4,), (4,)], (4,)),
        "an output of float32, expected bool",
    ),
]


@pytest.mark.parametrize(
    ("content", "message"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_operands_that_do_not_go_together(content, message):
    if message is None:
        assert read(content, "x").operators
        return
    assert message in refusal(content)


def test_a_zero_side_hides_no_other():
    huge = ((1 << 31) - 1, (1 << 31) - 1, 0)
    assert "too large" in refusal(one("RELU", [huge], huge))


def test_recurrent_operands_are_as_the_cells_say():
    assert read(structures.lstm(), "x").doubts == ()
    for tensor, shape in ((1, [3, 1]), (5, [3, 1]), (9, [1]), (13, [1, 1])):

        def smaller(model, tensor=tensor, shape=shape):
            entry = model.subgraphs[0].tensors[tensor]
            entry.shape = shape
            data = model.buffers[entry.buffer].data
            if data is not None and len(data):
                model.buffers[entry.buffer].data = data[: 4 * int(np.prod(shape))]

        assert "has shape" in refusal(changed(structures.lstm(), smaller))


def test_scales_by_channel_lie_along_the_outputs():
    def along_inputs(model):
        tensor = model.subgraphs[0].tensors[1]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.1, 0.1], [0, 0]
        tensor.quantization.quantizedDimension = 3

    content = one("CONV_2D", [(1, 4, 4, 2), ONES((8, 1, 1, 2)), ONES(8)], (1, 4, 4, 8), **CONV)
    assert "scales along axis 3" in refusal(changed(content, along_inputs))


CUSTOM = [
    ("none", structures.mfcc(None), "0 bytes of custom options"),
    ("empty", structures.mfcc({}), "upper_frequency_limit is None"),
    ("missing", structures.spectrogram({"window_size": 64}), "stride is None"),
    ("zero", structures.spectrogram({**structures.SPECTROGRAM, "stride": 0}), "stride is 0"),
    ("negative", structures.mfcc({**structures.MFCC, "dct_coefficient_count": -1}), "is -1"),
    (
        "text",
        structures.mfcc({**structures.MFCC, "dct_coefficient_count": "many"}),
        "expected a number",
    ),
    (
        "no detections",
        structures.detections({**structures.DETECTIONS, "max_detections": 0}),
        "is 0",
    ),
    ("no options", structures.detections(None), "0 bytes of custom options"),
    (
        "unknown",
        structures.custom("Sorcery", None, [((1,),)], [((1,),)]),
        "custom operator 'Sorcery'",
    ),
    ("plain", structures.custom("MaxUnpooling2D", None, [((1,),), ((1,),)], [((1,),)]), "0 bytes"),
]


@pytest.mark.parametrize(
    ("content", "message"), [c[1:] for c in CUSTOM], ids=[c[0] for c in CUSTOM]
)
def test_custom_operators_have_the_options_that_they_read(content, message):
    assert message in refusal(content)


@pytest.mark.parametrize("seed", range(100))
def test_damaged_options_of_custom_operators_are_refused_or_harmless(seed):
    rng = np.random.default_rng(seed)

    def damage(model):
        node = model.subgraphs[0].operators[0]
        data = bytearray(int(value) for value in node.customOptions)
        for _ in range(3):
            data[rng.integers(len(data))] = int(rng.integers(256))
        node.customOptions = list(data[: rng.integers(1, len(data) + 1)])

    try:
        file = read(changed(structures.mfcc(), damage), "x")
    except ModelError:
        return
    assert "custom" in file.doubts[0] or "rule" in file.doubts[0]


SPARSE = [
    ({"indices": (1, 2)}, "indices 1 to 2, expected 0 to 1"),
    ({"segments": (0, 1)}, "2 segments over 2 indices, expected 3"),
    ({"segments": (0, 3, 2)}, "segments do not rise"),
    ({"segments": (1, 1, 2)}, "segments over 2 indices"),
    ({"indices": (1,), "segments": (0, 1, 1)}, "8 bytes of data for 1 sparse values"),
]


@pytest.mark.parametrize(("options", "message"), SPARSE)
def test_sparse_constants_are_judged_before_the_runtime_unpacks_them(options, message):
    with Model.load(structures.sparse()) as model:
        np.testing.assert_array_equal(model.run(np.ones((2, 2), "f4"))[0], [[1, 6], [8, 1]])
    assert message in refusal(structures.sparse(**options))


def test_a_signature_of_a_closed_model_says_so():
    model = Model.load(structures.two_signatures())
    (key, signature), *_ = model.signatures.items()
    inputs = [np.zeros(info.shape, info.dtype) for info in signature.inputs]
    model.close()
    with pytest.raises(InputError, match="closed"):
        model.run(*inputs, signature=key)


def test_a_sparse_constant_is_no_array():
    """Its two stored numbers were once taken for the four of its shape."""
    with (
        Model.load(structures.sparse()) as model,
        pytest.raises(ModelError, match=r"'t1' is stored sparse.*dense weights"),
    ):
        model.constant("t1")


def test_what_only_a_run_can_tell_runs_apart_and_never_ends_this_process():
    """The shape is an input here: no rule can know it, and no value of it may do harm."""
    b = Builder()
    left, right = b.input((2,), INT), b.input((2,), INT)
    b.output(b.op("BROADCAST_ARGS", [left, right], (2,), INT))
    with Model.load(b.finish(), isolated=RunLimits(seconds=30)) as model:
        good = model.run(np.array([1, 4], np.int32), np.array([4, 4], np.int32))
        np.testing.assert_array_equal(good[0], [4, 4])
        with pytest.raises(ModelError, match=r"runtime failed|crashed"):
            model.run(np.array([-1, 3], np.int32), np.array([4, 4], np.int32))


def test_values_that_shapes_are_computed_from_are_known():
    b = Builder()
    x = b.input((2, 3))
    sides = b.op("SHAPE", [x], (2,), INT, outType=INT)
    product = b.op("REDUCE_PROD", [sides, b.constant([0])], (1,), INT, keepDims=True)
    b.output(b.op("RESHAPE", [x, product], (6,)))
    assert read(b.finish(), "x").doubts == ()
    b = Builder()
    x = b.input((2, 3))
    sides = b.op("SHAPE", [x], (2,), INT, outType=INT)
    doubled = b.op("ADD", [sides, sides], (2,), INT)
    b.output(b.op("RESHAPE", [x, doubled], (2, 3)))
    assert "new shape [4, 6] for an input (2, 3)" in refusal(b.finish())


@pytest.mark.parametrize("name", zoo.models())
def test_no_output_of_another_type_shares_the_process(name):
    """A kernel that takes the declared type on trust writes its own, wider one over the end."""
    content = zoo.models()[name]()
    outputs = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0].outputs
    for index, dtype in itertools.product(outputs, range(10)):

        def declare(model, index=index, dtype=dtype):
            model.subgraphs[0].tensors[index].type = dtype

        other = changed(content, declare)
        try:
            assert other == content or read(other, "x").doubts, dtype
        except ModelError:
            continue


CHOSEN = [  # kernels that set the type of their outputs, whatever the file says
    one("ARG_MAX", [(2, 3), [1]], (2,), outputType=INT),
    one("ARG_MIN", [(2, 3), [1]], (2,), outputType=INT64),
    one("SHAPE", [(2, 3)], (2,), outType=INT),
    one("RANK", [(2, 3)], ()),
    one("BUCKETIZE", [(2, 3)], (2, 3), boundaries=[0.0, 1.0]),
    one("ONE_HOT", [[1, 2], 3, 1.0, 0.0], (2, 3), INT, axis=-1),
    one("WHERE", [(2, 3)], (6, 2)),
    one("RFFT2D", [(4, 8), [4, 8]], (4, 5)),
]


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("content", CHOSEN)
def test_a_model_gives_the_types_that_it_declares_or_is_refused(content, isolated):
    with pytest.raises(
        ModelError, match=r"the file declares (float32|int32), but the runtime gives"
    ):
        Model.load(content, isolated=isolated)


def test_a_signature_gives_the_types_that_it_declares_or_is_refused():
    b = Builder()
    b.output(b.input((3,)))
    b.graph()
    x = b.input((2, 3))
    best = b.op("ARG_MAX", [x, b.constant([1])], (2,), outputType=INT)
    b.output(best)
    b.signature("best", 1, {"x": x}, {"best": best})
    with (
        Model.load(b.finish()) as model,
        pytest.raises(
            ModelError, match="'best': the file declares float32, but the runtime gives int32"
        ),
    ):
        model.run(np.ones((2, 3), np.float32), signature="best")


MISREAD = [  # a kernel that reads int64 as int32, or as float32
    ("space_to_batch_nd", 2, "a list that is not int32"),
    ("batch_to_space_nd", 2, "a list that is not int32"),
    ("conv_2d", 1, "a filter of integers without a scale"),
]


@pytest.mark.parametrize(("name", "position", "doubt"), MISREAD)
def test_operands_that_a_kernel_reads_as_another_type_run_apart(name, position, doubt):
    def widen(model):
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.operators[0].inputs[position]]
        tensor.type = INT64
        buffer = model.buffers[tensor.buffer]
        buffer.data = np.zeros(8 * int(np.prod(tensor.shape)), np.uint8)

    assert doubt in read(changed(zoo.models()[name](), widen), "x").doubts[0]


def test_a_comparison_by_bool_is_accepted():
    assert read(one("LESS", [(4,), (4,)], (4,), BOOL), "x").doubts == ()


def test_the_corpus_of_found_files_is_refused_or_runs_apart(corpus_file):
    content = corpus_file.read_bytes()
    try:
        file = read(content, corpus_file.name)
    except ModelError:
        return
    assert file.doubts, "a file that once got through shares the process again"


BROADCASTING = {
    "ADD": np.add,
    "BITWISE_XOR": np.bitwise_xor,
    "DIV": np.divide,
    "EQUAL": np.equal,
    "FLOOR_DIV": np.floor_divide,
    "FLOOR_MOD": np.mod,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "LOGICAL_AND": np.logical_and,
    "LOGICAL_OR": np.logical_or,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "MUL": np.multiply,
    "NOT_EQUAL": np.not_equal,
    "POW": np.power,
    "RIGHT_SHIFT": np.right_shift,
    "SQUARED_DIFFERENCE": lambda x, y: (x - y) ** 2,
    "SUB": np.subtract,
}


@pytest.mark.parametrize(
    "shapes", [((1, 6, 6, 4), (5, 1, 1, 1)), ((4,), (2, 3, 4)), ((2, 1), (1, 3))], ids=str
)
@pytest.mark.parametrize("name", BROADCASTING)
def test_kernels_that_broadcast_by_our_rules_do(name, shapes):
    """ATAN2's did not, and read behind the smaller operand."""
    whole = name in ("BITWISE_XOR", "RIGHT_SHIFT")
    kind, dtype = (INT, np.int32) if whole else (FLOAT, np.float32)
    if name.startswith("LOGICAL"):
        kind, dtype = BOOL, np.bool_
    rng = np.random.default_rng(0)
    arrays = [rng.integers(1, 3, shape).astype(dtype) for shape in shapes]
    expected = BROADCASTING[name](*arrays)
    b = Builder()
    indices = [b.input(shape, kind) for shape in shapes]
    b.output(b.op(name, indices, expected.shape, BOOL if expected.dtype == bool else kind))
    with Model.load(b.finish(), isolated=False) as model:
        (given,) = model.run(*arrays)
    np.testing.assert_allclose(given, expected, rtol=1e-6)


def test_all_that_broadcast_are_named():
    assert set(BROADCASTING) | {"SELECT_V2"} == set(rules._BROADCAST.split())


def test_a_rule_that_the_runtime_does_not_share_is_found_out(monkeypatch):
    """Before a kernel runs: ATAN2's makes the first operand's shape."""
    content = one("ATAN2", [(1, 6, 6, 4), (5, 1, 1, 1)], (5, 6, 6, 4))
    with pytest.raises(ModelError, match="inputs have unequal shapes"):
        Model.load(content)
    monkeypatch.setitem(rules._RULES, "ATAN2", layers.broadcast)
    with pytest.raises(
        ModelError,
        match=r"the runtime computes a shape of \[1, 6, 6, 4\] for it, the file \[5, 6, 6, 4\]",
    ):
        Model.load(content)
