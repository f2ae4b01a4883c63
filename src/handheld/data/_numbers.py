"""Labels that are numbers without names."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Labels = NDArray[np.int64]

# More classes are hardly meant without names; pixels or row numbers, taken for labels, soon are.
_MAX_CLASSES = 100_000
_MAX_LISTED = 4  # numbers that a note lists


def numbered(
    labels: Mapping[str, Labels],
) -> tuple[tuple[str, ...], dict[str, Labels], tuple[str, ...]]:
    """Name classes by the numbers that some example has.

    A class without any example would be an output that nothing teaches.

    Args:
        labels: split -> (n,) numbers of 0 or more.

    Returns:
        The names, each split's labels as indices into them, and a note where numbers in between
        are left out.

    Raises:
        InputError: numbers below 0, or too large ones.

    >>> names, indices, notes = numbered({"train": np.array([1, 2, 4, 2])})
    >>> names, indices["train"].tolist()
    (('1', '2', '4'), [0, 1, 2, 1])
    >>> notes
    ('no example has label 0 or 3: the classes are the 3 numbers that are there',)
    """
    # Classes of all splits: one that train alone lacks is told by ``Splits``. The empty array is
    # for data without any split.
    numbers = np.concatenate([*labels.values(), np.zeros(0, np.int64)])
    present = np.unique(numbers)
    _check_range(present)
    indices = {}
    for split, values in labels.items():
        indices[split] = np.searchsorted(present, values).astype(np.int64)
    return tuple(map(str, present)), indices, _gaps(present)


def _check_range(present: Labels) -> None:
    lowest = int(present.min(initial=0))
    highest = int(present.max(initial=-1))
    if lowest < 0:
        raise InputError(
            f"labels run from {lowest}, expected numbers of 0 or more: leave out what has no label"
        )
    if highest >= _MAX_CLASSES:
        raise InputError(
            f"labels run up to {highest}; so many classes need names: give them as `classes`"
        )


def _gaps(present: Labels) -> tuple[str, ...]:
    """Return a note on the numbers below the highest that no example has."""
    highest = present.max(initial=-1)
    missing = np.setdiff1d(np.arange(highest + 1), present)
    if not len(missing):
        return ()
    listed = " or ".join(map(str, missing))
    if len(missing) > _MAX_LISTED:
        listed = ", ".join(map(str, missing[:_MAX_LISTED])) + " ..."
    classes = f"the classes are the {len(present)} numbers that are there"
    return (f"no example has label {listed}: {classes}",)
