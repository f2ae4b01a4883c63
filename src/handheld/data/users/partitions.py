"""Examples dealt out to users, as they are on devices: by whose they are, or unevenly on purpose.
"""

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import is_real, require_whole
from handheld.errors import InputError

_MOST = np.iinfo(np.int64).max
_MOST_COUNTS = 1 << 28  # 2 GB: users times classes


@dataclass(frozen=True, eq=False)
class Partition:
    """Which examples are whose.

    Of all users the numbers are kept in two arrays, whatever their number.

    Attributes:
        places: (n,) int64 numbers of examples, one user's after another's; each at most once.
        offsets: (users + 1,) int64, where each user's begin.
        names: of the users, if they have any: whatever told them apart.

    Raises:
        InputError: numbers that no example has, or offsets that do not rise from 0 to their number.
    """

    places: NDArray[np.int64]
    offsets: NDArray[np.int64]
    names: tuple[Hashable, ...] = ()

    def __post_init__(self) -> None:
        _require_numbers("places", self.places)
        _require_numbers("offsets", self.offsets)
        ends = self.offsets[[0, -1]].tolist() if len(self.offsets) else []
        if ends != [0, len(self.places)] or (self.offsets[1:] < self.offsets[:-1]).any():
            raise InputError(
                f"offsets: expected numbers that rise from 0 to {len(self.places)}, the places, got {ends}"
            )

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
        """Return (users, classes) how many examples of each class each user has.

        Args:
            labels: (n,) of all examples, of any whole type, 0 to ``classes`` - 1.
            classes: how many; of labels with large gaps take
                ``np.unique(labels, return_inverse=True)``.

        Raises:
            InputError: another label, or more than 2^28 counts.
        """
        if len(self) * classes > _MOST_COUNTS:
            raise InputError(
                f"{len(self):,} users and {classes:,} classes are too many to count: number classes from 0"
                " without gaps (np.unique with return_inverse)"
            )
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise InputError(
                f"labels: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
            )
        labels = labels.astype(np.int64)
        users = np.arange(len(self)).repeat(self.sizes)
        found = np.bincount(users * classes + labels[self.places], minlength=len(self) * classes)
        return found.reshape(len(self), classes).astype(np.int64)


def evenly(count: int, users: int, *, seed: int) -> Partition:
    """Deal ``count`` examples out at random, to each user as many, or one more.

    Raises :class:`InputError` for too few.
    """
    _require(count, users)
    return of_parts(np.array_split(_rng(seed).permutation(count), users))


def by_user(owners: Sequence[Hashable]) -> Partition:
    """Give each example to whom it belongs.

    Args:
        owners: (n,) whose each is; 1 and "1" are two users.

    Raises:
        InputError: no examples, or one whose owner is not a number (NaN).
    """
    _require(len(owners), 1)
    for place, owner in enumerate(owners):
        if owner != owner:
            raise InputError(
                f"owners: example {place} is of {owner}, which is like nobody: name who has it"
            )
    names = sorted(dict.fromkeys(owners), key=lambda owner: (str(owner), type(owner).__name__))
    numbers = {name: number for number, name in enumerate(names)}
    users = np.array([numbers[owner] for owner in owners])
    order = np.argsort(users, kind="stable")
    offsets = _offsets(np.bincount(users, minlength=len(names)))
    return Partition(order.astype(np.int64), offsets, tuple(names))


def by_shards(labels: NDArray[np.int64], users: int, *, each: int = 2, seed: int) -> Partition:
    """Sort examples by label, cut them into shards, and give each user some (McMahan et al., arXiv
    1602.05629).

    Args:
        labels: (n,) of the examples.
        users: how many.
        each: shards of a user; of 2, most users know two classes.
        seed: of who gets which.

    Raises:
        InputError: fewer examples than shards, or no shard for a user.
    """
    require_whole("each", each, least=1)
    require_whole("users", users, least=1)
    _require(len(labels), users * each)
    rng = _rng(seed)
    shards = np.array_split(np.argsort(labels, kind="stable"), users * each)
    order = rng.permutation(users * each).reshape(users, each)
    return of_parts([np.concatenate([shards[shard] for shard in own]) for own in order])


def by_dirichlet(labels: NDArray[np.int64], users: int, *, alpha: float, seed: int) -> Partition:
    """Give each user as many examples, of classes mixed by a Dirichlet distribution.

    After Hsu et al. (arXiv 1909.06335). Each user draws how it mixes classes, from Dir(alpha p), p
    being the classes' shares of all examples, and then examples by that mixture until it has its
    number; a class that is used up is left out of the mixture from then on.

    Args:
        labels: (n,) of the examples.
        users: how many; each gets n / users examples, or one more.
        alpha: above 0: of 100 users are alike, of 0.1 most know one class.
        seed: of the draw.

    Raises:
        InputError: fewer examples than users, or an alpha that is not above 0.
    """
    _require(len(labels), users)
    _require_alpha(alpha)
    rng = _rng(seed)
    classes, codes = np.unique(labels, return_inverse=True)
    left = np.bincount(codes, minlength=len(classes))
    stacks = [rng.permutation(np.flatnonzero(codes == code)) for code in range(len(classes))]
    share = left / len(labels)
    parts = []
    for size in _even_sizes(len(labels), users):
        mixture = _dirichlet(rng, alpha * share)
        taken = _from_mixture(rng, mixture, left, size)
        ends = left.copy()
        left = left - taken
        parts.append(
            np.concatenate([stacks[code][left[code] : ends[code]] for code in range(len(classes))])
        )
    return of_parts(parts)


