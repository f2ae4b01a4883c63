"""Examples dealt out to users, as on devices: by whose they are, or unevenly on purpose."""

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

Indices = NDArray[np.int64]
"""(n,) numbers of examples, or labels, or counts."""

Floats = NDArray[np.float64]

_MAX_INDEX = np.iinfo(np.int64).max
_MAX_COUNTS = 1 << 28  # users times classes: 2 GB


@dataclass(frozen=True, eq=False)
class Partition:
    """Which examples are whose, kept in two arrays, whatever the number of users.

    Attributes:
        indices: (n,) int64 numbers of examples, one user's after another's; each at most once.
        offsets: (users + 1,) int64, where each user's begin.
        names: of the users, if they have any: whatever told them apart.

    Raises:
        InputError: numbers that no example has, or offsets that do not rise from 0 to their number.
    """

    indices: Indices
    offsets: Indices
    names: tuple[Hashable, ...] = ()

    def __post_init__(self) -> None:
        _require_indices("indices", self.indices)
        _require_indices("offsets", self.offsets)
        # A slice: of no offsets there is no first and no last.
        ends = [*self.offsets[:1].tolist(), *self.offsets[-1:].tolist()]
        is_rising = (self.offsets[1:] >= self.offsets[:-1]).all()
        if ends != [0, len(self.indices)] or not is_rising:
            raise InputError(
                f"offsets: expected numbers that rise from 0 to {len(self.indices)}, the number of "
                f"indices, got {ends}"
            )

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.offsets) - 1

    def of(self, user: int) -> Indices:
        """Return the numbers of a user's examples."""
        start = self.offsets[user]
        stop = self.offsets[user + 1]
        return self.indices[start:stop]

    @property
    def sizes(self) -> Indices:
        """(users,) how many examples each has."""
        return np.diff(self.offsets)

    def counts(self, labels: Indices, classes: int) -> Indices:
        """Return (users, classes) how many examples of each class each user has.

        Args:
            labels: (n,) of all examples, of any whole type, 0 to ``classes`` - 1.
            classes: how many; of labels with large gaps take
                ``np.unique(labels, return_inverse=True)``.

        Raises:
            InputError: another label, or more than 2^28 counts.
        """
        if len(self) * classes > _MAX_COUNTS:
            raise InputError(
                f"{len(self):,} users and {classes:,} classes are too many to count: number "
                "classes from 0 without gaps (np.unique with return_inverse)"
            )
        low = labels.min(initial=0)
        high = labels.max(initial=0)
        if labels.size and (low < 0 or high >= classes):
            raise InputError(
                f"labels: expected 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
            )
        users = np.arange(len(self)).repeat(self.sizes)
        # Unsigned labels of 64 bits would make the sum below a float.
        whole_labels = labels.astype(np.int64)
        # One number for a user and a class: a single pass counts all of them.
        cells = users * classes + whole_labels[self.indices]
        counts = np.bincount(cells, minlength=len(self) * classes)
        return counts.reshape(len(self), classes).astype(np.int64)


def evenly(count: int, users: int, *, seed: int) -> Partition:
    """Deal ``count`` examples out at random, to each user as many, or one more.

    Raises :class:`InputError` for too few.
    """
    _require_enough(count, users)
    order = _rng(seed).permutation(count)
    return from_indices(np.array_split(order, users))


def by_user(owners: Sequence[Hashable]) -> Partition:
    """Give each example to whom it belongs.

    Args:
        owners: (n,) whose each is; 1 and "1" are two users.

    Raises:
        InputError: no examples, or one whose owner is not a number (NaN).
    """
    _require_enough(len(owners), 1)
    for index, owner in enumerate(owners):
        # NaN alone differs from itself; each would become a user with one example.
        if owner != owner:
            raise InputError(
                f"owners: example {index} is of {owner}, which is like nobody: name who has it"
            )
    names = sorted(dict.fromkeys(owners), key=_by_text)
    numbers = dict(zip(names, range(len(names)), strict=True))
    users = np.array(list(map(numbers.__getitem__, owners)))
    # Stable: a user's examples stay in the order in which they came.
    order = np.argsort(users, kind="stable")
    sizes = np.bincount(users, minlength=len(names))
    return Partition(order.astype(np.int64), _offsets(sizes), tuple(names))


def _by_text(owner: Hashable) -> tuple[str, str]:
    """Order owners of several types, which cannot be compared with each other."""
    return str(owner), type(owner).__name__


