"""Structured updates.

Devices learn within a random subspace of few dimensions, and send where in it they ended.

Konečný et al., "Federated Learning: Strategies for Improving Communication Efficiency" (arXiv
1610.05492). The subspace is drawn anew for each device and round, from a seed that both sides know.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.federated.learning.learner import Floats, Shape
from handheld.federated.updates.sparsification import positions
from handheld.ranges import in_range, whole_in_range


@dataclass(frozen=True)
class RandomMask:
    """Changes a random share of the weights and no others.

    Attributes:
        share: of the weights, in (0, 1].

    Raises:
        InputError: another share.
    """

    share: float

    def __post_init__(self) -> None:
        in_range("share", self.share, low=0, high=1, low_open=True)

    def subspace(self, shapes: Sequence[Shape], seed: int) -> "MaskedSubspace":
        """Return the weights that are changed."""
        # All arrays are one vector: a mask knows nothing of layers.
        count = sum(map(_size, shapes))
        return MaskedSubspace(count, positions(count, self.share, seed))


@dataclass(frozen=True, eq=False)
class MaskedSubspace:
    """Vectors (count,) that are 0 but at some positions (k,)."""

    count: int
    positions: NDArray[np.int64]

    def coordinates(self, x: Floats) -> Floats:
        """Return (k,) the numbers that are not left out."""
        return x[self.positions]

    def expand(self, coordinates: Floats) -> Floats:
        """Return (count,) the vector."""
        x = np.zeros(self.count, np.float32)
        x[self.positions] = coordinates
        return x


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
        whole_in_range("rank", self.rank, low=1)

    def subspace(self, shapes: Sequence[Shape], seed: int) -> "LowRankSubspace":
        """Return matrices of low rank, with fresh random factors."""
        # The server draws the same: bases never travel.
        rng = np.random.default_rng(seed)
        return LowRankSubspace(
            tuple(LowRankMatrix(shape, self._basis(shape, rng)) for shape in shapes)
        )

    def _basis(self, shape: Shape, rng: np.random.Generator) -> torch.Tensor | None:
        # Biases have one dimension, and a small matrix has no lower rank.
        if len(shape) < 2:
            return None
        longer = max(shape[0], _size(shape) // shape[0])
        if longer <= self.rank:
            return None
        # Orthonormal columns of Gaussian ones: no direction is more likely than another.
        drawn = torch.from_numpy(rng.standard_normal((longer, self.rank)).astype(np.float32))
        basis: torch.Tensor = torch.linalg.qr(drawn)[0]
        return basis


@dataclass(frozen=True, eq=False)
class LowRankMatrix:
    """A matrix of low rank among a model's arrays.

    Attributes:
        shape: of the array.
        basis: (longer side, rank) random columns; None: the array may be anything.
    """

    shape: Shape
    basis: torch.Tensor | None

    @property
    def size(self) -> int:
        """How many numbers the array has."""
        return _size(self.shape)

    @property
    def coordinates(self) -> int:
        """How many numbers tell it."""
        if self.basis is None:
            return self.size
        longer, rank = self.basis.shape
        return rank * (self.size // longer)

    def factor(self, array: torch.Tensor) -> torch.Tensor:
        """Return what tells the nearest array to one of these numbers."""
        if self.basis is None:
            return array
        # A product with orthonormal columns is the projection on them.
        matrix = _upright(array.view(self.shape[0], -1))
        return (self.basis.T @ matrix).flatten()

    def expand(self, factor: torch.Tensor) -> torch.Tensor:
        """Return the numbers of the array that a factor tells."""
        if self.basis is None:
            return factor
        matrix = self.basis @ factor.view(self.basis.shape[1], -1)
        # Where rows are fewer than columns the matrix lay on its side.
        if len(matrix) != self.shape[0]:
            matrix = matrix.T
        return matrix.flatten()


@dataclass(frozen=True, eq=False)
class LowRankSubspace:
    """Vectors of matrices (rows, columns), some of which are ``basis @ factor``.

    Where rows are fewer than columns it is the transpose of that.

    Attributes:
        matrices: one after another.
    """

    matrices: tuple[LowRankMatrix, ...]

    def coordinates(self, x: Floats) -> Floats:
        """Return the factors of (count,) numbers, those that come nearest."""
        arrays = _split(x, [matrix.size for matrix in self.matrices])
        pairs = zip(self.matrices, arrays, strict=True)
        return torch.cat([matrix.factor(array) for matrix, array in pairs]).numpy()

    def expand(self, coordinates: Floats) -> Floats:
        """Return (count,) the numbers."""
        sizes = [matrix.coordinates for matrix in self.matrices]
        factors = _split(coordinates, sizes)
        pairs = zip(self.matrices, factors, strict=True)
        return torch.cat([matrix.expand(factor) for matrix, factor in pairs]).numpy()


def _split(x: Floats, sizes: Sequence[int]) -> list[torch.Tensor]:
    ends = np.cumsum(sizes)
    return [torch.from_numpy(array) for array in np.split(x, ends[:-1])]


def _upright(matrix: torch.Tensor) -> torch.Tensor:
    rows, columns = matrix.shape
    if rows >= columns:
        return matrix
    return matrix.T


def _size(shape: Shape) -> int:
    return math.prod(shape)
