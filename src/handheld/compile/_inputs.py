"""A module's inputs as arrays: what an example says of them, and others that are like it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Array = NDArray[Any]

_MAX_INT = np.iinfo(np.int32).max  # devices count in 32 bits


@dataclass(frozen=True)
class ExampleInputs:
    """What a module is given.

    Attributes:
        arrays: in the layout of the module, in the order of its arguments.
        names: of the arguments; none where they go by position.
    """

    arrays: tuple[Array, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, example: Any) -> "ExampleInputs":
        """Return the inputs of a module.

        Args:
            example: a tensor or array, or several in a tuple or by name.

        Raises:
            InputError: something is no array of finite numbers.
        """
        names = _names_of(example)
        return cls(_arrays(example, names), names)

    def like(self, sample: Any) -> tuple[Array, ...]:
        """Return another input as arrays, in the order of this one.

        Raises:
            InputError: it has other names, shapes or types, or numbers that are not finite.
        """
        if self.names and set(self.names) != set(_names_of(sample)):
            got = ", ".join(map(repr, _names_of(sample))) or "inputs without names"
            raise InputError(
                "expected inputs by the example's names, "
                f"{', '.join(map(repr, self.names))}, got {got}"
            )
        # In the example's order: a dictionary may have its entries in another.
        arrays = _arrays(sample, self.names or _names_of(sample))
        expected = list(map(_form, self.arrays))
        forms = list(map(_form, arrays))
        if forms != expected:
            raise InputError(
                f"expected an input like the example, {', '.join(expected)}, got {', '.join(forms)}"
            )
        return arrays


def to_device(array: Array) -> Array:
    """Return a picture (batch, channels, height, width) channels last, anything else as it is."""
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _names_of(example: Any) -> tuple[str, ...]:
    """Return the names of a module's arguments, where an example gives them by name."""
    if not isinstance(example, Mapping):
        return ()
    return tuple(example)


def _arrays(example: Any, names: tuple[str, ...]) -> tuple[Array, ...]:
    if names:
        values = [example[name] for name in names]
    elif isinstance(example, tuple | list):
        values = list(example)
    else:
        values = [example]
    arrays = tuple(map(_array, values))
    for array in arrays:
        _check_numbers(array)
    return arrays


def _array(value: Any) -> Array:
    if not hasattr(value, "detach"):  # no torch tensor
        return np.asarray(value)
    if str(value.dtype) == "torch.bfloat16":  # which numpy does not know
        raise InputError("expected a tensor that a file can hold, got bfloat16: give it as float32")
    # by texts: torch is not imported here, where arrays alone may be given
    tensor = value.detach().cpu()
    if str(tensor.layout) != "torch.strided":
        tensor = tensor.to_dense()
    return np.asarray(tensor.numpy())


def _check_numbers(array: Array) -> None:
    if array.dtype.kind not in "fiub" or not array.size:
        raise InputError(f"expected tensors of numbers, got {_form(array)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("an input holds values that are not finite")
    # torch's indices have 64 bits, those of devices 32.
    if array.dtype != np.int64:
        return
    low = int(array.min())
    high = int(array.max())
    if low < -_MAX_INT or high > _MAX_INT:
        raise InputError(
            f"expected whole numbers of at most {_MAX_INT:,}, for 32 bits, got {low:,} to {high:,}"
        )


def _form(array: Array) -> str:
    return f"{array.dtype} {list(array.shape)}"
