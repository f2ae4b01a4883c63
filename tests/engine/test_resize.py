"""Open axes, variables that are reset, and the functions that a file offers by name."""

import numpy as np
import pytest
import structures

from handheld.engine import Model
from handheld.engine._verify import shapes as rules
from handheld.errors import InputError, ModelError

BOTH = pytest.mark.parametrize("isolated", [False, True], ids=["here", "apart"])


@BOTH
def test_a_batch_of_any_length_runs_where_the_batch_is_open(isolated):
    with Model.load(structures.open_batch(), isolated=isolated) as model:
        assert model.inputs[0].open_axes == (0,)
        assert str(model.inputs[0]) == "'t0' float32 [1 (open), 3]"
        for batch in (1, 5, 2):
            (sums,) = model.run(np.full((batch, 3), 2, np.float32))
            np.testing.assert_array_equal(sums, np.full((batch, 2), 6))
            assert model.inputs[0].shape == (batch, 3)
            assert model.outputs[0].shape == (batch, 2)
        with pytest.raises(InputError, match=r"got float32 \[2, 4\]"):
            model.run(np.ones((2, 4), np.float32))
        with pytest.raises(InputError, match="got float64"):
            model.run(np.ones((3, 3)))
        np.testing.assert_array_equal(model.run(np.ones((2, 3), np.float32))[0], np.full((2, 2), 3))


@BOTH
@pytest.mark.parametrize("closing", ["ADD", "ATAN2"])
def test_layers_one_behind_the_other_run_with_any_batch(closing, isolated):
    """The delegate's inner tensors keep the file's shapes; that of ATAN2 is the runtime's own."""
    with Model.load(structures.deep_batch(closing), isolated=isolated) as model:
        x = np.arange(9, dtype=np.float32).reshape(3, 3)
        (together,) = model.run(x)
        alone = [model.run(x[row : row + 1])[0] for row in range(3)]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-6)
        expected = [[24], [96], [168]] if closing == "ADD" else [[np.pi / 4]] * 3
        np.testing.assert_allclose(together, np.repeat(expected, 2, axis=1), rtol=1e-6)


def test_a_batch_gives_each_picture_what_it_gets_alone(real_file):
    with Model.open(real_file, isolated=False) as model:
        info = model.inputs[0]
        if info.open_axes != (0,):
            pytest.skip("its batch is not open")
        rng = np.random.default_rng(0)
        low, high = (-1, 1) if info.dtype.kind == "f" else (-128, 127)
        x = rng.uniform(low, high, (3, *info.shape[1:])).astype(info.dtype)
        together = model.run(x)
        alone = [model.run(x[row : row + 1]) for row in range(3)]
    for number, output in enumerate(together):
        single = np.concatenate([outputs[number] for outputs in alone])
        if output.dtype.kind == "f":
            np.testing.assert_allclose(output, single, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(output, single)


def test_a_resized_model_of_which_the_runtime_thinks_otherwise_is_refused(monkeypatch):
    wrong = {"ADD": lambda call: [(7, 2)], "ATAN2": lambda call: [(7, 2)]}
    for closing, rule in wrong.items():
        with Model.load(structures.deep_batch(closing), isolated=False) as model:
            monkeypatch.setitem(rules._RULES, closing, rule)
            with pytest.raises(
                ModelError, match=r"the runtime computes a shape of \[3, 2\] .* the file \[7, 2\]"
            ):
                model.resize({0: (3, 3)})


@BOTH
def test_a_file_that_its_own_lengths_cannot_run_opens_and_runs_once_resized(isolated):
    with Model.load(structures.shrinking(), isolated=isolated) as model:
        with pytest.raises(InputError, match=r"has to be resized.*a window of 4 on a side of 1"):
            model.invoke()
        with pytest.raises(ModelError, match="a window of 4 on a side of 3"):
            model.resize({0: (1, 3, 1, 1)})
        model.resize({"t0": (1, 6, 1, 1)})
        assert model.outputs[0].shape == (1, 3, 1, 1)
        x = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1)
        np.testing.assert_array_equal(model.run(x)[0].ravel(), [6, 10, 14])
        assert model.run(np.ones((1, 9, 1, 1), np.float32))[0].shape == (1, 6, 1, 1)


