"""Structured updates.

Devices learn within a random subspace of few dimensions, and send where in it they ended.

Konečný et al., "Federated Learning: Strategies for Improving Communication Efficiency" (arXiv
1610.05492). The subspace is drawn anew for each device and round, from a seed that both sides know.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.learner import Floats, Shape
from handheld.federated.updates.sparsification import positions, require_share


@dataclass(frozen=True)
class RandomMask:
    """Changes a random share of the weights and no others.

    Attributes:
        share: of the weights, above 0, at most 1.

    Raises:
        InputError: another share.
    """

    share: float

    def __post_init__(self) -> None:
        require_share(self.share)

    def subspace(self, shapes: Sequence[Shape], seed: int) -> "Masked":
        """Return the weights that are changed."""
        count = sum(map(_size, shapes))
        return Masked(count, positions(count, self.share, seed))


@dataclass(frozen=True, eq=False)
class Masked:
    """Vectors (count,) that are 0 but at some places."""

    count: int
    places: NDArray[np.int64]

    def coordinates(self, x: Floats) -> Floats:
        """Return (places,) the numbers that are not left out."""
        return x[self.places]

    def expand(self, coordinates: Floats) -> Floats:
        """Return (count,) the vector."""
        found = np.zeros(self.count, np.float32)
        found[self.places] = coordinates
        return found


@dataclass(frozen=True)
class LowRank:
    """Changes each matrix by one of low rank, one factor of which is random and one learned.

    The random factor has orthonormal columns along the longer side of the matrix: going down the
    gradient of the other factor is then the same as going down the matrix's own gradient within the
    subspace. Kernels of convolutions are matrices with a row for each output; what has one
    dimension, such as biases, is changed freely.

    Attributes:
        rank: 1 or more.

    Raises:
        InputError: a rank below 1.
    """

    rank: int

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"expected a rank of 1 or more, got {self.rank}")

    def subspace(self, shapes: Sequence[Shape], seed: int) -> "Factors":
        """Return matrices of low rank, with fresh random factors."""
        rng = np.random.default_rng(seed)
        return Factors(tuple((shape, self._basis(shape, rng)) for shape in shapes))

    def _basis(self, shape: Shape, rng: np.random.Generator) -> torch.Tensor | None:
        longer = max(shape[0], _size(shape) // shape[0]) if len(shape) > 1 else 0
        if longer <= self.rank:
            return None
        drawn = torch.from_numpy(rng.standard_normal((longer, self.rank)).astype(np.float32))
        found: torch.Tensor = torch.linalg.qr(drawn)[0]
        return found


@dataclass(frozen=True, eq=False)
class Factors:
    """Vectors of matrices (rows, columns), some of which are ``basis @ factor``.

    Where rows are fewer than columns it is the transpose of that.

    Attributes:
        parts: shape of each, and its basis (longer side, rank); None: it may be anything.
    """

    parts: tuple[tuple[Shape, torch.Tensor | None], ...]

    def coordinates(self, x: Floats) -> Floats:
        """Return the factors of (count,) numbers, those that come nearest."""
        found, start = [], 0
        for shape, basis in self.parts:
            part = torch.from_numpy(x[start : start + _size(shape)])
            found.append(
                part if basis is None else (basis.T @ _upright(part.view(shape[0], -1))).flatten()
            )
            start += _size(shape)
        return torch.cat(found).numpy()

    def expand(self, coordinates: Floats) -> Floats:
        """Return (count,) the numbers."""
        found, start = [], 0
        for shape, basis in self.parts:
            size = (
                _size(shape) if basis is None else basis.shape[1] * (_size(shape) // basis.shape[0])
            )
            part = torch.from_numpy(coordinates[start : start + size])
            if basis is not None:
                whole = basis @ part.view(basis.shape[1], -1)
                part = (whole if len(whole) == shape[0] else whole.T).flatten()
            found.append(part)
            start += size
        return torch.cat(found).numpy()


def _upright(matrix: torch.Tensor) -> torch.Tensor:
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def _size(shape: Shape) -> int:
    return int(np.prod(shape))
