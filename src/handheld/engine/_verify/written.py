"""What an operator writes: shapes by the rules, held against what the file declares."""

import math
from typing import NoReturn

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.call import Call
from handheld.engine._verify.custom import structure
from handheld.engine._verify.flatbuffer import CorruptError, Table, unsupported
from handheld.engine._verify.fold import fold
from handheld.engine._verify.shapes import COUNTED, output_shapes
from handheld.engine._verify.tensors import MAX_BYTES, agrees, ensure_size, is_empty, type_name
from handheld.engine._verify.walk import GraphWalk, Step

_INTEGERS = {"int32": "<i4", "int64": "<i8"}
_FOLDED = ("int32", "int64", "bool")
# Elements that a convolution spreads out at once; beyond, its buffer's size overflows 32 bits.
_MOST_SPREAD = 1 << 30
SPREADING = ("CONV_2D", "TRANSPOSE_CONV")


class ShapeError(CorruptError):
    """Shapes do not go together; where inputs are open, those of other lengths may."""


def computed_shapes(step: Step) -> list[Shape] | None:
    """Shapes of the outputs by the operator's own arithmetic; None: only a run can tell."""
    try:
        try:
            return output_shapes(step.name, _call(step, constants_alone=True))
        except LookupError:
            # The runtime may learn at a run alone what we know from other shapes.
            step.walk.steady = False
            return output_shapes(step.name, _call(step, constants_alone=False))
    except LookupError:
        step.doubt("shapes that only a run can tell, or a kernel without a rule")
        return None
    except ValueError as error:
        _refuse_shapes(step.path, str(error))


def _refuse_shapes(path: str, problem: str) -> NoReturn:
    error = ShapeError(problem)
    error.path.append(path)
    raise error


def _call(step: Step, *, constants_alone: bool) -> Call:
    shapes = step.shapes_of("inputs")
    # Of inputs without a shape, those that have a tensor are unknown, the others absent.
    pairs = zip(shapes, step.inputs, strict=True)
    unknown = [i for i, (shape, tensor) in enumerate(pairs) if shape is None and tensor]
    return Call(
        shapes=shapes,
        values=[_value(i, step.walk, constants_alone) for i in step.node["inputs"]],
        options=step.options or _structure(step),
        outputs=step.declared_shapes(),
        unknown=unknown,
    )


def _structure(step: Step) -> Table:
    """Options of the custom operators that have neither a table nor a map."""
    if not len(step.node["custom_options"]):
        return {}
    return {"structure": structure(step.node)}


def _value(index: int, walk: GraphWalk, constants_alone: bool) -> np.ndarray | None:
    """Values of an integer constant; an empty float array for other constants; None if unknown."""
    if index < 0:
        return None
    tensor = walk.graph["tensors"][index]
    if is_empty(tensor):
        # Known without a run, wherever it comes from: an empty list of axes, for one.
        return np.empty(0, _INTEGERS.get(type_name(tensor), "f4"))
    if index not in walk.constants and constants_alone:
        return None
    if index not in walk.constants:
        return walk.values.get(index)
    layout = _INTEGERS.get(type_name(tensor))
    if tensor["sparsity"] or not layout:
        return np.empty(0, layout or "f4")
    data = walk.tables.buffers[tensor["buffer"]]["data"]
    return np.asarray(data).view(layout).reshape(tensor["shape"])


def note_shapes(step: Step, shapes: list[Shape] | None) -> None:
    """Note the shapes of the outputs, and their values where they can be told.

    Args:
        step: the operator.
        shapes: of its outputs; None: only a run can tell.
    """
    indices = step.node["outputs"]
    if shapes is None:
        for i in indices:
            step.walk.shapes[i] = None
        return
    for i, shape in zip(indices, shapes, strict=True):
        step.walk.shapes[i] = tuple(shape)
    for i in indices:
        _compare(step, i, shapes)
    if len(indices) == 1:
        _fold(step)


def _compare(step: Step, index: int, shapes: list[Shape]) -> None:
    """Hold a computed shape against the declared one, which the delegate believes."""
    walk = step.walk
    tensor = walk.graph["tensors"][index]
    declared = tuple(tensor["shape"])
    shape = walk.shapes[index]
    assert shape is not None
    if declared == shape:
        return
    # The declared sizes are summed before the walk; what is larger comes on top.
    walk.extra_bytes += ensure_size(step.path, shape, type_name(tensor))
    if walk.extra_bytes > MAX_BYTES:
        unsupported(step.path, f"tensors need more than {MAX_BYTES} bytes together")
    # Without a signature no side is open; that of a scalar would be as long as the shape.
    signature = tensor["shape_signature"]
    if signature and agrees(signature, shape):
        return
    # Files that are right declare such shapes; those of a resized model are of other lengths.
    counted = step.name in COUNTED and math.prod(declared) == math.prod(shape)
    if counted or walk.resized:
        step.doubt(f"an output of shape {declared} that will be {shape}")
        return
    problem = f"outputs are declared as {[declared]}, but inputs and options give {shapes}"
    _refuse_shapes(step.path, problem)


def _fold(step: Step) -> None:
    """Note the value of the one output if it is computed from values that are known."""
    (index,) = step.node["outputs"]
    (output,) = step.outputs
    shape = step.walk.shapes[index]
    if type_name(output) not in _FOLDED or shape is None:
        return
    call = _call(step, constants_alone=False)
    settled = Call(call.shapes, call.values, call.options, [shape], call.unknown)
    try:
        value = fold(step.name, settled, np.dtype(type_name(output)))
    except ValueError as error:
        _refuse_shapes(step.path, str(error))
    if value is not None:
        step.walk.values[index] = value


def check_spread(step: Step) -> None:
    """Doubt a convolution whose kernel would spread out more than its 32 bits can count."""
    _, kernel, *others = step.shapes_of("inputs")
    if step.name == "TRANSPOSE_CONV":
        picture = others[0]
        first = 0
    else:
        # Each position of the output copies a window of the input.
        (picture,) = step.shapes_of("outputs")
        first = 1
    if picture is None or kernel is None:
        return
    window = kernel[first : first + 3]
    if math.prod(picture[:3]) * math.prod(window) > _MOST_SPREAD:
        step.doubt("a convolution that needs a buffer of more than 32 bits can count")
