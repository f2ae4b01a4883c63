"""Data that a program holds already: pairs of an example and its label, as a torch ``Dataset`` gives them."""

import operator
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.errors import InputError


class Pairs(Protocol):
    """Gives (example, label) by number."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one. Raises ``OSError`` or ``ValueError`` for one that cannot be read."""


def from_pairs(
    train: Pairs,
    valid: Pairs | float = 0.1,
    test: Pairs | float = 0.1,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
) -> Splits:
    """Read labelled data from a torch ``Dataset``, a list of pairs, or anything else with a length and pairs by number.

    A picture is an image of Pillow's, an array (height, width) or (height, width, channels), or a torch tensor (channels,
    height, width); uint8, or floats of 0 to 1. It is read once, so leave random changes out: ``compress`` makes its own.

    Args:
        train: (picture or text, label) pairs to learn from.
        valid, test: pairs to choose by and to report on, or the fraction of each class of ``train`` to set apart.
        classes: names of the labels; those that ``train.classes`` lists, or else the numbers.
        seed: of that division.

    Raises:
        InputError: pictures of different sizes or of values that are none of a picture, labels that are no class, an empty
            split. A single pair that cannot be read is left out and named in ``skipped``.
    """
    given = {"train": train, "valid": valid, "test": test}
    fractions = {name: pairs for name, pairs in given.items() if isinstance(pairs, int | float)}
    skipped: list[Skipped] = []
    read = {name: _read(name, pairs, skipped) for name, pairs in given.items() if not isinstance(pairs, int | float)}
    if not read["train"][1]:
        raise InputError("no pair of the training data could be read" if skipped else "the training data holds no pairs")
    names = classes or getattr(train, "classes", None) or range(max(max(labels, default=0) for _, labels in read.values()) + 1)
    parts = {name: _dataset(name, examples, labels, tuple(map(str, names))) for name, (examples, labels) in read.items()}
    return Splits.of(parts, skipped, valid=fractions.get("valid", 0.1), test=fractions.get("test", 0.1), seed=seed)


def _read(name: str, pairs: Pairs, skipped: list[Skipped]) -> tuple[list[Any], list[int]]:
    examples: list[Any] = []
    labels: list[int] = []
    for index in range(len(pairs)):
        where = f"{name} example {index}"
        try:
            example, label = pairs[index]
            found = example if isinstance(example, str) else _picture(example, where)
        except InputError:
            raise
        except (OSError, ValueError, SyntaxError) as error:
            skipped.append(Skipped(where, str(error) or type(error).__name__))
            continue
        try:
            labels.append(operator.index(label))
        except TypeError as error:
            raise InputError(f"{where}: expected a whole number as its label, got {label!r}") from error
        examples.append(found)
    return examples, labels


def _picture(example: Any, where: str) -> NDArray[np.uint8]:
    """Return (height, width, channels) uint8. Raises ``ValueError`` if this one is broken, :class:`InputError` if all are."""
    array = np.asarray(example)
    if hasattr(example, "movedim") and array.ndim == 3:  # a torch tensor has its channels first
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(f"{where}: expected a picture (height, width, channels) or a text, got {type(example).__name__}")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError("holds values that are not finite")
        if array.min() < 0 or array.max() > 1:
            found = f"{array.min():.3g} to {array.max():.3g}"
            raise InputError(f"{where}: values of {found}; expected uint8, or floats of 0 to 1, not normalised")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"{where}: expected uint8, or floats of 0 to 1, got {array.dtype}")
    return np.ascontiguousarray(array)


def _dataset(name: str, examples: list[Any], labels: list[int], classes: tuple[str, ...]) -> Dataset:
    numbers = np.array(labels, np.int64)
    if all(isinstance(example, str) for example in examples):
        return Dataset(tuple(examples), numbers, classes)
    shapes = {getattr(example, "shape", "a text") for example in examples}
    if len(shapes) > 1:
        raise InputError(f"the {name} examples have different sizes, {' and '.join(sorted(map(str, shapes))[:2])}: resize them")
    return Dataset(np.stack(examples), numbers, classes)