def test_only_open_axes_can_be_resized(fixtures):
    with Model.open(fixtures / "tiny_add.tflite") as model:
        for shapes in ({0: (2, 4)}, {0: (1, 4, 1)}, {5: (1, 4)}, {"z": (1, 4)}):
            with pytest.raises(InputError):
                model.resize(shapes)
        model.resize({0: (1, 4)})
        assert model.run(np.ones((1, 4), "f4"), np.ones((1, 4), "f4"))[0].shape == (1, 4)
    with pytest.raises(InputError, match="closed"):
        model.resize({})


def test_a_length_that_is_not_whole_is_no_length():
    with Model.load(structures.open_batch()) as model:
        with pytest.raises(InputError, match=r"got \[1.7, 3\]"):
            model.resize({0: (1.7, 3)})
        model.resize({0: np.array([2, 3])})
        assert model.inputs[0].shape == (2, 3)


def test_the_other_byte_order_is_told_by_name():
    with (
        Model.load(structures.open_batch()) as model,
        pytest.raises(InputError, match=r"got float32 of the other byte order \[1, 3\]"),
    ):
        model.run(np.ones((1, 3), np.dtype(np.float32).newbyteorder()))


@pytest.mark.parametrize("isolated", ["yes", "", 0, 1.0])
def test_a_word_says_nothing_about_isolation(isolated):
    with pytest.raises(InputError, match="expected True, False, None or RunLimits"):
        Model.load(structures.open_batch(), isolated=isolated)


def test_a_length_of_zero_is_no_length():
    with (
        Model.load(structures.open_batch()) as model,
        pytest.raises(InputError, match=r"got \[0, 3\]"),
    ):
        model.run(np.ones((0, 3), np.float32))


@BOTH
def test_variables_go_on_until_they_are_reset(isolated):
    ones = np.ones(4, np.float32)
    with Model.load(structures.variable(), isolated=isolated) as model:
        assert [float(model.run(ones)[1][0]) for _ in range(3)] == [1, 2, 3]
        model.reset()
        assert [float(model.run(ones)[1][0]) for _ in range(2)] == [1, 2]


def test_resetting_a_model_without_variables_changes_nothing(fixtures):
    with Model.open(fixtures / "tiny_add.tflite") as model:
        view = model.input_view(0)
        model.reset()
        assert model.input_view(0) is view


@BOTH
def test_every_signature_can_be_run(isolated):
    x = np.array([1, 2, 3], np.float32)
    with Model.load(structures.two_signatures(), isolated=isolated) as model:
        assert list(model.signatures) == ["encode", "decode"]
        assert [info.name for info in model.signatures["decode"].outputs] == ["y", "x"]
        (code,) = model.run(x, signature="encode")
        np.testing.assert_array_equal(code, 2 * x)
        y, halved = model.run(code=x, signature="decode")
        np.testing.assert_array_equal(y, x + 1)
        np.testing.assert_array_equal(halved, x / 2)
        named = model.run_named(x, signature="decode")
        assert list(named) == ["y", "x"]
        np.testing.assert_array_equal(named["x"], x / 2)
        assert list(model.run_named(x)) == [model.outputs[0].name]
        np.testing.assert_array_equal(model.run(x)[0], 2 * x)


WRONG = [
    ((), {}, "sing", "no signature 'sing'; the model has decode, encode"),
    ((), {}, "decode", "'decode' takes 'code' float32"),
    ((np.ones(3, "f4"),) * 2, {}, "decode", "'decode' takes"),
    (
        (np.ones(3, "f4"),),
        {"code": np.ones(3, "f4")},
        "decode",
        "'code' of 'decode' is given twice",
    ),
    ((), {"x": np.ones(3, "f4")}, "decode", "'x' of 'decode' is unknown"),
    ((np.ones(4, "f4"),), {}, "decode", "got float32 [4]"),
    ((np.ones(3),), {}, "decode", "got float64 [3]"),
    ((np.full(3, np.nan, "f4"),), {}, "decode", "not finite"),
]


@pytest.mark.parametrize(("arrays", "named", "key", "message"), WRONG)
def test_wrong_inputs_of_a_signature(arrays, named, key, message):
    with Model.load(structures.two_signatures()) as model, pytest.raises(InputError) as caught:
        model.run(*arrays, signature=key, **named)
    assert message in str(caught.value)


def test_one_number_is_no_shape(fixtures):
    with (
        Model.open(fixtures / "tiny_add.tflite") as model,
        pytest.raises(InputError, match=r"input 0 is .*, got 4$"),
    ):
        model.resize({0: 4})
