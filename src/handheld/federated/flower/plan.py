"""What a Flower app's client and server agree on: how arrays are an update, and its way."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning.learner import Doubles, Floats, Shape
from handheld.federated.stages import (
    Compressed,
    Stage,
    StageChain,
    Structured,
    WholeNumbers,
    promise,
)
from handheld.ranges import in_range

NamedArrays = Mapping[str, NDArray[np.generic]]

RUNNING_STATISTICS = ("running_mean", "running_var")
"""How torch names what batch normalisation keeps of its inputs."""

_VERSION = 1


@dataclass(frozen=True)
class UpdatePlan:
    """The way of updates in a Flower app: the same value in its ClientApp and its ServerApp.

    A client that has another plan than the server refuses to answer. Stages of your own need a
    ``repr`` that says all of them, as that of a dataclass does.

    Attributes:
        stages: on the way of an update, such as ``Clip``, ``LocalNoise`` and ``Compressed``.
        uniform: whether each client counts alike, however many examples it has; what noise and
            whole numbers need.
        clients: that are expected to answer in a round; what noise on sums is divided by. 0 if
            nobody knows.
        statistics: endings of names of arrays that are averaged apart, untouched by stages and
            algorithms: a mean of variances is a variance, which a step along a change need not be.
        weighted_by: name of the metric by which clients count.

    Raises:
        InputError: fewer than 0 clients, noise without a number of them, or compression before
            whole numbers.
    """

    stages: tuple[Stage, ...] = ()
    uniform: bool = False
    clients: float = 0.0
    statistics: tuple[str, ...] = RUNNING_STATISTICS
    weighted_by: str = "num-examples"

    def __post_init__(self) -> None:
        in_range("clients", self.clients, low=0)
        if self.promises and not self.clients:
            raise InputError("clients: expected a number, by which sums with noise are divided")
        if self.whole is not None:
            self._require_dense()

    @property
    def promises(self) -> bool:
        """Whether there is noise: nothing that tells of a client may travel beside updates."""
        return promise(self.stages)

    @property
    def whole(self) -> WholeNumbers | None:
        """The stage that makes whole numbers, of which secure aggregation sees the sum alone."""
        for stage in self.stages:
            if isinstance(stage, WholeNumbers):
                return stage
        return None

    def _require_dense(self) -> None:
        """Refuse what leaves numbers out before sums that masks hide."""
        for stage in self.stages:
            if isinstance(stage, Compressed | Structured):
                raise InputError(
                    f"{type(stage).__name__} may leave numbers out: where few clients send a"
                    " number, its sum would tell theirs; expected none where sums are secure"
                )

    @property
    def only_compresses(self) -> bool:
        """Whether what an update left out can be owed to the next."""
        compressed = [isinstance(stage, Compressed) for stage in self.stages]
        return bool(compressed) and all(compressed)

    @property
    def digest(self) -> bytes:
        """32 bytes that tell one plan from another."""
        # Of its repr, by which dataclasses say all their fields, alike on every machine.
        return hashlib.sha256(f"plan {_VERSION} {self!r}".encode()).digest()

    def layout(self, arrays: NamedArrays) -> "ArrayLayout":
        """Return where in an update the arrays of a model lie.

        Raises:
            InputError: nothing of it is trained, or numbers would travel beside what noise or masks
                hide.
        """
        layout = ArrayLayout.of(arrays, self.statistics)
        hides = self.promises or self.whole is not None
        if layout.statistics and hides:
            raise InputError(
                f"the {len(layout.statistics)} arrays of statistics of this model, such as"
                f" {layout.statistics[0]!r}, would travel beside what masks or noise hide: use"
                " GroupNorm or LayerNorm instead of BatchNorm"
            )
        return layout

    def chain(self, layout: "ArrayLayout") -> StageChain:
        """Return the way of updates of a model. Raises :class:`InputError` where it makes none."""
        shapes = [layout.shapes[name] for name in layout.weights]
        return StageChain(self.stages, FedAvg(), shapes, equal=self.uniform, clients=self.clients)


@dataclass(frozen=True)
class ArrayLayout:
    """Which arrays of a model are trained, and in which order they lie in an update.

    Attributes:
        shapes: by name, in the model's order.
        weights: names of what is trained.
        statistics: names of what is averaged apart.
    """

    shapes: Mapping[str, Shape]
    weights: tuple[str, ...]
    statistics: tuple[str, ...]

    @classmethod
    def of(cls, arrays: NamedArrays, statistics: Sequence[str] = ()) -> "ArrayLayout":
        """Return the layout of a model's arrays; whole numbers, such as counters, are left out.

        Raises:
            InputError: there are no arrays of floating point.
        """
        floating = [name for name, array in arrays.items() if array.dtype.kind == "f"]
        apart = [name for name in floating if name.endswith(tuple(statistics))]
        weights = [name for name in floating if name not in apart]
        if not weights:
            raise InputError("expected a model with arrays of floating point, got none")
        shapes = {name: array.shape for name, array in arrays.items()}
        return cls(shapes, tuple(weights), tuple(apart))

    @cached_property
    def statistics_count(self) -> int:
        """How many numbers of statistics there are."""
        return sum(int(np.prod(self.shapes[name])) for name in self.statistics)

    def require(self, arrays: NamedArrays) -> None:
        """Raise :class:`InputError` unless arrays have these names and shapes."""
        names = list(arrays)
        # In their order too: an update has no names, so its numbers would go to other arrays.
        if names != list(self.shapes):
            raise InputError(f"expected arrays {list(self.shapes)}, got {names}")
        for name, shape in self.shapes.items():
            if arrays[name].shape != shape:
                raise InputError(
                    f"{name}: expected an array {list(shape)}, got {list(arrays[name].shape)}"
                )

    def weights_of(self, arrays: NamedArrays) -> Floats:
        """Return (n,) what is trained, one array after another."""
        self.require(arrays)
        return _joined(arrays, self.weights, np.float32)

    def statistics_of(self, arrays: NamedArrays) -> Doubles:
        """Return (m,) what is averaged apart."""
        return _joined(arrays, self.statistics, np.float64)

    def arrays_of(
        self, weights: Floats, statistics: Doubles, before: NamedArrays
    ) -> dict[str, NDArray[np.generic]]:
        """Return a model's arrays.

        Args:
            weights: (n,) what is trained.
            statistics: (m,) what is averaged apart.
            before: of the model, of which types and whole numbers stay.
        """
        arrays = dict(before)
        self._fill(arrays, self.weights, weights)
        self._fill(arrays, self.statistics, statistics)
        return arrays

    def _fill(
        self,
        arrays: dict[str, NDArray[np.generic]],
        names: Sequence[str],
        numbers: NDArray[np.floating],
    ) -> None:
        start = 0
        for name in names:
            size = int(np.prod(self.shapes[name]))
            array = numbers[start : start + size].reshape(self.shapes[name])
            arrays[name] = array.astype(arrays[name].dtype)
            start += size


def _joined(arrays: NamedArrays, names: Sequence[str], dtype: type) -> NDArray[Any]:
    flat: list[NDArray[Any]] = [np.empty(0, dtype)]
    flat.extend(np.asarray(arrays[name], dtype).reshape(-1) for name in names)
    return np.concatenate(flat)
