"""Examples dealt out to users, as they are on devices: by whose they are, or unevenly on purpose."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError


@dataclass(frozen=True, eq=False)
class Partition:
    """Which examples are whose. Of all users the numbers are kept in two arrays, whatever their number.

    Attributes:
        places: (n,) int64 numbers of examples, one user's after another's; each at most once.
        offsets: (users + 1,) int64, where each user's begin.
        names: of the users, if they have any.
    """

    places: NDArray[np.int64]
    offsets: NDArray[np.int64]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.offsets) - 1

    def of(self, user: int) -> NDArray[np.int64]:
        """Return the numbers of a user's examples."""
        return self.places[self.offsets[user] : self.offsets[user + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(users,) how many examples each has."""
        return np.diff(self.offsets)

    def counts(self, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
        """Return (users, classes) how many examples of each class each user has."""
        users = np.arange(len(self)).repeat(self.sizes)
        found = np.bincount(users * classes + labels[self.places], minlength=len(self) * classes)
        return found.reshape(len(self), classes).astype(np.int64)


def evenly(count: int, users: int, *, seed: int) -> Partition:
    """Deal ``count`` examples out at random, to each user as many, or one more. Raises :class:`InputError` for too few."""
    _require(count, users)
    return of_parts(np.array_split(np.random.default_rng(seed).permutation(count), users))


def by_user(owners: Sequence[Hashable]) -> Partition:
    """Give each example to whom it belongs.

    Args:
        owners: (n,) whose each is.

    Raises:
        InputError: no examples.
    """
    _require(len(owners), 1)
    names = sorted(set(map(str, owners)))
    numbers = {name: number for number, name in enumerate(names)}
    users = np.array([numbers[str(owner)] for owner in owners])
    order = np.argsort(users, kind="stable")
    return Partition(order.astype(np.int64), _offsets(np.bincount(users, minlength=len(names))), tuple(names))


def by_shards(labels: NDArray[np.int64], users: int, *, each: int = 2, seed: int) -> Partition:
    """Sort examples by label, cut them into shards, and give each user some (McMahan et al., arXiv 1602.05629).

    Args:
        labels: (n,) of the examples.
        users: how many.
        each: shards of a user; of 2, most users know two classes.
        seed: of who gets which.

    Raises:
        InputError: fewer examples than shards.
    """
    _require(len(labels), users * max(1, each))
    rng = np.random.default_rng(seed)
    shards = np.array_split(np.argsort(labels, kind="stable"), users * each)
    order = rng.permutation(users * each).reshape(users, each)
    return of_parts([np.concatenate([shards[shard] for shard in own]) for own in order])


def by_dirichlet(labels: NDArray[np.int64], users: int, *, evenness: float, seed: int, least: int = 1) -> Partition:
    """Let the share of each class that a user gets be drawn from a Dirichlet distribution (Hsu et al., arXiv 1909.06335).

    Args:
        labels: (n,) of the examples.
        users: how many.
        evenness: alpha, above 0: of 100 users are alike, of 0.1 most know one or two classes.
        seed: of the draw.
        least: examples that each user has; where the draw gives fewer, some of the richest users' are taken.

    Raises:
        InputError: fewer examples than users need, or an evenness that is not above 0.
    """
    _require(len(labels), users * max(1, least))
    if not 0 < evenness < np.inf:
        raise InputError(f"expected an evenness above 0, got {evenness}")
    rng = np.random.default_rng(seed)
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(users)]
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(np.cumsum(_shares(rng, users, evenness)) * len(own)).astype(int)[:-1]
        for part, some in zip(parts, np.split(own, cuts), strict=True):
            part.append(some)
    return of_parts(_with_least([np.concatenate(part) for part in parts], least, rng))


def by_quantity(count: int, users: int, *, skew: float = 1.5, seed: int) -> Partition:
    """Let few users have many examples: sizes fall like a user's rank to the power of ``-skew``, and each has one at least.

    Raises:
        InputError: fewer examples than users, or a skew below 0.
    """
    _require(count, users)
    if not 0 <= skew < np.inf:
        raise InputError(f"expected a skew of 0 or more, got {skew}")
    rng = np.random.default_rng(seed)
    shares = np.arange(1, users + 1, dtype=float) ** -skew
    cuts = np.arange(1, users + 1) + np.floor(np.cumsum(shares / shares.sum()) * (count - users) + 1e-9).astype(int)
    sizes = rng.permutation(np.diff(cuts, prepend=0))
    return of_parts(np.split(rng.permutation(count), np.cumsum(sizes)[:-1]))


def of_parts(parts: Sequence[NDArray[np.int64]]) -> Partition:
    """Give each user a part: numbers of examples."""
    return Partition(np.concatenate(parts).astype(np.int64), _offsets(np.array([len(part) for part in parts])))


def _shares(rng: np.random.Generator, users: int, evenness: float) -> NDArray[np.float64]:
    """Draw from a Dirichlet distribution; where all of a draw is too small for a number, one user gets everything."""
    drawn = rng.standard_gamma(evenness, users)
    if not drawn.sum() > 0:
        drawn[rng.integers(users)] = 1
    return np.asarray(drawn / drawn.sum())


def _with_least(parts: list[NDArray[np.int64]], least: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    for user in range(len(parts)):
        while len(parts[user]) < least:
            richest = max(range(len(parts)), key=lambda other: len(parts[other]))
            taken = rng.permutation(parts[richest])
            half = min(least - len(parts[user]), max(1, (len(taken) - least) // 2))
            parts[user], parts[richest] = np.concatenate([parts[user], taken[:half]]), taken[half:]
    return parts


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _require(count: int, users: int) -> None:
    if users < 1 or count < users:
        raise InputError(f"expected a user or more, and an example or more for each part, got {count} examples for {users}")
