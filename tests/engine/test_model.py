import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zoo
from test_check import spoil

from handheld.engine import Model, TensorInfo
from handheld.errors import InputError, ModelError

ONES = np.ones((1, 4), np.float32)


@pytest.fixture
def add(fixtures):
    with Model.open(fixtures / "tiny_add.tflite") as model:
        yield model


def test_says_what_it_is(add, fixtures):
    assert add.inputs == (
        TensorInfo("x", (1, 4), np.dtype("float32"), None),
        TensorInfo("y", (1, 4), np.dtype("float32"), None),
    )
    assert [info.name for info in add.outputs] == ["sum"]
    assert (add.operators, add.operator_counts) == (("ADD",), {"ADD": 1})
    assert (add.description, add.version, add.card, add.metadata) == ("adds two vectors", 3, {}, {})
    assert add.path == fixtures / "tiny_add.tflite"
    assert add.size == add.path.stat().st_size
    assert len(add.sha256) == 64
    assert repr(add).startswith("Model(")


def test_runs_by_position_and_by_name(add):
    two = 2 * ONES
    for outputs in (add.run(ONES, two), add.run(ONES, y=two), add.run(y=two, x=ONES)):
        np.testing.assert_array_equal(outputs[0], 3 * ONES)
    np.testing.assert_array_equal(
        add.run(np.asfortranarray(np.eye(4, dtype="f4")[:1]), ONES)[0], [[2, 1, 1, 1]]
    )


def test_outputs_belong_to_the_caller(add):
    (first,) = add.run(ONES, ONES)
    first += 40
    (second,) = add.run(ONES, ONES)
    np.testing.assert_array_equal(first, 42 * ONES)
    np.testing.assert_array_equal(second, 2 * ONES)


@pytest.mark.parametrize(
    ("arrays", "named", "message"),
    [
        ((ONES,), {}, "1 inputs given, expected 'x' float32 [1, 4], 'y' float32 [1, 4]"),
        ((ONES, ONES, ONES), {}, "3 inputs given"),
        ((ONES,), {"z": ONES}, "input 'z' is unknown"),
        ((ONES,), {"x": ONES}, "input 'x' is given twice"),
        ((ONES, ONES[0]), {}, "input 1 is 'y' float32 [1, 4], got float32 [4]"),
        ((ONES, ONES.astype(float)), {}, "input 1 is 'y' float32 [1, 4], got float64 [1, 4]"),
        (
            (ONES, ONES / np.float32("inf") * np.float32("nan")),
            {},
            "4 elements that are not finite, the first nan at (0, 0)",
        ),
        (
            (ONES, np.array([[0, 1, np.inf, -np.inf]], "f4")),
            {},
            "2 elements that are not finite, the first inf at (0, 2)",
        ),
    ],
)
def test_wrong_inputs(add, arrays, named, message):
    with pytest.raises(InputError) as caught:
        add.run(*arrays, **named)
    assert message in str(caught.value)


def test_a_sum_that_overflows_is_no_reason_to_refuse(add):
    large = np.full((1, 4), 3e38, np.float32)
    assert np.isposinf(add.run(large, large)[0]).all()


def test_input_views_can_be_kept(add):
    x, y = add.input_view(0), add.input_view(1)
    for value in (1, 2):
        x[...], y[...] = value, 10
        np.testing.assert_array_equal(add.invoke()[0], np.full((1, 4), value + 10))
    add.close()
    x[...] = 7  # its memory lives as long as the view
    with pytest.raises(InputError, match="expected 0 to 1"):
        Model.open(add.path).input_view(2)


def test_a_closed_model_says_so(add):
    add.close()
    add.close()
    for use in (lambda: add.run(ONES, ONES), add.invoke, add.input_view):
        with pytest.raises(InputError, match="closed"):
            use()


def test_quantised_model(fixtures):
    model = Model.open(fixtures / "tiny_int8.tflite")
    assert model.inputs[0].quantization == (0.5, -1)
    assert model.outputs[0].quantization == (1.0, 3)
    # stored 1 2 3 4 stands for 1 1.5 2 2.5: their sum 7 is stored as 10, the difference -0.5 as 3
    # or 2
    np.testing.assert_array_equal(model.run(np.array([[1, 2, 3, 4]], np.int8))[0], [[10, 3]])


def test_outputs_are_in_the_order_of_the_list(fixtures):
    shapes = {
        "tiny_palm": [(1, 2016, 18), (1, 2016, 1)],
        "tiny_landmark": [(1, 63), (1, 1), (1, 1), (1, 63)],
    }
    for name, expected in shapes.items():
        model = Model.open(fixtures / f"{name}.tflite", threads=2)
        outputs = model.run(np.zeros(model.inputs[0].shape, np.float32))
        assert (
            [output.shape for output in outputs]
            == [info.shape for info in model.outputs]
            == expected
        )


def test_shapes_that_depend_on_values():
    entry = ("RESHAPE", [(2, 6), (2,)], [(2, 6)], "ReshapeOptions", {})

    def take_int32(model, graph):
        graph.tensors[1].type = 2

    model = Model.load(spoil(zoo.make(entry, quantised=False), take_int32))
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    view = model.input_view(0)
    for shape in ((3, 4), (12, 1), (1, 12)):
        (output,) = model.run(x, np.array(shape, np.int32))
        np.testing.assert_array_equal(output, x.reshape(shape))
        np.testing.assert_array_equal(view, x)
    with pytest.raises(ModelError, match="the runtime failed"):
        model.run(x, np.array((5, 5), np.int32))


