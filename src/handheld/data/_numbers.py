"""Labels that are numbers without names."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Labels = NDArray[np.int64]

_MOST = 100_000  # classes without names


def numbered(
    labels: Mapping[str, Labels],
) -> tuple[tuple[str, ...], dict[str, Labels], tuple[str, ...]]:
    """Name classes by the numbers that some example has; a class without any would be an output
    that nothing teaches.

    Args:
        labels: split -> (n,) numbers of 0 or more.

    Returns:
        The names, each split's labels as places among them, and a note where numbers in between are
        left out.

    Raises:
        InputError: numbers below 0, or too large ones.

    >>> names, places, notes = numbered({"train": np.array([1, 2, 4, 2])})
    >>> names, places["train"].tolist(), notes
    (('1', '2', '4'), [0, 1, 2, 1], ('no example has label 0 or 3: the classes are the 3 numbers that are there',))
    """
    present = np.unique(np.concatenate([*labels.values(), np.zeros(0, np.int64)]))
    lowest, highest = int(present.min(initial=0)), int(present.max(initial=-1))
    if lowest < 0:
        raise InputError(
            f"labels run from {lowest}, expected numbers of 0 or more: leave out what has no label"
        )
    if highest >= _MOST:
        raise InputError(
            f"labels run up to {highest}; so many classes need names: give them as `classes`"
        )
    missing = np.setdiff1d(np.arange(highest + 1), present)
    notes: tuple[str, ...] = ()
    if len(missing):
        named = (
            ", ".join(map(str, missing[:4])) + " ..."
            if len(missing) > 4
            else " or ".join(map(str, missing))
        )
        notes = (
            f"no example has label {named}: the classes are the {len(present)} numbers that are there",
        )
    places = {
        split: np.searchsorted(present, numbers).astype(np.int64)
        for split, numbers in labels.items()
    }
    return tuple(map(str, present)), places, notes
