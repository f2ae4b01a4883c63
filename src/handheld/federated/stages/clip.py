"""Updates that are no longer than a length: no device moves the model far, and noise can hide what one did."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Total
from handheld.federated.stages.stage import Facts, Memory, Plain, Seeds, Update
from handheld.federated.updates import _kernels


@dataclass(frozen=True)
class Clip(Plain):
    """Shortens what is longer than ``length``, keeping its direction (McMahan et al., arXiv 1710.06963).

    Raises:
        InputError: a length that is not above 0.
    """

    length: float

    def __post_init__(self) -> None:
        _require_length(self.length)

    def after(self, facts: Facts, memory: Memory) -> Facts:
        """Return that lengths are bounded."""
        facts.require("clip", whole=False)
        return replace(facts, bound=self.length, steady=True)

    def on_update(self, update: Update, facts: Facts, memory: Memory, seeds: Seeds) -> Update:
        """Return the update, no longer than ``length``."""
        return update.with_values(shortened(update.values, self.length)[0])


@dataclass(frozen=True)
class AdaptiveClip:
    """Clips at a length that follows how long updates are (Andrew et al., arXiv 1905.03871).

    Each update tells, in one number more, whether it was short enough; noise that comes later hides that number as well.

    Attributes:
        length: before the first round.
        quantile: share of the updates that the length should leave as they are, 0 to 1.
        rate: how fast the length follows (geometrically).
        mark: size of that number, in lengths: the bound grows by a factor of sqrt(1 + (mark / 2)^2).

    Raises:
        InputError: values outside of these.
    """

    length: float = 0.1
    quantile: float = 0.5
    rate: float = 0.2
    mark: float = 0.2

    def __post_init__(self) -> None:
        _require_length(self.length)
        if not (0 <= self.quantile <= 1 and 0 < self.rate < math.inf and 0 < self.mark < math.inf):
            raise InputError(f"expected a quantile of 0 to 1, and a rate and a mark above 0, got {self}")

    def start(self) -> Memory:
        """Return the length."""
        return {"length": np.array(self.length)}

    def after(self, facts: Facts, memory: Memory) -> Facts:
        """Return that lengths are bounded."""
        facts.require("adaptive clip", whole=False, single=True, equal=True)
        bound = float(memory["length"]) * math.hypot(1, self.mark / 2)
        return replace(facts, bound=bound, steady=False, count=facts.count + 1, shapes=())

    def on_update(self, update: Update, facts: Facts, memory: Memory, seeds: Seeds) -> Update:
        """Return the clipped update, and one number more."""
        length = float(memory["length"])
        values, was_short = shortened(update.values, length)
        mark = np.float32(self.mark * length * (0.5 if was_short else -0.5))
        return update.with_values(np.append(values, mark), update.size + 4)

    def on_sum(self, total: Total, facts: Facts, memory: Memory, seeds: Seeds) -> tuple[Total, Memory]:
        """Return the sum without that number, and the length of the next round."""
        length = float(memory["length"])
        short = total.change[-1] / (self.mark * length) / total.weight + 0.5
        new = length * math.exp(-self.rate * (min(1.0, max(0.0, short)) - self.quantile))
        return replace(total, change=total.change[:-1]), {"length": np.array(new)}


def shortened(x: NDArray[np.float32], length: float) -> tuple[NDArray[np.float32], bool]:
    """Return a vector no longer than a length, and whether it was that short."""
    found = math.sqrt(_kernels.squares(x))
    if found <= length:
        return x, True
    return x * np.float32(length / found * (1 - 1e-6)), False


def _require_length(length: float) -> None:
    if not 0 < length < math.inf:
        raise InputError(f"expected a length above 0 to clip at, got {length}")
