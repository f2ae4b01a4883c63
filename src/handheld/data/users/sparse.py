"""Examples of which few features are there: from LIBSVM files, or drawn like clicks on
advertisements.
"""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from handheld.data._checks import path_of
from handheld.data.dataset import Skipped
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range
from handheld.untrusted import require_file

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_GZIP = b"\x1f\x8b"

# What columns (int32, whose number is one more) and values (float32) hold.
_MOST_FEATURE = int(np.iinfo(np.int32).max) - 1
_MOST_VALUE = float(np.finfo(np.float32).max)

# The click-through task is made up: as in logs of advertisements, few users and few features are
# in most of the examples.
_USER_EXPONENT = 0.7  # a user's examples fall like its rank to the power of -0.7
_WEIGHT_SPREAD = 0.7  # of the true weights, a normal distribution's
_BIAS = -1.5  # weight of the feature that is always there: clicks are rare


@dataclass(frozen=True, eq=False)
class Sparse:
    """Examples with two labels.

    Attributes:
        offsets: (n + 1,) int64, where each example's features begin.
        columns: (nonzeros,) int32 numbers of features, rising within an example.
        values: (nonzeros,) float32.
        labels: (n,) float32, -1 or 1.
        features: how many there are.
    """

    offsets: Ints
    columns: NDArray[np.int32]
    values: Floats
    labels: Floats
    features: int

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: Ints) -> "Sparse":
        """Return some of the examples, in the order given."""
        counts = np.diff(self.offsets)[rows]
        offsets = _offsets(counts)
        # Entries are numbered through; each example's move by as much as its first.
        shifts = self.offsets[rows] - offsets[:-1]
        entries = np.arange(offsets[-1]) + shifts.repeat(counts)
        return Sparse(
            offsets=offsets,
            columns=self.columns[entries],
            values=self.values[entries],
            labels=self.labels[rows],
            features=self.features,
        )


class _Line(NamedTuple):
    """What a line of a file says."""

    label: float
    columns: list[int]
    values: list[float]


def read_libsvm(
    path: str | os.PathLike[str], *, features: int | None = None
) -> tuple[Sparse, list[Skipped]]:
    """Read lines such as ``-1 3:1 11:0.5``, or such lines in gzip: a label and features from 1 on.

    Args:
        path: of the file.
        features: how many there are; the largest number in the file if left out.

    Returns:
        The examples; and the lines that could not be read, by number.

    Raises:
        InputError: no such file, no examples, or labels of other than two kinds; the larger becomes
            1, the other -1.
    """
    path = path_of(path)
    if features is not None:
        whole_in_range("features", features, low=1)
    skipped: list[Skipped] = []
    lines = _read_lines(path, features, skipped)
    labels = np.array([line.label for line in lines])
    names = np.unique(labels)
    if len(names) != 2:
        raise InputError(f"{path}: expected examples of two labels, got {names[:5].tolist()}")
    columns = np.fromiter(chain.from_iterable(line.columns for line in lines), np.int32)
    values = np.fromiter(chain.from_iterable(line.values for line in lines), np.float32)
    is_larger = labels == names[1]
    if features is None:
        features = int(columns.max(initial=-1)) + 1
    data = Sparse(
        offsets=_offsets([len(line.columns) for line in lines]),
        columns=columns,
        values=values,
        labels=np.where(is_larger, 1, -1).astype(np.float32),
        features=features,
    )
    return data, skipped


def _read_lines(path: Path, features: int | None, skipped: list[Skipped]) -> list[_Line]:
    """Return the lines of a file; those that cannot be read are added to ``skipped``."""
    lines: list[_Line] = []
    try:
        for number, text in enumerate(_text_lines(path), 1):
            words = text.partition("#")[0].split()
            if not words:
                continue
            try:
                lines.append(_parsed(words, features))
            except ValueError as error:
                skipped.append(Skipped(f"{path}:{number}", str(error)))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return lines


def _text_lines(path: Path) -> Iterator[str]:
    require_file(path)
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    # By what stands in it: many such files are shared packed, under any name.
    if is_packed:
        with gzip.open(path, "rt", encoding="ascii") as unpacked:
            yield from unpacked
    else:
        with path.open(encoding="ascii") as text:
            yield from text


def _parsed(words: Sequence[str], features: int | None) -> _Line:
    """Return what a line says. Raises ``ValueError`` that says what is wrong."""
    columns = []
    values = []
    for word in words[1:]:
        column, mark, value = word.partition(":")
        if not mark:
            raise ValueError(f"expected feature:value, got {word[:40]!r}")
        columns.append(int(column) - 1)  # the format counts from 1
        values.append(float(value))
    line = _Line(float(words[0]), columns, values)
    _check_line(line, features)
    return line


