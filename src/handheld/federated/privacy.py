"""What noise promises, as (epsilon, delta) and in words. The sums are those of Google's dp-accounting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handheld.errors import InputError, MissingDependencyError
from handheld.federated.stages import CentralNoise, LocalNoise, Stage, TreeNoise


@dataclass(frozen=True)
class Guarantee:
    """Differential privacy of devices (not of examples).

    Attributes:
        epsilon: the smaller, the less anybody learns of one device; infinite without noise.
        delta: chance that it fails.
        words: what that means, and what it depends on.
    """

    epsilon: float
    delta: float
    words: str

    def __str__(self) -> str:
        return f"({self.epsilon:.3g}, {self.delta:g}): {self.words}"


def central(multiplier: float, rounds: int, cohort: int, population: int, delta: float) -> Guarantee:
    """Return what :class:`CentralNoise` promises of a device whose data is replaced by any other.

    Renyi accounting of the Gaussian mechanism on samples of a fixed size without replacement (Wang et al., arXiv 1808.00087).

    Args:
        multiplier: of the noise, in bounds of an update's length.
        rounds: that all devices see the models of.
        cohort: devices of a round, drawn from all alike.
        population: devices in all.
        delta: above 0, below 1; below 1 / population, or it promises little.

    Raises:
        InputError: values outside of these.
    """
    _require(delta, rounds, cohort, population)
    dp = _accounting()
    noise = dp.GaussianDpEvent(multiplier / 2)  # one update replaced by another moves the sum by two bounds
    event: Any = noise
    if cohort < population:
        event = dp.SampledWithoutReplacementDpEvent(population, cohort, noise)
    accountant = dp.rdp.RdpAccountant(neighboring_relation=dp.NeighboringRelation.REPLACE_ONE)
    found = math.inf if multiplier == 0 else accountant.compose(event, rounds).get_epsilon(delta)
    words = (
        f"who sees the models of all {rounds} rounds cannot tell one device's data from any other, as long as the server is "
        f"trusted to add the noise and each round's {cohort} of {population} devices are drawn at random, all alike"
    )
    return Guarantee(float(found), delta, words)


def local(multiplier: float, delta: float) -> Guarantee:
    """Return what :class:`LocalNoise` promises for each round that a device takes part in. Raises :class:`InputError`."""
    _require(delta)
    words = (
        "who sees a device's update, the server too, cannot tell its data from any other, for each round that it takes part "
        "in; nobody needs to be trusted but the device"
    )
    return Guarantee(_gaussian(multiplier / 2, delta), delta, words)


def tree(multiplier: float, rounds: int, delta: float, *, times: int = 1) -> Guarantee:
    """Return what :class:`TreeNoise` promises of a device that takes part at most so many times.

    A device's update is in one node of each level, so it moves their sum by the root of the levels (Kairouz et al., arXiv
    2103.00039); taking part several times is counted as if all of them fell into the same nodes.

    Raises:
        InputError: a delta outside of 0 to 1, or fewer than one round or time.
    """
    _require(delta, rounds, times)
    words = (
        f"who sees the models of all {rounds} rounds cannot tell one device's data from any other, as long as the server is "
        f"trusted to add the noise and no device takes part more than {times} time{'s' if times > 1 else ''}"
    )
    return Guarantee(_gaussian(multiplier / (2 * times * math.sqrt(rounds.bit_length())), delta), delta, words)


def guarantees(
    stages: Sequence[Stage], rounds: int, cohort: int, population: int, *, times: int, delta: float
) -> list[Guarantee]:
    """Return what each noise of a run promises; ``times``: how often the device that took part most often did."""
    found = []
    for stage in stages:
        if isinstance(stage, CentralNoise):
            found.append(central(stage.multiplier, rounds, cohort, population, delta))
        elif isinstance(stage, LocalNoise):
            found.append(local(stage.multiplier, delta))
        elif isinstance(stage, TreeNoise):
            found.append(tree(stage.multiplier, rounds, delta, times=times))
    return found


def _gaussian(multiplier: float, delta: float) -> float:
    if multiplier == 0:
        return math.inf
    dp = _accounting()
    accountant = dp.pld.PLDAccountant()  # of a sum that moves by 1
    return float(accountant.compose(dp.GaussianDpEvent(multiplier)).get_epsilon(delta))


def _require(delta: float, *numbers: int) -> None:
    if not (0 < delta < 1 and all(number >= 1 for number in numbers)):
        raise InputError(f"expected a delta above 0 and below 1, and numbers of 1 or more, got {delta} and {list(numbers)}")


def _accounting() -> Any:
    try:
        import dp_accounting
    except ImportError as error:
        raise MissingDependencyError("dp-accounting", "federated", "saying what noise promises") from error
    return dp_accounting
