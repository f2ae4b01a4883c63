"""State that a module keeps in plain Python attributes: torch neither knows it nor resets it."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from handheld._copies import copied

_TORCHS_OWN = frozenset(vars(nn.Module()))
"""What every module has: weights, buffers, hooks, whether it trains."""

_ABSENT = object()
_DEEPEST = 4  # values within values that are compared; beyond, they count as the same


class PlainState:
    """Plain attributes that change while a module runs, and what they were before.

    One module learns for one device after another. A mean or a counter that it keeps for itself,
    and not as a buffer, would bring what one device had to the next: results would depend on who
    learned where, and noise would not hide it.
    """

    def __init__(self, before: Mapping[tuple[str, str], Any]) -> None:
        self._before = before

    @classmethod
    def of(cls, module: nn.Module, forward: Callable[[nn.Module], None]) -> Self:
        """Find out what changes when a copy of a module runs.

        Nothing, where it raises: who tries it next says so.
        """
        tried = copied(module).train()
        before = _attributes(tried, copy=True)
        try:
            forward(tried)
        except Exception:
            return cls({})
        after = _attributes(tried, copy=False)
        changed = {}
        for key in before | after:
            old = before.get(key, _ABSENT)
            if not _same(old, after.get(key, _ABSENT), 0):
                changed[key] = old
        return cls(changed)

    def __bool__(self) -> bool:
        return bool(self._before)

    def restore(self, module: nn.Module) -> None:
        """Give a module's attributes the values that they had before anybody learned."""
        # Nearly always so, and this runs for each device of each round.
        if not self._before:
            return
        modules = dict(module.named_modules())
        for (name, attribute), value in self._before.items():
            # Past torch's own way to set them, which looks for weights.
            attributes = modules[name].__dict__
            if value is _ABSENT:
                attributes.pop(attribute, None)
            else:
                attributes[attribute] = deepcopy(value)


def _attributes(module: nn.Module, *, copy: bool) -> dict[tuple[str, str], Any]:
    values = {}
    for name, one in module.named_modules():
        for attribute, value in vars(one).items():
            if attribute in _TORCHS_OWN:
                continue
            try:
                if copy:
                    value = deepcopy(value)
            except Exception:  # what cannot be copied cannot be restored either
                continue
            values[name, attribute] = value
    return values


def _same(one: Any, other: Any, depth: int) -> bool:
    """Whether two values are alike, as far as one can look into them."""
    if one is other or depth > _DEEPEST:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor | np.ndarray):
        return _same_numbers(one, other)
    if isinstance(one, list | tuple | dict):
        return _same_items(one, other, depth)
    # Objects that say nothing of when they are alike are compared by what they hold.
    if "__eq__" not in vars(type(one)):
        return _same(getattr(one, "__dict__", {}), getattr(other, "__dict__", {}), depth + 1)
    try:
        return bool(one == other)
    except Exception:  # a comparison that has no answer
        return False


def _same_numbers(one: Any, other: Any) -> bool:
    """Whether two tensors, or two arrays, hold the same."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    # Torch compares numbers of two types.
    return one.dtype == other.dtype and bool(torch.equal(one, other))


def _same_items(one: Any, other: Any, depth: int) -> bool:
    """Whether two lists, tuples or dictionaries of one type hold the same."""
    if len(one) != len(other):
        return False
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return False
        return all(_same(value, other[key], depth + 1) for key, value in one.items())
    return all(_same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
