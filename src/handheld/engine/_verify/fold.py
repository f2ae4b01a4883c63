"""Integers that are known before a run: exporters compute shapes from shapes, in the graph itself.

Only what such arithmetic uses is computed, with numpy, whose integers wrap as the kernels' do.
What is not computed here is not wrong: it is known only at run time.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from handheld.engine._verify.call import Call

_MOST_NUMBERS = 4096  # shapes are short, and the file must not make us work

Values = Sequence[np.ndarray]


def _gather(call: Call, values: Values) -> np.ndarray:
    if call.option("batch_dims"):
        raise LookupError
    data, indices = values
    # Numpy would take negative ones from the end, the kernel reads before the data.
    if indices.size and not 0 <= indices.min() <= indices.max() < data.shape[0]:
        raise ValueError(f"gathers {indices.ravel()[:8]} of {data.shape[0]}")
    return np.take(data, indices, axis=call.option("axis"))


def _strided_slice(call: Call, values: Values) -> np.ndarray:
    masks = ("ellipsis_mask", "new_axis_mask", "offset")
    if values[0].ndim != 1 or any(map(call.option, masks)):
        raise LookupError
    # Of one axis, so that bit 0 of a mask says everything.
    begin, end, step = (int(value.flat[0]) for value in values[1:4])
    if call.option("shrink_axis_mask") & 1:
        return np.asarray(values[0][begin])
    start: int | None = begin
    if call.option("begin_mask") & 1:
        start = None
    stop: int | None = end
    if call.option("end_mask") & 1:
        stop = None
    return np.asarray(values[0][start:stop:step])


def _slice(call: Call, values: Values) -> np.ndarray:
    if values[0].ndim != 1:
        raise LookupError
    begin = int(values[1].flat[0])
    size = int(values[2].flat[0])
    if size == -1:  # all that follows
        return np.asarray(values[0][begin:])
    return np.asarray(values[0][begin : begin + size])


def _divide(call: Call, values: Values) -> np.ndarray:
    if not values[1].all():
        raise LookupError  # the runtime answers with an error of its own
    return np.asarray(values[0] // values[1])


def _reduce(operation: Callable[..., np.ndarray]) -> Callable[[Call, Values], np.ndarray]:
    def folded(call: Call, values: Values) -> np.ndarray:
        axes = tuple(map(int, values[1].flat))
        keep = bool(call.option("keep_dims"))
        result = operation(values[0], axis=axes, keepdims=keep)
        # Numpy sums narrow integers in 64 bits, the kernel in their own.
        return np.asarray(result, values[0].dtype)

    return folded


def _broadcast_args(call: Call, values: Values) -> np.ndarray:
    shapes = [tuple(map(int, value)) for value in values]
    return np.array(np.broadcast_shapes(*shapes), values[0].dtype)


def _fill(call: Call, values: Values) -> np.ndarray:
    return np.broadcast_to(values[1], call.outputs[0])


def _same(call: Call, values: Values) -> np.ndarray:
    """Operators that change the shape or the type alone, both of which ``fold`` sets."""
    return values[0]


def _plain(operation: Callable[..., np.ndarray]) -> Callable[[Call, Values], np.ndarray]:
    """An operator without options that matter, as numpy has it."""

    def folded(call: Call, values: Values) -> np.ndarray:
        return operation(*values)

    return folded


def _concatenation(call: Call, values: Values) -> np.ndarray:
    return np.concatenate(values, axis=call.option("axis"))


def _pack(call: Call, values: Values) -> np.ndarray:
    return np.stack(values, axis=call.option("axis"))


_FOLDS: dict[str, Callable[[Call, Values], np.ndarray]] = {
    "ABS": _plain(np.abs),
    "ADD": _plain(np.add),
    "BROADCAST_ARGS": _broadcast_args,
    "CAST": _same,
    "CONCATENATION": _concatenation,
    "EQUAL": _plain(np.equal),
    "EXPAND_DIMS": _same,
    "FILL": _fill,
    "FLOOR_DIV": _divide,
    "GATHER": _gather,
    "GREATER": _plain(np.greater),
    "LESS": _plain(np.less),
    "MAXIMUM": _plain(np.maximum),
    "MINIMUM": _plain(np.minimum),
    "MUL": _plain(np.multiply),
    "NEG": _plain(np.negative),
    "NOT_EQUAL": _plain(np.not_equal),
    "PACK": _pack,
    "REDUCE_MAX": _reduce(np.max),
    "REDUCE_MIN": _reduce(np.min),
    "REDUCE_PROD": _reduce(np.prod),
    "RESHAPE": _same,
    "SELECT": _plain(np.where),
    "SELECT_V2": _plain(np.where),
    "SLICE": _slice,
    "SQUARE": _plain(np.square),
    "SQUEEZE": _same,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _plain(np.subtract),
    "SUM": _reduce(np.sum),
    "TILE": _plain(np.tile),
    "TRANSPOSE": _plain(np.transpose),
    "ZEROS_LIKE": _plain(np.zeros_like),
}


def fold(name: str, call: Call, dtype: np.dtype[np.generic]) -> np.ndarray | None:
    """Return the value of the one output of operator ``name``, or None if only a run can tell.

    Args:
        name: of the operator.
        call: its operands; the output's shape is the one that the rules gave.
        dtype: that the output declares, of integers or bool.

    Raises:
        ValueError: the operator cannot be computed from these values.
    """
    if name == "SHAPE":
        return np.array(call.shape(0), dtype)
    if name == "RANK":
        return np.array(len(call.shape(0)), dtype)
    values = _known_values(call)
    if name not in _FOLDS or values is None or call.option("fused_activation_function"):
        return None
    try:
        with np.errstate(over="ignore"):
            result = np.asarray(_FOLDS[name](call, values), dtype)
    except (LookupError, TypeError):
        return None
    return result.reshape(call.outputs[0])


def _known_values(call: Call) -> Values | None:
    """Values of all inputs; None if one is not known, or they are too many numbers."""
    values = [value for value in call.values if value is not None]
    size = sum(value.size for value in values) + math.prod(call.outputs[0])
    if len(values) != len(call.values) or size > _MOST_NUMBERS:
        return None
    return values