def test_scalar_inputs():
    model = Model.load(zoo.make(("EXP", [()], [()], "", {}), quantised=False))
    np.testing.assert_allclose(model.run(np.float32(1))[0], np.e, rtol=1e-6)


def test_threads_may_share_a_model(fixtures):
    with Model.open(fixtures / "tiny_add.tflite") as model, ThreadPoolExecutor(4) as pool:
        arrays = [np.full((1, 4), i, np.float32) for i in range(200)]
        for i, (total,) in enumerate(pool.map(lambda a: model.run(a, a), arrays)):
            np.testing.assert_array_equal(total, np.full((1, 4), 2 * i))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        Model.open(tmp_path / "absent.tflite")
    (tmp_path / "text.tflite").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ModelError, match=r"text.tflite \(\d+ bytes\): root: identifier is b'ion '"):
        Model.open(tmp_path / "text.tflite")


@pytest.mark.parametrize("threads", [0, 100_000, 1.5, True, "2"])
def test_threads_that_cannot_be_are_named(fixtures, threads):
    # Of a hundred thousand the runtime ends the process.
    message = rf"threads: expected a whole number in \[1, 1024\], got {threads!r}"
    with pytest.raises(InputError, match=message):
        Model.open(fixtures / "tiny_add.tflite", threads=threads)


def test_threads_may_be_a_number_of_numpys(fixtures):
    with Model.open(fixtures / "tiny_add.tflite", threads=np.int64(2)) as model:
        assert model.run(np.ones((1, 4), np.float32), np.ones((1, 4), np.float32))[0].sum() == 8


def test_a_custom_operator_that_the_runtime_lacks_is_refused_by_name(fixtures):
    def custom(model, graph):
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
        model.operatorCodes[0].customCode = "Sorcery"

    content = spoil((fixtures / "tiny_add.tflite").read_bytes(), custom)
    with pytest.raises(ModelError, match=r"custom operator 'Sorcery'.*seems whole"):
        Model.load(content)


def test_importing_the_room_does_not_load_the_runtime():
    code = (
        "import sys, handheld.engine; sys.exit(any('litert' in m and 'handheld' not in m for m "
        "in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_models_open_and_run(real_file):
    with Model.open(real_file) as model:
        rng = np.random.default_rng(0)
        outputs = model.run(*(rng.random(i.shape).astype(i.dtype) for i in model.inputs))
        assert [o.shape for o in outputs] == [info.shape for info in model.outputs]


def test_real_models_share_the_process_and_equal_the_bare_runtime(real_file):
    from ai_edge_litert.interpreter import Interpreter

    bare = Interpreter(model_path=str(real_file), num_threads=1)
    bare.allocate_tensors()
    with Model.open(real_file) as model:
        assert model.doubts == ()
        rng = np.random.default_rng(1)
        arrays = [(4 * rng.random(i.shape)).astype(i.dtype) for i in model.inputs]
        for detail, array in zip(bare.get_input_details(), arrays, strict=True):
            bare.set_tensor(detail["index"], array)
        bare.invoke()
        theirs = [bare.get_tensor(detail["index"]) for detail in bare.get_output_details()]
        assert [a.tobytes() for a in model.run(*arrays)] == [b.tobytes() for b in theirs]


def test_nothing_that_is_stored_stands_for_what_is_no_number(fixtures):
    with Model.open(fixtures / "tiny_int8.tflite") as model:
        info = model.inputs[0]
        with pytest.raises(InputError, match="stores whole numbers, none of which is NaN"):
            info.to_stored(np.full(info.shape, np.nan))


def test_content_in_any_buffer(fixtures):
    content = (fixtures / "tiny_add.tflite").read_bytes()
    ones = np.ones((1, 4), np.float32)
    for buffer in (bytearray(content), memoryview(content)):
        with Model.load(buffer) as model:
            assert model.run(ones, ones)[0].tolist() == [[2, 2, 2, 2]]
            assert model.content == content
    with pytest.raises(InputError, match="expected the bytes of a model file, got str"):
        Model.load("tiny_add.tflite")


def test_lists_of_different_lengths_are_no_input(add):
    with pytest.raises(InputError, match="expected arrays as inputs"):
        add.run([[1.0, 2.0], [3.0]], np.ones((1, 4), np.float32))


@pytest.mark.parametrize("isolated", [False, True])
def test_a_run_in_two_halves(fixtures, isolated):
    with Model.open(fixtures / "tiny_add.tflite", isolated=isolated) as model:
        stages = model.stages()
        for position in (0, 1):
            model.input_view(position)[:] = 2
        stages.compute()
        (total,) = stages.read()
        assert total.tolist() == [[4.0] * 4]
        # they are copies
        stages.compute()
        total[:] = 0
        assert stages.read()[0].tolist() == [[4.0] * 4]


def test_halves_of_a_model_that_is_closed(fixtures):
    model = Model.open(fixtures / "tiny_add.tflite")
    model.close()
    with pytest.raises(InputError, match="closed"):
        model.stages()


@pytest.mark.parametrize("value", [3e38, -3e38, 1e30, 1e-40])
def test_numbers_whose_squares_are_none_are_finite(fixtures, value):
    with Model.open(fixtures / "tiny_add.tflite") as model:
        array = np.full((1, 4), value, np.float32)
        (total,) = model.run(array, np.zeros((1, 4), np.float32))
        assert total == pytest.approx(array)
