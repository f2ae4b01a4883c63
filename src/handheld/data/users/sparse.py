"""Examples of which few features are there: from LIBSVM files, or drawn like clicks on
advertisements.
"""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.data._checks import is_real, path_of, require_whole
from handheld.data.dataset import Skipped
from handheld.errors import InputError
from handheld.untrusted import require_file


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

    offsets: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    labels: NDArray[np.float32]
    features: int

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: NDArray[np.int64]) -> "Sparse":
        """Return some of the examples, in the order given."""
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        places = np.arange(offsets[-1]) + (self.offsets[rows] - offsets[:-1]).repeat(counts)
        return Sparse(
            offsets, self.columns[places], self.values[places], self.labels[rows], self.features
        )


def read_libsvm(
    path: str | os.PathLike[str], *, features: int | None = None
) -> tuple[Sparse, list[Skipped]]:
    """Read lines such as ``-1 3:1 11:0.5``, a label and features from 1 on, or such lines in gzip.

    Args:
        path: of the file.
        features: how many there are; the largest number found if left out.

    Returns:
        The examples; and the lines that could not be read, by number.

    Raises:
        InputError: no such file, no examples, or labels of other than two kinds; the larger becomes
            1, the other -1.
    """
    path = path_of(path)
    if features is not None:
        require_whole("features", features, least=1)
    rows: list[tuple[float, list[int], list[float]]] = []
    skipped: list[Skipped] = []
    try:
        for number, line in enumerate(_lines(path), 1):
            if not line.partition("#")[0].strip():
                continue
            try:
                rows.append(_row(line, features))
            except ValueError as error:
                skipped.append(Skipped(f"{path}:{number}", str(error)))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    labels = np.array([label for label, _, _ in rows])
    kinds = np.unique(labels)
    if len(kinds) != 2:
        raise InputError(f"{path}: expected examples of two labels, got {kinds[:5].tolist()}")
    columns = np.array([column for _, some, _ in rows for column in some], np.int32)
    values = np.array([value for _, _, some in rows for value in some], np.float32)
    offsets = np.concatenate([[0], np.cumsum([len(some) for _, some, _ in rows])]).astype(np.int64)
    count = int(columns.max(initial=-1)) + 1 if features is None else features
    return Sparse(
        offsets, columns, values, np.where(labels == kinds[1], 1, -1).astype(np.float32), count
    ), skipped


def _lines(path: Path) -> Iterator[str]:
    require_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rt", encoding="ascii") if packed else path.open(encoding="ascii") as file:
        yield from file


def _row(line: str, features: int | None) -> tuple[float, list[int], list[float]]:
    """Return label, columns and values. Raises ``ValueError`` that says what is wrong."""
    label, *pairs = line.partition("#")[0].split()
    columns, values = [], []
    for pair in pairs:
        column, mark, value = pair.partition(":")
        if not mark:
            raise ValueError(f"expected feature:value, got {pair[:40]!r}")
        columns.append(int(column) - 1)
        values.append(float(value))
    if any(after <= before for before, after in zip([-1, *columns], columns, strict=False)):
        raise ValueError("expected features from 1 on, each larger than the one before")
    if features is not None and columns and columns[-1] >= features:
        raise ValueError(f"expected features of at most {features}, got {columns[-1] + 1}")
    if not np.isfinite([float(label), *values]).all():
        raise ValueError("expected finite numbers")
    return float(label), columns, values


def clicks(
    users: int, *, features: int, examples: float = 20.0, shown: int = 12, seed: int
) -> tuple[Sparse, NDArray[np.int64], NDArray[np.float32]]:
    """Draw a click-through task: who clicks what, with features and users that fall by power laws.

    An example has a feature that is always there, and ``shown - 1`` others: half of them are drawn
    from all, by a power law; the rest from the few that this user meets again and again. Whether it
    is clicked follows a logistic model.

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
    require_whole("users", users, least=1)
    require_whole("features", features, least=100)
    require_whole("shown", shown, least=2)
    require_whole("seed", seed, least=0)
    if not is_real(examples) or not 1 <= examples < np.inf:
        raise InputError(f"examples: expected a number of 1 or more, got {examples!r}")
    rng = np.random.default_rng(seed)
    counts = np.maximum(
        1,
        rng.permutation(np.arange(1, users + 1, dtype=float) ** -0.7 * examples * 0.3 * users**0.7),
    )
    owners = np.arange(users).repeat(counts.astype(int))
    weights = (rng.normal(size=features) * 0.7).astype(np.float32)
    weights[0] = -1.5
    common = shown // 2
    own = _power(rng, (users, 4 * shown), features)  # what a user meets
    met = own[owners[:, None], rng.integers(0, own.shape[1], (len(owners), shown - 1 - common))]
    found = np.concatenate(
        [np.zeros((len(owners), 1), np.int64), _power(rng, (len(owners), common), features), met],
        axis=1,
    )
    found.sort(axis=1)
    fresh = np.concatenate([np.ones((len(found), 1), bool), found[:, 1:] != found[:, :-1]], axis=1)
    offsets = np.concatenate([[0], np.cumsum(fresh.sum(axis=1))]).astype(np.int64)
    odds = np.where(fresh, weights[found], 0).sum(axis=1)
    labels = np.where(rng.random(len(found)) < 1 / (1 + np.exp(-odds)), 1, -1).astype(np.float32)
    columns = found[fresh].astype(np.int32)
    return (
        Sparse(offsets, columns, np.ones(len(columns), np.float32), labels, features),
        owners.astype(np.int64),
        weights,
    )


def _power(rng: np.random.Generator, shape: tuple[int, int], features: int) -> NDArray[np.int64]:
    """Draw features from 1 on, feature k about as often as 1 / k."""
    return np.minimum(features ** rng.random(shape), features - 1).astype(np.int64)
