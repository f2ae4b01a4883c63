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
        smallest, median, largest: examples of a user.
        top_tenth: share of all examples that the richest tenth of the users has.
        classes: mean number of classes that a user knows; None where examples have none.
        distance: mean total variation between a user's classes and all users', 0 (alike) to 1;
            None where there are none.
    """

    users: int
    examples: int
    smallest: int
    median: float
    largest: int
    top_tenth: float
    classes: float | None = None
    distance: float | None = None


def skew_of(partition: Partition, labels: NDArray[np.int64] | None = None) -> Skew:
    """Return the figures of a partition.

    Args:
        partition: users without examples are left out.
        labels: (n,) classes of the examples, if they have any.

    >>> from handheld.data.users.partitions import by_shards
    >>> tens = np.arange(100) // 10
    >>> skew = skew_of(by_shards(tens, 10, shards_per_user=1, seed=0), tens)
    >>> skew.smallest, skew.median, skew.largest, skew.top_tenth, skew.classes, skew.distance
    (10, 10.0, 10, 0.1, 1.0, 0.9)
    """
    sizes = partition.sizes[partition.sizes > 0]
    if not len(sizes):
        return Skew(0, 0, 0, 0.0, 0, 0.0)
    # Of fewer than ten users the richest one is the tenth.
    tenth = max(1, len(sizes) // 10)
    richest = np.sort(sizes)[-tenth:]
    classes: float | None = None
    distance: float | None = None
    if labels is not None:
        classes, distance = _class_skew(partition, labels)
    return Skew(
        users=len(sizes),
        examples=int(sizes.sum()),
        smallest=int(sizes.min()),
        median=float(np.median(sizes)),
        largest=int(sizes.max()),
        top_tenth=float(richest.sum() / sizes.sum()),
        classes=classes,
        distance=distance,
    )


def _class_skew(partition: Partition, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return how many classes a user knows, and how far these are from all users', on average."""
    names, codes = np.unique(labels, return_inverse=True)  # labels may be any numbers
    counts = partition.counts(codes, len(names))[partition.sizes > 0]
    known = (counts > 0).sum(axis=1)
    mixtures = counts / counts.sum(axis=1, keepdims=True)
    common = counts.sum(axis=0) / counts.sum()
    # Half of the sum: what one mixture has too much the other lacks, and would count twice.
    distances = np.abs(mixtures - common).sum(axis=1) / 2
    # Four digits, so that a report reads well and machines agree.
    distance = round(float(distances.mean()), 4)
    return float(known.mean()), distance