def by_shards(labels: Indices, users: int, *, shards_per_user: int = 2, seed: int) -> Partition:
    """Sort examples by label, cut them into shards, and give each user some of these.

    After McMahan et al. (arXiv 1602.05629).

    Args:
        labels: (n,) of the examples.
        users: how many.
        shards_per_user: of 2, as in the paper, most users know two classes.
        seed: of who gets which.

    Raises:
        InputError: fewer examples than shards, or no shard for a user.
    """
    whole_in_range("shards_per_user", shards_per_user, low=1)
    whole_in_range("users", users, low=1)
    count = users * shards_per_user
    _require_enough(len(labels), count)
    rng = _rng(seed)
    # Stable: numpy's other sorts put equal labels in an order that differs between machines.
    shards = np.array_split(np.argsort(labels, kind="stable"), count)
    order = rng.permutation(count).reshape(users, shards_per_user)
    return from_indices([_joined(shards, numbers) for numbers in order.tolist()])


def _joined(shards: Sequence[Indices], numbers: Sequence[int]) -> Indices:
    return np.concatenate([shards[number] for number in numbers])


def by_dirichlet(labels: Indices, users: int, *, alpha: float, seed: int) -> Partition:
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
    _require_enough(len(labels), users)
    in_range("alpha", alpha, low=0, low_open=True)
    rng = _rng(seed)
    _, codes = np.unique(labels, return_inverse=True)
    remaining = np.bincount(codes)
    # Shuffled once, each class is a stack to take from: a draw for each example would be slow.
    stacks = []
    for code in range(len(remaining)):
        members = np.flatnonzero(codes == code)
        stacks.append(rng.permutation(members))
    prior = alpha * (remaining / len(labels))
    indices = []
    for size in _even_sizes(len(labels), users):
        taken = _from_mixture(rng, _dirichlet(rng, prior), remaining, size)
        indices.append(_from_stacks(stacks, remaining, taken))
        remaining = remaining - taken
    return from_indices(indices)


def _from_stacks(stacks: Sequence[Indices], remaining: Indices, taken: Indices) -> Indices:
    """Return so many examples of each class from the ends of what remains of them."""
    pieces = []
    for stack, stop, count in zip(stacks, remaining, taken, strict=True):
        pieces.append(stack[stop - count : stop])
    return np.concatenate(pieces)


