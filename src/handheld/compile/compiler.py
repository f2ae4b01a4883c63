"""From a torch module to a verified model file."""

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from handheld.compile._converter import (
    FlatModule,
    by_rows,
    call,
    convert,
    is_flat,
    output_names,
)
from handheld.compile._flatbuffer import with_signature
from handheld.compile._inputs import Array, ExampleInputs
from handheld.compile._quantiser import quantise
from handheld.compile.verification import Difference, difference, random_like
from handheld.engine import embed
from handheld.errors import CompileError, InputError
from handheld.files import atomic_path
from handheld.ranges import in_range

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "float16", "int8_weights", "int8_tables", "int4_tables", "int8"]

TOLERANCE: dict[Precision, float] = {
    "float32": 1e-4,
    "float16": 2e-2,
    "int8_weights": 0.1,
    "int8_tables": 0.1,
    "int4_tables": 0.25,
    "int8": 0.25,
}
"""Largest accepted root-mean-square difference between file and module, over the spread of the
module's outputs.
"""

# Outputs that hardly vary are judged by this share of their size: rounding to 8 bits alone moves
# them by a tenth of the second one.
_FLOOR = 1e-3
_ROUNDED_FLOOR = 0.05

_RANDOM_CHECKS = 8  # inputs beside the example: several, as one may miss a branch or a range
_ADVICE = {
    "int8": "Keep its sensitive layers with keep_float=[...], calibrate with more of the training "
    "data, round weights alone with precision='int8_weights', or train it with eight bits in "
    "mind; ",
    "int4_tables": "Train its tables on that grid, or take precision='int8_tables'; ",
}


@dataclass(frozen=True)
class Compiled:
    """A model file that agrees with its module.

    Attributes:
        content: the ``.tflite`` file.
        precision: of its weights and, for int8, activations; layers that were kept in float32
            apart.
        difference: root-mean-square difference to the module, over the spread of the module's
            output over all inputs that they were compared on; the worst of all outputs and inputs.
        path: where it was written, if it was.
    """

    content: bytes
    precision: Precision
    difference: float
    path: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.content)


def to_tflite(  # noqa: PLR0913  # options by keyword, each by itself
    module: "torch.nn.Module",
    example: Any,
    *,
    metadata: Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    precision: Precision = "float32",
    calibration: Iterable[Any] = (),
    keep_float: Collection[str] = (),
    checks: Sequence[Any] = (),
    tolerance: float | None = None,
) -> Compiled:
    """Compile a module into a ``.tflite`` file, and verify the file against the module.

    Pictures, inputs and outputs of four dimensions, are (batch, channels, height, width) for the
    module and (batch, height, width, channels) in the file, the order in which devices keep them
    and in which kernels are fastest.

    Args:
        module: not changed; compiled as it is in evaluation mode. What it returns in nested tuples
            or dictionaries, the file gives one after the other. The names of a dictionary's
            entries, such as ``boxes`` or ``hidden.0``, are in the file's signature, for
            ``Model.run_named``; so are those of inputs that are given by name.
        example: a tensor or array, a tuple of them, or a dictionary of them by the names of the
            module's arguments; its shapes become the file's.
        metadata: stored in the file as its card, for ``Model.card``: labels, preprocessing,
            licence, training record, accuracy.
        out: where to write the file; it appears whole, and only if it agrees with the module.
        precision: float32; float16 (weights, half the size); int8_weights (weights by channel, a
            quarter of the size, activations stay float32); int8_tables and int4_tables (likewise,
            and embeddings in so many bits with one scale for each table: train them on that grid);
            or int8 (activations too, calibrated: the fastest).
        calibration: inputs like ``example`` from the training data, for int8; a hundred are plenty.
        keep_float: layers that stay in float32, as ``module.named_modules()`` calls them, with all
            that they hold: those that suffer most from int8, often the first and the last.
        checks: further inputs on which file and module must agree, beside random ones. For int8,
            which knows no range but that of its calibration, they take the place of random ones.
        tolerance: replaces that of :data:`TOLERANCE`.

    Raises:
        CompileError: the module cannot be exported, uses an operator that the format lacks (names
            the layer), gives values that are not finite, or the file does not agree with it.
        FileError: ``out`` cannot be written.
        InputError: int8 without calibration, an input that is not like the example, a layer to keep
            that there is not, a tolerance below 0, or no module that can be copied.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    if precision not in TOLERANCE:
        raise InputError(f"expected a precision of {', '.join(TOLERANCE)}, got {precision!r}")
    if tolerance is None:
        tolerance = TOLERANCE[precision]
    in_range("tolerance", tolerance, low=0, high=math.inf)
    inputs = ExampleInputs.of(example)
    samples = list(map(inputs.like, calibration))
    if precision == "int8" and not samples:
        raise InputError(
            "int8 needs calibration inputs: pass calibration=[...] with some of the training data"
        )
    network, names = _flattened(module, inputs)
    _check_names(module, keep_float)
    content = convert(network, inputs.arrays)
    tests = _tests(inputs, checks, samples, precision)
    floor = _FLOOR
    if precision != "float32":
        content = quantise(content, precision, samples, keep_float)
        floor = _ROUNDED_FLOOR
    # Before the card and the names: a file that disagrees is written nowhere.
    worst = difference(network, content, tests, floor)
    _require_agreement(worst, precision, tolerance)
    if inputs.names or names:
        content = with_signature(content, inputs.names, names)
    content = embed(content, metadata)
    path = None
    if out is not None:
        path = _write(Path(out), content)
    return Compiled(content, precision, worst.size, path)


def _flattened(
    module: "torch.nn.Module", inputs: ExampleInputs
) -> tuple["torch.nn.Module", tuple[str, ...]]:
    """Return a copy of a module that takes and gives tensors one by one, and its outputs' names."""
    # Late: it needs torch, whose absence the converter's file explains.
    from handheld._copies import copied

    # A copy, since it is moved, laid out anew and has its layers' classes changed.
    network = by_rows(_in_order(copied(module).cpu().eval()))
    result = call(network, inputs.arrays, inputs.names)
    if inputs.names or not is_flat(result):
        network = FlatModule(network, inputs.names)
    return network, output_names(result)


