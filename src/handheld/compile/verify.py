"""Whether a model file does what the module does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handheld.compile._convert import Array, run
from handheld.compile._quantise import to_device
from handheld.engine import Model
from handheld.errors import CompileError, ModelError

if TYPE_CHECKING:
    import torch


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
    """
    expected = [[to_device(output) for output in run(module, inputs)] for inputs in tests]
    given = []
    with _opened(content) as model:
        for inputs in tests:
            fed = [
                info.to_stored(to_device(array))
                for array, info in zip(inputs, model.inputs, strict=True)
            ]
            given.append(
                [
                    info.to_real(array)
                    for array, info in zip(model.run(*fed), model.outputs, strict=True)
                ]
            )
    if [output.shape for output in given[0]] != [output.shape for output in expected[0]]:
        shapes = [[output.shape for output in one[0]] for one in (given, expected)]
        raise CompileError(f"the file gives shapes {shapes[0]}, the module {shapes[1]}")
    found = [_of_output(number, given, expected, floor) for number in range(len(expected[0]))]
    return max(found, key=lambda one: (np.isnan(one.size), one.size))


def _opened(content: bytes) -> Model:
    try:
        return Model.load(content, path="the compiled file")
    except ModelError as error:
        raise CompileError(
            f"the compiled file is none that can be run, which is no fault of the module's: {error}"
        ) from error


def _of_output(
    number: int, given: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]], floor: float
) -> Difference:
    pairs = [
        (there[number].astype(np.float64), here[number].astype(np.float64))
        for there, here in zip(given, expected, strict=True)
    ]
    real = np.concatenate([here.ravel() for _, here in pairs])
    spread = max(float(real.std()), floor * float(np.abs(real).max(initial=0.0)), 1e-6)
    worst = max(float(np.sqrt(np.mean((there - here) ** 2))) for there, here in pairs)
    return Difference(worst / spread, number)


def random_like(inputs: tuple[Array, ...], seed: int) -> tuple[Array, ...]:
    """Return inputs of the same shapes: normal with the mean and spread of each, or, for integers,
    drawn from its values.
    """
    rng = np.random.default_rng(seed)
    return tuple(_random_like(array, rng) for array in inputs)


def _random_like(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return np.asarray(rng.choice(array.ravel(), array.shape)).astype(array.dtype)
    wide = array.astype(np.float64)  # in which large numbers have a square
    drawn = wide.mean() + (wide.std() or 1.0) * rng.standard_normal(array.shape)
    most = np.finfo(array.dtype).max
    return np.asarray(drawn.clip(-most, most)).astype(array.dtype)
