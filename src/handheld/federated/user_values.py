"""What a user's own class returns, held to its protocol: one line instead of a traceback.

A wrong value would raise later in code of ours, or not at all: one number is added to all weights,
and a state whose round does not rise never ends.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handheld.errors import TrainingError

T = TypeVar("T")

# What no checkpoint holds without pickling: numpy's letter of Python objects.
_OBJECTS = "O"


def method_of(owner: object, name: str) -> str:
    """Return what a method is called in messages: ``own:Fading.apply``."""
    owner_class = type(owner)
    return f"{owner_class.__module__}:{owner_class.__qualname__}.{name}"


def require_type(source: str, value: Any, expected: type[T]) -> T:
    """Return a value of a type.

    Args:
        source: the method that returned it; see :func:`method_of`.
        value: what came.
        expected: its type.

    Raises:
        TrainingError: another type.
    """
    if isinstance(value, expected):
        return value
    raise _wrong(source, value, expected.__name__)


def require_vector(source: str, value: Any, count: int) -> NDArray[Any]:
    """Return (count,) numbers with a point, of any precision.

    Raises :class:`TrainingError` for anything else.
    """
    is_vector = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    if is_vector and value.shape == (count,):
        return np.asarray(value)
    raise _wrong(source, value, f"floats [{count}]")


def require_weights(source: str, value: Any, count: int) -> None:
    """Raise :class:`TrainingError` for anything but (count,) float32, as devices learn from."""
    if require_vector(source, value, count).dtype != np.float32:
        raise _wrong(source, value, f"float32 [{count}]: weights.astype(np.float32)")


def require_counts(source: str, value: Any) -> NDArray[Any]:
    """Return (n,) whole numbers of 0 or more. Raises :class:`TrainingError` for anything else."""
    # An empty list makes an array of float64.
    is_array = isinstance(value, np.ndarray) and (value.dtype.kind in "iu" or not value.size)
    if not is_array or value.ndim != 1:
        raise _wrong(source, value, "an array (n,) of whole numbers")
    if value.min(initial=0) < 0:
        raise TrainingError(f"{source} gives {value.min()}, expected numbers of 0 or more")
    return np.asarray(value)


def require_arrays(source: str, values: Any) -> Mapping[str, NDArray[Any]]:
    """Return arrays by name that a checkpoint can keep.

    Raises :class:`TrainingError` for anything else.
    """
    if not isinstance(values, Mapping):
        raise _wrong(source, values, "arrays by name")
    for name, value in values.items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind != _OBJECTS
        if not (isinstance(name, str) and is_array):
            raise TrainingError(
                f"{source} keeps {_described(value)} as {name!r}, expected an array of numbers"
                " by a name"
            )
    return dict(values)


def require_figures(source: str, values: Any) -> dict[str, float]:
    """Return figures by name as Python's own numbers, which JSON takes.

    Raises :class:`TrainingError` for what is no number, or has no name.
    """
    if not isinstance(values, Mapping):
        raise _wrong(source, values, "figures by name")
    figures = {}
    for name, value in values.items():
        if not isinstance(name, str) or not _has_number(value):
            raise TrainingError(
                f"{source} gives {_described(value)} as {name!r}, expected a number by a name"
            )
        figures[name] = float(value)
    return figures


def require_sequence(source: str, values: Any) -> Sequence[Any]:
    """Return values that are a sequence. Raises :class:`TrainingError` for anything else."""
    if isinstance(values, Sequence):
        return values
    raise _wrong(source, values, "a sequence")


def require_answers(source: str, values: Any, expected: type[T], count: int) -> Sequence[T]:
    """Return as many values of a type as devices were asked.

    Raises :class:`TrainingError` for anything else.
    """
    if not isinstance(values, Iterable):
        raise _wrong(source, values, f"a list of {expected.__name__}")
    answers = list(values)
    if len(answers) != count:
        raise TrainingError(f"{source} gives {len(answers)} answers of {count} devices")
    return [require_type(source, answer, expected) for answer in answers]


def number_of(value: Any) -> float:
    """Return a value as a number; NaN for what is none."""
    if _has_number(value):
        return float(value)
    return math.nan


def _has_number(value: Any) -> bool:
    # Not by type: numpy's and torch's scalars are numbers too.
    if not hasattr(value, "__float__"):
        return False
    try:
        float(value)
    except (TypeError, ValueError, RuntimeError):  # arrays and tensors of several numbers
        return False
    return True


def _wrong(source: str, value: Any, expected: str) -> TrainingError:
    """Return the error that a method's value is another than expected."""
    return TrainingError(f"{source} gives {_described(value)}, expected {expected}")


def _described(value: Any) -> str:
    """Return what came, in few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    if value is None:
        return "None"
    return type(value).__name__