def _tests(
    inputs: ExampleInputs,
    checks: Sequence[Any],
    samples: Sequence[tuple[Array, ...]],
    precision: Precision,
) -> list[tuple[Array, ...]]:
    """Return the inputs on which file and module are compared."""
    tests = [inputs.arrays, *map(inputs.like, checks)]
    if precision != "int8":
        # The number of a test is its seed, so that a module is always compared on the same ones.
        tests += [random_like(inputs.arrays, seed) for seed in range(_RANDOM_CHECKS)]
    return [*tests, *samples[:_RANDOM_CHECKS]]


def _require_agreement(worst: Difference, precision: Precision, tolerance: float) -> None:
    """Raise :class:`CompileError` for a file that does not do what the module does."""
    if not math.isfinite(worst.size):
        hint = ""
        if precision == "float16":
            hint = ". float16 ends at 65,504: a weight or a sum is larger"
        raise CompileError(
            f"the {precision} file gives numbers that are not finite in output {worst.output}, "
            f"the module's are; nothing was written{hint}"
        )
    if worst.size > tolerance:
        raise CompileError(
            f"the {precision} file does not agree with the module: output {worst.output} differs "
            f"by {worst.size:.3g} of its spread, at most {tolerance:g} is accepted; nothing was "
            f"written. {_ADVICE.get(precision, '')}tolerance={1.1 * worst.size:.2g} accepts it"
        )


def _check_names(module: "torch.nn.Module", names: Collection[str]) -> None:
    # a text is a collection of its letters, each of which would be called no layer
    if isinstance(names, str):
        raise InputError(f"keep_float: expected a list of names of layers, got the text {names!r}")
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            similar = get_close_matches(name, known, n=5, cutoff=0.4) or known[:5]
            raise InputError(
                f"keep_float: no layer {name!r} in the module; near it: {', '.join(similar)}"
            )


def _in_order(network: "torch.nn.Module") -> "torch.nn.Module":
    """Lay out weights in the order of their axes.

    Of others, such as channels last, the converter mixes some up.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = tensor.data.contiguous()
    return network


def _write(path: Path, content: bytes) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path
