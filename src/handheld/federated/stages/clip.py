"""Updates that are no longer than a length.

No device moves the model far, and noise can hide what one did.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.federated.algorithms import Total
from handheld.federated.stages.stage import Memory, PlainStage, StageSeeds, Update, UpdateFacts
from handheld.federated.updates import _kernels
from handheld.ranges import in_range


@dataclass(frozen=True)
class Clip(PlainStage):
    """Shortens what is longer than ``length``, keeping its direction.

    McMahan et al., arXiv 1710.06963.

    Raises:
        InputError: a length that is not above 0.
    """

    length: float

    def __post_init__(self) -> None:
        in_range("length", self.length, low=0, low_open=True)

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that lengths are bounded."""
        facts.require("clip", modular=False)
        return replace(facts, bound=self.length, steady=True)

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the update, no longer than ``length``."""
        return update.with_values(shortened(update.values, self.length)[0])


@dataclass(frozen=True)
class AdaptiveClip(PlainStage):
    """Clips at a length that follows how long updates are.

    After Andrew et al. (NeurIPS 2021, arXiv 1905.03871, algorithm 1). Each update tells, in one
    number more, whether it was short enough; noise that comes later hides that number as well. The
    length is multiplied by exp(-rate * (share - quantile)), the share of short updates being as
    noisy as it came: it may lie outside of 0 to 1, as cutting it off would pull the length to one
    side.

    The paper splits noise of multiplier z into that of updates (z_delta) and of their count
    (sigma_b), so that 1 / z^2 = 1 / z_delta^2 + 1 / (2 sigma_b)^2. Here one noise of multiplier z
    falls on updates and marks together, which are bounded by sqrt(1 + (mark / 2)^2) lengths: that
    is the same, with z_delta = z sqrt(1 + (mark / 2)^2) and sigma_b = z_delta / mark. The (epsilon,
    delta) of z counts both.

    Attributes:
        length: before the first round.
        quantile: share of the updates that the length should leave as they are, in [0, 1].
        rate: how fast the length follows (geometrically); 0.2 in the paper.
        mark: size of that number, in lengths, above 0. Left out, it is what makes sigma_b the
            paper's clients / 20, but never above 1, where the noise of updates grows by an eighth:
            the paper's rule has no answer for fewer than 10 z clients.

    Raises:
        InputError: values outside of these.
    """

    length: float = 0.1
    quantile: float = 0.5
    rate: float = 0.2
    mark: float | None = None

    def __post_init__(self) -> None:
        in_range("length", self.length, low=0, low_open=True)
        in_range("quantile", self.quantile, low=0, high=1)
        in_range("rate", self.rate, low=0, low_open=True)
        if self.mark is not None:
            in_range("mark", self.mark, low=0, low_open=True)

    def start(self) -> Memory:
        """Return the length."""
        return {"length": np.array(self.length)}

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that lengths are bounded."""
        facts.require("adaptive clip", modular=False, single=True, equal=True)
        # An update, and beside it half a mark, at right angles to each other.
        bound = float(memory["length"]) * math.hypot(1, self._mark(facts) / 2)
        return replace(facts, bound=bound, steady=False, count=facts.count + 1, shapes=())

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the clipped update, and one number more."""
        length = float(memory["length"])
        values, was_short = shortened(update.values, length)
        sign = -0.5
        if was_short:
            sign = 0.5
        # In the scale of the update, so that the noise of one hides the other as well.
        mark = np.float32(self._mark(facts) * length * sign)
        return update.with_values(np.append(values, mark), update.size + 4)

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return the sum without that number, and the length of the next round."""
        length = float(memory["length"])
        mark = self._mark(facts) * length
        # A mean of marks is the share of short updates less a half.
        short = total.change[-1] / mark / total.weight + 0.5
        logarithm = math.log(length) - self.rate * (short - self.quantile)
        # Noise may push the share anywhere: the length stays what float32 can square.
        bounded = min(max(logarithm, math.log(_SHORTEST)), math.log(_LONGEST))
        memory = {"length": np.array(math.exp(bounded))}
        return replace(total, change=total.change[:-1]), memory

    def _mark(self, facts: UpdateFacts) -> float:
        """Return the size of the mark: twice ``half``, with (2 sigma_b / z)^2 = 1 + 1 / half^2."""
        if self.mark is not None:
            return self.mark
        if facts.multiplier == 0 or facts.clients == 0:
            return _MARK
        ratio = 2 * facts.clients / (20 * facts.multiplier)
        half = 1 / math.sqrt(max(ratio**2 - 1, 1 / _LARGEST_HALF**2))
        return 2 * max(half, _SMALLEST_HALF)


_MARK = 0.2  # where nothing says how noisy the count will be: bounds grow by half a per cent
_LARGEST_HALF = 0.5  # the noise of updates grows by sqrt(1 + 0.5^2), 12 %
# Below, float32 and the steps of whole numbers would drown the mark for nothing: 0.005 %.
_SMALLEST_HALF = 0.01
_SHORTEST = 1e-30  # float32 squares of shorter updates are 0, of longer ones infinite
_LONGEST = 1e15
_COUNTABLE = 1e-25  # below, sums of squares in float32 may have lost what was too small to square
_A_LITTLE_LESS = 1 - 1e-6
_SURE = 1 - 1e-4  # sums of squares in float32, in any order, err by less


def shortened(x: NDArray[np.float32], length: float) -> tuple[NDArray[np.float32], bool]:
    """Return a vector no longer than a length, and whether it was that short."""
    if is_within(x, length):
        return x, True
    exact = float(np.linalg.norm(x.astype(np.float64)))
    # A little shorter: float32 rounds each number, up as often as down.
    return (x * (length / exact * _A_LITTLE_LESS)).astype(np.float32), False


def is_within(x: NDArray[np.float32], length: float) -> bool:
    """Return whether a vector is no longer than a length; one that is not finite never is."""
    squares = _kernels.squares(x)
    if squares > _COUNTABLE and math.sqrt(squares) <= length * _SURE:
        return True
    return float(np.linalg.norm(x.astype(np.float64))) <= length
