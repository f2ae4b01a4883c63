"""Whether a model file does what the module does."""

from typing import TYPE_CHECKING

import numpy as np

from handheld.compile._convert import Array, run
from handheld.compile._quantise import to_device
from handheld.engine import Model
from handheld.errors import CompileError

if TYPE_CHECKING:
    import torch


def difference(module: "torch.nn.Module", content: bytes, inputs: tuple[Array, ...]) -> float:
    """Return the root-mean-square difference between a file's and a module's outputs, over the spread of the module's.

    Args:
        module: in evaluation mode.
        content: the ``.tflite`` file; integer inputs and outputs are scaled by its own quantisation.
        inputs: as the module takes them.
    """
    expected = [to_device(output) for output in run(module, inputs)]
    with Model.load(content, path="the compiled file") as model:
        fed = [info.to_stored(to_device(array)) for array, info in zip(inputs, model.inputs, strict=True)]
        given = [info.to_real(array) for array, info in zip(model.run(*fed), model.outputs, strict=True)]
    if [output.shape for output in given] != [output.shape for output in expected]:
        raise CompileError(f"the file gives shapes {[o.shape for o in given]}, the module {[o.shape for o in expected]}")
    worst = 0.0
    for there, here in zip(given, expected, strict=True):
        spread = max(float(here.std()), 1e-3 * float(np.abs(here).max()), 1e-6)
        worst = max(worst, float(np.sqrt(np.mean((there - here) ** 2))) / spread)
    return worst


def random_like(inputs: tuple[Array, ...], seed: int) -> tuple[Array, ...]:
    """Return inputs of the same shapes: normal with the mean and spread of each, or, for integers, drawn from its values."""
    rng = np.random.default_rng(seed)
    return tuple(
        (array.mean() + (array.std() or 1.0) * rng.standard_normal(array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else rng.choice(array.ravel(), array.shape).astype(array.dtype)
        for array in inputs
    )