def by_dirichlet_shares(
    labels: NDArray[np.int64], users: int, *, alpha: float, seed: int, least: int = 1
) -> Partition:
    """Deal each class out by shares that a Dirichlet distribution draws.

    After Yurochkin et al. (arXiv 1905.12022), as NIID-Bench does. Users have neither as many
    examples nor the same classes; for one that has equal numbers see :func:`by_dirichlet`, whose
    alpha cannot be compared with this one.

    Args:
        labels: (n,) of the examples.
        users: how many.
        alpha: above 0: of 100 users are alike, of 0.1 most know one or two classes.
        seed: of the draw.
        least: examples that each user has; where the draw gives fewer, some of the richest users'
            are taken.

    Raises:
        InputError: fewer examples than users need, or an alpha that is not above 0.
    """
    require_whole("least", least, least=0)
    require_whole("users", users, least=1)
    _require(len(labels), users * max(1, least))
    _require_alpha(alpha)
    rng = _rng(seed)
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(users)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = _dirichlet(rng, np.full(users, alpha))
        cuts = np.rint(np.cumsum(shares) * len(members)).astype(int)[:-1]
        for part, some in zip(parts, np.split(members, cuts), strict=True):
            part.append(some)
    return of_parts(_with_least([np.concatenate(part) for part in parts], least, rng))


def by_quantity(count: int, users: int, *, skew: float = 1.5, seed: int) -> Partition:
    """Let few users have many examples: sizes fall like a user's rank to the power of ``-skew``,
    and each has one at least.

    Raises:
        InputError: fewer examples than users, or a skew below 0.
    """
    _require(count, users)
    if not is_real(skew) or not 0 <= skew < np.inf:
        raise InputError(f"skew: expected a number of 0 or more, got {skew!r}")
    rng = _rng(seed)
    shares = np.arange(1, users + 1, dtype=float) ** -skew
    cuts = np.arange(1, users + 1) + np.floor(
        np.cumsum(shares / shares.sum()) * (count - users) + 1e-9
    ).astype(int)
    sizes = rng.permutation(np.diff(cuts, prepend=0))
    return of_parts(np.split(rng.permutation(count), np.cumsum(sizes)[:-1]))


def of_parts(parts: Sequence[NDArray[np.int64]]) -> Partition:
    """Give each user a part: numbers of examples.

    Raises :class:`InputError` for no user, or what is no number of an example.
    """
    if not parts:
        raise InputError("expected a user or more, got none")
    for part in parts:
        _require_numbers("parts", np.asarray(part))
    return Partition(
        np.concatenate(parts).astype(np.int64), _offsets(np.array([len(part) for part in parts]))
    )


def _dirichlet(rng: np.random.Generator, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw from a Dirichlet distribution; where a draw is too small for numbers, one has it all."""
    drawn = rng.standard_gamma(alphas)
    if not drawn.sum() > 0:
        drawn[rng.choice(len(alphas), p=alphas / alphas.sum())] = 1
    return np.asarray(drawn / drawn.sum())


def _from_mixture(
    rng: np.random.Generator, mixture: NDArray[np.float64], left: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """Draw how many of each class make up ``size`` examples, of those that are left.

    What is drawn of a class beyond its end is drawn again from the others, as if it had been left
    out in time.
    """
    taken = np.zeros_like(left)
    while (missing := size - int(taken.sum())) > 0:
        open_shares = np.where(taken < left, mixture, 0.0)
        if not open_shares.sum() > 0:  # of the classes of this user nothing is left
            open_shares = (left - taken).astype(float)
        drawn = rng.multinomial(missing, open_shares / open_shares.sum())
        taken = np.minimum(taken + drawn, left)
    return taken


def _even_sizes(count: int, users: int) -> list[int]:
    return [count // users + (user < count % users) for user in range(users)]


def _with_least(
    parts: list[NDArray[np.int64]], least: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Give users with few examples some of the richest users'; a heap keeps sizes in order."""
    heap = [(-len(part), user) for user, part in enumerate(parts)]
    heapq.heapify(heap)
    for user in range(len(parts)):
        while len(parts[user]) < least:
            size, richest = heapq.heappop(heap)
            if -size != len(parts[richest]):  # an old entry
                continue
            taken = rng.permutation(parts[richest])
            half = min(least - len(parts[user]), max(1, (len(taken) - least) // 2))
            parts[user] = np.concatenate([parts[user], taken[:half]])
            parts[richest] = taken[half:]
            for changed in (user, richest):
                heapq.heappush(heap, (-len(parts[changed]), changed))
    return parts


def _require_alpha(alpha: float) -> None:
    if not is_real(alpha) or not 0 < alpha < np.inf:
        raise InputError(f"alpha: expected a number above 0, got {alpha!r}")


def _require_numbers(name: str, numbers: NDArray[Any]) -> None:
    """Raise :class:`InputError` unless an array holds numbers of examples."""
    whole = numbers.dtype.kind in "iu" or not numbers.size
    if numbers.ndim != 1 or not whole:
        raise InputError(
            f"{name}: expected whole numbers (n,), got {numbers.dtype} {list(numbers.shape)}"
        )
    wrong = numbers[(numbers < 0) | (numbers > _MOST)]
    if wrong.size:
        raise InputError(f"{name}: expected numbers of 0 or more, of examples, got {wrong[0]}")


def _rng(seed: int) -> np.random.Generator:
    require_whole("seed", seed, least=0)
    return np.random.default_rng(seed)


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _require(count: int, users: int) -> None:
    require_whole("users", users, least=1)
    if count < users:
        raise InputError(
            f"expected a user or more, and an example or more for each part, got {count} examples for {users}"
        )
