"""Whether a model file does what the module does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handheld.compile._converter import run
from handheld.compile._inputs import Array, to_device
from handheld.engine import Model
from handheld.errors import CompileError, ModelError

if TYPE_CHECKING:
    import torch

_MIN_SPREAD = 1e-6  # of outputs that are always 0, by which nothing can be divided


class Difference(NamedTuple):
    """How far a file is from its module.

    Attributes:
        size: root-mean-square difference of an output to the module's, over the spread of that
            output over all inputs; the largest of all outputs and inputs.
        output: which output that is of.
    """

    size: float
    output: int


def difference(
    module: "torch.nn.Module",
    content: bytes,
    tests: Sequence[tuple[Array, ...]],
    floor: float = 1e-3,
) -> Difference:
    """Compare a file with a module.

    One number has no spread: that of an output is taken over all its values for all inputs.

    Args:
        module: in evaluation mode.
        content: the ``.tflite`` file; integer inputs and outputs are scaled by its own
            quantisation.
        tests: inputs as the module takes them, one or more.
        floor: an output that hardly varies is judged by this share of its largest value instead.

    Where the module gives what is no finite number there is nothing to agree on; a file that does
    so where the module does not differs by infinity or NaN.
    """
    expected = [list(map(to_device, run(module, inputs))) for inputs in tests]
    # By our own engine: it is what will run the file.
    actual = _run_file(content, tests)
    expected_shapes = _shapes(expected[0])
    shapes = _shapes(actual[0])
    if shapes != expected_shapes:
        raise CompileError(f"the file gives shapes {shapes}, the module {expected_shapes}")
    differences = []
    for number in range(len(expected[0])):
        ours = [outputs[number] for outputs in actual]
        theirs = [outputs[number] for outputs in expected]
        differences.append(Difference(_relative_error(ours, theirs, floor), number))
    # What is not a number is the worst of all, and compares with nothing.
    return max(differences, key=lambda difference: (np.isnan(difference.size), difference.size))


def _shapes(outputs: Sequence[Array]) -> list[tuple[int, ...]]:
    return [output.shape for output in outputs]


def _run_file(content: bytes, tests: Sequence[tuple[Array, ...]]) -> list[list[Array]]:
    """Return the outputs of a file for each input, as real numbers."""
    outputs = []
    with _opened(content) as model:
        for inputs in tests:
            stored = _stored(inputs, model)
            results = zip(model.run(*stored), model.outputs, strict=True)
            outputs.append([info.to_real(array) for array, info in results])
    return outputs


def _stored(inputs: tuple[Array, ...], model: Model) -> list[Array]:
    """Return inputs of a module as its file takes them."""
    stored = []
    for array, info in zip(inputs, model.inputs, strict=True):
        stored.append(info.to_stored(to_device(array)))
    return stored


def _opened(content: bytes) -> Model:
    try:
        return Model.load(content, path="the compiled file")
    except ModelError as error:
        raise CompileError(
            f"the compiled file is none that can be run, which is no fault of the module's: {error}"
        ) from error


def _relative_error(actual: Sequence[Array], expected: Sequence[Array], floor: float) -> float:
    """Return the largest error of an output for any of the inputs, over its spread over all."""
    values = np.concatenate([array[np.isfinite(array)] for array in expected]).astype(np.float64)
    if not values.size:
        return 0.0
    size = float(np.abs(values).max())
    spread = max(float(values.std()), floor * size, _MIN_SPREAD)
    errors = []
    for ours, theirs in zip(actual, expected, strict=True):
        # Random inputs may be such as the module was never meant for: a logarithm's below 0.
        is_known = np.isfinite(theirs)
        if is_known.any():
            errors.append(_root_mean_square(ours[is_known], theirs[is_known]))
    # By numpy, whose largest is NaN wherever one is; Python's is so only where the first one is.
    return float(np.max(errors)) / spread


def _root_mean_square(ours: Array, theirs: Array) -> float:
    # In 64 bits, in which large numbers have a square.
    error = ours.astype(np.float64) - theirs.astype(np.float64)
    return float(np.sqrt(np.mean(error**2)))


def random_like(inputs: tuple[Array, ...], seed: int) -> tuple[Array, ...]:
    """Return inputs of the same shapes.

    They are normal with the mean and spread of each, or, for integers, drawn from its values. The
    same seed gives the same ones.
    """
    rng = np.random.default_rng(seed)
    return tuple(_random_like(array, rng) for array in inputs)


def _random_like(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return np.asarray(rng.choice(array.ravel(), array.shape)).astype(array.dtype)
    wide = array.astype(np.float64)  # in which large numbers have a square
    # Numbers like the example's: what a network was never meant for may be infinite.
    drawn = wide.mean() + (wide.std() or 1.0) * rng.standard_normal(array.shape)
    largest = np.finfo(array.dtype).max
    return np.asarray(drawn.clip(-largest, largest)).astype(array.dtype)