def _check_line(line: _Line, features: int | None) -> None:
    # From -1 on: a feature below the first is out of order too.
    for before, after in pairwise([-1, *line.columns]):
        if after <= before:
            raise ValueError("expected features from 1 on, each larger than the one before")
    last = max(line.columns, default=-1)
    if features is not None and last >= features:
        raise ValueError(f"expected features of at most {features}, got {last + 1}")
    if last > _MOST_FEATURE:
        raise ValueError(f"expected features of at most {_MOST_FEATURE + 1}, got {last + 1}")
    for number in (line.label, *line.values):
        # As float32 it would be infinite. Not abs() > most, which lets a nan pass.
        if not abs(number) <= _MOST_VALUE:
            raise ValueError(f"expected finite numbers of float32, got {number:g}")


def clicks(
    users: int, *, features: int, examples: float = 20.0, shown: int = 12, seed: int
) -> tuple[Sparse, Ints, Floats]:
    """Draw a click-through task: who clicks what, with features and users that fall by power laws.

    An example has a feature that is always there, and ``shown - 1`` others: half of them are drawn
    from all, by a power law; the others from the few that this user meets again and again. Whether
    it is clicked follows a logistic model.

    Args:
        users: how many.
        features: how many, 100 or more.
        examples: of a user, on average; few users have many.
        shown: features of an example, 2 or more.
        seed: of everything.

    Returns:
        The examples, (n,) whose each is, and the (features,) weights of the model that clicked.

    Raises:
        InputError: numbers below these.
    """
    whole_in_range("users", users, low=1)
    whole_in_range("features", features, low=100)
    whole_in_range("shown", shown, low=2)
    whole_in_range("seed", seed, low=0)
    in_range("examples", examples, low=1)
    rng = np.random.default_rng(seed)
    counts = _power_law_counts(rng, users, examples)
    owners = np.arange(users).repeat(counts)
    weights = _true_weights(rng, features)
    drawn = _shown_features(rng, owners, users, features, shown)
    is_new = _is_first_in_row(drawn)
    odds = np.where(is_new, weights[drawn], 0).sum(axis=1)
    columns = drawn[is_new].astype(np.int32)
    data = Sparse(
        offsets=_offsets(is_new.sum(axis=1)),
        columns=columns,
        values=np.ones(len(columns), np.float32),
        labels=_clicked(rng, odds),
        features=features,
    )
    return data, owners.astype(np.int64), weights


def _true_weights(rng: Generator, features: int) -> Floats:
    weights = (rng.normal(size=features) * _WEIGHT_SPREAD).astype(np.float32)
    weights[0] = _BIAS
    return weights


def _is_first_in_row(drawn: Ints) -> NDArray[np.bool_]:
    """Return where a feature stands for the first time in its row; rows are sorted.

    Of equal ones the first counts: a feature is there or not.
    """
    is_first = np.ones(drawn.shape, bool)
    is_first[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
    return is_first


def _clicked(rng: Generator, odds: NDArray[np.floating]) -> Floats:
    """Draw labels by a logistic model: 1 where somebody clicks, -1 where not."""
    chances = 1 / (1 + np.exp(-odds))
    is_clicked = rng.random(len(odds)) < chances
    return np.where(is_clicked, 1, -1).astype(np.float32)


def _power_law_counts(rng: Generator, users: int, mean: float) -> Ints:
    """Return (users,) numbers of examples, in random order, one at least."""
    ranks = np.arange(1, users + 1, dtype=float)
    # The sum of rank^-0.7 over n users is about n^0.3 / 0.3: so it becomes n times the mean.
    sizes = ranks**-_USER_EXPONENT * mean * 0.3 * users**_USER_EXPONENT
    return np.maximum(1, rng.permutation(sizes)).astype(int)


def _shown_features(rng: Generator, owners: Ints, users: int, features: int, shown: int) -> Ints:
    """Return (examples, shown) features of each example, sorted, some twice."""
    count = len(owners)
    common = shown // 2
    habits = _power_law_features(rng, (users, 4 * shown), features)  # what a user meets
    usual_count = shown - 1 - common  # beside the one that is always there
    picks = rng.integers(0, habits.shape[1], (count, usual_count))
    usual = habits[owners[:, None], picks]
    always = np.zeros((count, 1), np.int64)
    others = _power_law_features(rng, (count, common), features)
    drawn = np.concatenate([always, others, usual], axis=1)
    drawn.sort(axis=1)
    return drawn


def _power_law_features(rng: Generator, shape: tuple[int, int], features: int) -> Ints:
    """Draw features from 1 on, feature k about as often as 1 / k."""
    # Of a number u in [0, 1), features^u: its density falls like 1 / k.
    drawn = features ** rng.random(shape)
    return np.minimum(drawn, features - 1).astype(np.int64)


def _offsets(counts: Ints | Sequence[int]) -> Ints:
    ends = np.cumsum(counts)
    return np.concatenate([[0], ends]).astype(np.int64)