def by_dirichlet_shares(
    labels: Indices, users: int, *, alpha: float, seed: int, min_examples: int = 1
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
        min_examples: that each user has; where the draw gives fewer, some of the richest users'
            are taken.

    Raises:
        InputError: fewer examples than users need, or an alpha that is not above 0.
    """
    whole_in_range("min_examples", min_examples, low=0)
    whole_in_range("users", users, low=1)
    _require_enough(len(labels), users * max(1, min_examples))
    in_range("alpha", alpha, low=0, low_open=True)
    rng = _rng(seed)
    pieces: list[list[Indices]] = [[] for _ in range(users)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = _dirichlet(rng, np.full(users, alpha))
        # Cut points are rounded, not sizes, so that sizes add up.
        ends = np.rint(np.cumsum(shares) * len(members)).astype(int)
        for user, piece in enumerate(np.split(members, ends[:-1])):
            pieces[user].append(piece)
    indices = list(map(np.concatenate, pieces))
    _fill_up(indices, min_examples, rng)
    return from_indices(indices)


def by_quantity(count: int, users: int, *, skew: float = 1.5, seed: int) -> Partition:
    """Let few users have many examples.

    Sizes fall like a user's rank to the power of ``-skew``, and each has one at least.

    Args:
        count: examples in all.
        users: how many.
        skew: 0 for users with as many each.
        seed: of who has many, and of who has which.

    Raises:
        InputError: fewer examples than users, or a skew below 0.
    """
    _require_enough(count, users)
    in_range("skew", skew, low=0)
    rng = _rng(seed)
    ranks = np.arange(1, users + 1)
    shares = ranks.astype(float) ** -skew
    # One for everybody, the others by shares. Cut points are rounded, not sizes, so that sizes add
    # up; 1e-9 keeps the last one from falling below the count by rounding.
    others = np.cumsum(shares / shares.sum()) * (count - users)
    cuts = ranks + np.floor(others + 1e-9).astype(int)
    # Sizes first: the other order of draws would be another partition for a seed.
    sizes = rng.permutation(np.diff(cuts, prepend=0))
    order = rng.permutation(count)
    ends = np.cumsum(sizes)
    return from_indices(np.split(order, ends[:-1]))


def from_indices(indices: Sequence[Indices]) -> Partition:
    """Give each user the examples of these numbers.

    Raises :class:`InputError` for no user, or what is no number of an example.
    """
    if not indices:
        raise InputError("expected a user or more, got none")
    for numbers in indices:
        _require_indices("indices", np.asarray(numbers))
    sizes = np.array(list(map(len, indices)))
    return Partition(np.concatenate(indices).astype(np.int64), _offsets(sizes))


def _dirichlet(rng: Generator, alphas: Floats) -> Floats:
    """Draw from a Dirichlet distribution; where a draw is too small for numbers, one has it all."""
    # Of small alphas all gammas may be 0, which divided by their sum are no numbers.
    drawn = rng.standard_gamma(alphas)
    if not drawn.sum() > 0:
        winner = rng.choice(len(alphas), p=alphas / alphas.sum())
        drawn[winner] = 1
    return np.asarray(drawn / drawn.sum())


def _from_mixture(rng: Generator, mixture: Floats, remaining: Indices, size: int) -> Indices:
    """Draw how many of each class make up ``size`` examples, of those that remain.

    What is drawn of a class beyond its end is drawn again from the others, as if it had been left
    out in time.
    """
    taken = np.zeros_like(remaining)
    while (missing := size - int(taken.sum())) > 0:
        open_shares = np.where(taken < remaining, mixture, 0.0)
        if not open_shares.sum() > 0:  # of the classes of this user nothing remains
            open_shares = (remaining - taken).astype(float)
        drawn = rng.multinomial(missing, open_shares / open_shares.sum())
        taken = np.minimum(taken + drawn, remaining)
    return taken


def _even_sizes(count: int, users: int) -> list[int]:
    size, remainder = divmod(count, users)
    # The first users have what remains, one each, as np.array_split has it.
    return [size + 1] * remainder + [size] * (users - remainder)


def _fill_up(indices: list[Indices], minimum: int, rng: Generator) -> None:
    """Give users with few examples some of the richest users', in place.

    A heap keeps sizes in order: with ten thousand users looking for the richest each time would
    take minutes.
    """
    heap = [(-len(numbers), user) for user, numbers in enumerate(indices)]
    heapq.heapify(heap)
    for user in range(len(indices)):
        while (missing := minimum - len(indices[user])) > 0:
            size, richest = heapq.heappop(heap)
            # An old entry: the user has given some since, and has another.
            if -size != len(indices[richest]):
                continue
            shuffled = rng.permutation(indices[richest])
            # Half of what it can spare, so that no user becomes poor at once.
            spare = max(1, (len(shuffled) - minimum) // 2)
            count = min(missing, spare)
            indices[user] = np.concatenate([indices[user], shuffled[:count]])
            indices[richest] = shuffled[count:]
            for changed in (user, richest):
                entry = (-len(indices[changed]), changed)
                heapq.heappush(heap, entry)


def _require_indices(name: str, numbers: NDArray[Any]) -> None:
    """Raise :class:`InputError` unless an array holds numbers of examples."""
    if not isinstance(numbers, np.ndarray):
        raise InputError(f"{name}: expected an array (n,), got {type(numbers).__name__}")
    is_whole = numbers.dtype.kind in "iu" or not numbers.size
    if numbers.ndim != 1 or not is_whole:
        raise InputError(
            f"{name}: expected whole numbers (n,), got {numbers.dtype} {list(numbers.shape)}"
        )
    is_wrong = (numbers < 0) | (numbers > _MAX_INDEX)
    wrong = numbers[is_wrong]
    if wrong.size:
        raise InputError(f"{name}: expected numbers of 0 or more, of examples, got {wrong[0]}")


def _rng(seed: int) -> Generator:
    whole_in_range("seed", seed, low=0)
    return np.random.default_rng(seed)


def _offsets(sizes: Indices) -> Indices:
    ends = np.cumsum(sizes)
    return np.concatenate([[0], ends]).astype(np.int64)


def _require_enough(count: int, users: int) -> None:
    whole_in_range("users", users, low=1)
    if count < users:
        raise InputError(
            "expected a user or more, and an example or more for each part, "
            f"got {count} examples for {users}"
        )
