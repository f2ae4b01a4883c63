"""Integers that are known before a run: exporters compute shapes from shapes, in the graph itself.

Only what such arithmetic uses is computed, with numpy, whose integers wrap as the kernels' do.
What is not computed here is not wrong: it is known only at run time.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from handheld.engine._verify.call import Call

_MOST = 4096  # numbers; shapes are short, and the file must not make us work

Values = Sequence[np.ndarray]


def _gather(call: Call, values: Values) -> np.ndarray:
    if call.option("batch_dims"):
        raise LookupError
    if values[1].size and not 0 <= values[1].min() <= values[1].max() < values[0].shape[0]:
        raise ValueError(f"gathers {values[1].ravel()[:8]} of {values[0].shape[0]}")
    return np.take(values[0], values[1], axis=call.option("axis"))


def _strided_slice(call: Call, values: Values) -> np.ndarray:
    masks = ("ellipsis_mask", "new_axis_mask", "offset")
    if values[0].ndim != 1 or any(call.option(mask) for mask in masks):
        raise LookupError
    begin, end, step = (int(value.flat[0]) for value in values[1:4])
    if call.option("shrink_axis_mask") & 1:
        return np.asarray(values[0][begin])
    start = None if call.option("begin_mask") & 1 else begin
    stop = None if call.option("end_mask") & 1 else end
    return np.asarray(values[0][start:stop:step])


def _slice(call: Call, values: Values) -> np.ndarray:
    if values[0].ndim != 1:
        raise LookupError
    begin, size = int(values[1].flat[0]), int(values[2].flat[0])
    return np.asarray(values[0][begin : None if size == -1 else begin + size])


def _divide(call: Call, values: Values) -> np.ndarray:
    if not values[1].all():
        raise LookupError  # the runtime answers with an error of its own
    return np.asarray(values[0] // values[1])


def _reduce(operation: Callable[..., np.ndarray]) -> Callable[[Call, Values], np.ndarray]:
    def folded(call: Call, values: Values) -> np.ndarray:
        axes = tuple(int(axis) for axis in values[1].flat)
        keep = bool(call.option("keep_dims"))
        result = operation(values[0], axis=axes, keepdims=keep)
        return np.asarray(result, values[0].dtype)

    return folded


def _select(call: Call, values: Values) -> np.ndarray:
    return np.where(values[0], values[1], values[2])


def _broadcast_args(call: Call, values: Values) -> np.ndarray:
    shape = np.broadcast_shapes(*(tuple(map(int, value)) for value in values))
    return np.array(shape, values[0].dtype)


def _fill(call: Call, values: Values) -> np.ndarray:
    return np.broadcast_to(values[1], call.outputs[0])


_FOLDS: dict[str, Callable[[Call, Values], np.ndarray]] = {
    "ABS": lambda call, values: np.abs(values[0]),
    "ADD": lambda call, values: values[0] + values[1],
    "BROADCAST_ARGS": _broadcast_args,
    "CAST": lambda call, values: values[0],
    "CONCATENATION": lambda call, values: np.concatenate(values, axis=call.option("axis")),
    "EQUAL": lambda call, values: values[0] == values[1],
    "EXPAND_DIMS": lambda call, values: values[0],
    "FILL": _fill,
    "FLOOR_DIV": _divide,
    "GATHER": _gather,
    "GREATER": lambda call, values: values[0] > values[1],
    "LESS": lambda call, values: values[0] < values[1],
    "MAXIMUM": lambda call, values: np.maximum(values[0], values[1]),
    "MINIMUM": lambda call, values: np.minimum(values[0], values[1]),
    "MUL": lambda call, values: values[0] * values[1],
    "NEG": lambda call, values: -values[0],
    "NOT_EQUAL": lambda call, values: values[0] != values[1],
    "PACK": lambda call, values: np.stack(values, axis=call.option("axis")),
    "REDUCE_MAX": _reduce(np.max),
    "REDUCE_MIN": _reduce(np.min),
    "REDUCE_PROD": _reduce(np.prod),
    "RESHAPE": lambda call, values: values[0],
    "SELECT": _select,
    "SELECT_V2": _select,
    "SLICE": _slice,
    "SQUARE": lambda call, values: values[0] * values[0],
    "SQUEEZE": lambda call, values: values[0],
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda call, values: values[0] - values[1],
    "SUM": _reduce(np.sum),
    "TILE": lambda call, values: np.tile(values[0], values[1]),
    "TRANSPOSE": lambda call, values: np.transpose(values[0], values[1]),
    "ZEROS_LIKE": lambda call, values: np.zeros_like(values[0]),
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
    values = [value for value in call.values if value is not None]
    if name not in _FOLDS or len(values) != len(call.values):
        return None
    if call.option("fused_activation_function"):
        return None
    size = sum(value.size for value in values) + math.prod(call.outputs[0])
    if size > _MOST:
        return None
    try:
        with np.errstate(over="ignore"):
            result = np.asarray(_FOLDS[name](call, values), dtype)
    except (LookupError, TypeError):
        return None
    return result.reshape(call.outputs[0])
