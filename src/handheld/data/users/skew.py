"""How unevenly examples are dealt out to users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition


@dataclass(frozen=True)
class Skew:
    """Figures of a partition.

    Attributes:
        users: who have an example or more.
        examples: of all.
        fewest, median, most: examples of a user.
        richest: share of all examples that the richest tenth of the users has.
        classes: mean number of classes that a user knows; None where examples have none.
        distance: mean total variation between a user's classes and all users', 0 (alike) to 1; None
            where there are none.
    """

    users: int
    examples: int
    fewest: int
    median: float
    most: int
    richest: float
    classes: float | None = None
    distance: float | None = None


def skew_of(partition: Partition, labels: NDArray[np.int64] | None = None) -> Skew:
    """Return the figures of a partition.

    Args:
        partition: users without examples are left out.
        labels: (n,) classes of the examples, if they have any.

    >>> from handheld.data.users.partitions import by_shards
    >>> skew_of(by_shards(np.arange(100) // 10, 10, each=1, seed=0), np.arange(100) // 10)
    Skew(users=10, examples=100, fewest=10, median=10.0, most=10, richest=0.1, classes=1.0, distance=0.9)
    """
    sizes = partition.sizes[partition.sizes > 0]
    if not len(sizes):
        return Skew(0, 0, 0, 0.0, 0, 0.0)
    tenth = np.sort(sizes)[-max(1, len(sizes) // 10) :].sum()
    known: dict[str, float] = {}
    if labels is not None:
        kinds, codes = np.unique(labels, return_inverse=True)  # labels may be any numbers
        counts = partition.counts(codes, len(kinds))[partition.sizes > 0]
        apart = np.abs(counts / sizes[:, None] - counts.sum(axis=0) / sizes.sum()).sum(axis=1) / 2
        known = {
            "classes": float((counts > 0).sum(axis=1).mean()),
            "distance": round(float(apart.mean()), 4),
        }
    return Skew(
        len(sizes), int(sizes.sum()), int(sizes.min()), float(np.median(sizes)), int(sizes.max()),
        float(tenth / sizes.sum()), **known,
    )  # fmt: skip
