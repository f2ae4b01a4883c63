"""What noise promises, as (epsilon, delta) and in words.

The sums are those of Google's dp-accounting.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MissingDependencyError
from handheld.federated.stages import CentralNoise, LocalNoise, Stage, TreeNoise
from handheld.ranges import in_range, one_of, whole_in_range

SAMPLINGS = ("fixed", "poisson", "unknown")
"""How devices are drawn: so many, all alike; each by a chance of its own; or nobody knows."""

RELATIONS = ("replace_one", "add_or_remove_one")
"""Which populations cannot be told apart: those of which one device has other data, or is gone."""

_OTHERS = {
    "replace_one": "cannot tell one device's data from any other",
    "add_or_remove_one": "cannot tell whether any one device takes part",
}
_IN_CLEAR = (
    "; losses of devices are left out of what is written, but how many devices answered, left,"
    " were late or sent what was not taken, whose that was, bytes and seconds are written in clear"
    " and not covered, nor is the number of classes, unless data.classes names it (else it is read"
    " from devices' labels, the largest of which the model's size would tell)"
)
# Of privacy losses: pessimistic by less than 0.1 % of an epsilon above 0.5, and 10 times as fast as
# 1e-4.
_INTERVAL = 1e-3
_POINTS = 2e7  # of a distribution of privacy losses, at most: 160 MB
_TOLERANCE = 1e-4  # relative, of a multiplier that is looked for
_LEAST_SEARCHED = 0.01  # multiplier: an epsilon of ten thousands and more promises nothing
_MOST_SEARCHED = 1e6  # no model is learned from anything beside such noise
_ROOT = 1e-9  # what finding a root may have left below the true epsilon
_LEAST_GAUSSIAN = 1e-3  # below, exact sums leave the range of floats, and epsilon is half a million
_MOST_RENYI = 1e7  # above, a round's divergence is below what float64 tells from 0
_MOST_POISSON = 1_000_000  # rounds: a second or two of sums, which become a minute at 1e8
_LEAST_POISSON = 0.02  # below, losses take too many points, and epsilon is in the thousands anyway


@dataclass(frozen=True)
class Guarantee:
    """Differential privacy of devices (not of examples).

    Attributes:
        epsilon: the smaller, the less anybody learns of one device; infinite without noise.
        delta: chance that it fails.
        words: what that means, and what it depends on.
        relation: which populations cannot be told apart; one of ``RELATIONS``.
    """

    epsilon: float
    delta: float
    words: str
    relation: str = "replace_one"

    def __str__(self) -> str:
        return f"({self.epsilon:.3g}, {self.delta:g}): {self.words}"


def central(  # noqa: PLR0913  # options by keyword, each by itself
    multiplier: float,
    rounds: int,
    cohort: int,
    population: int,
    delta: float,
    *,
    sampling: str = "fixed",
    relation: str = "replace_one",
    times: int | None = None,
) -> Guarantee:
    """Return what :class:`CentralNoise` promises of a device.

    Of samples of a fixed size, Renyi accounting of the Gaussian mechanism (Wang et al., arXiv
    1808.00087); of Poisson samples, distributions of privacy losses (Koskela et al., arXiv
    1906.03049; Zhu et al., arXiv 2106.08567), which are tight; where all take part, or nobody knows
    how devices are drawn, the Gaussian mechanism itself (Balle and Wang, arXiv 1805.06530).

    Args:
        multiplier: of the noise, in bounds of what one device adds to a sum; 0 or more.
        rounds: that all devices see the models of, 1 or more; of Poisson samples at most a million.
        cohort: devices that are drawn for a round, 1 to ``population``; of Poisson samples, the
            number expected.
        population: devices in all.
        delta: in (0, 1), at most 1 / population: a larger one is promised by who publishes
            one device's data.
        sampling: ``fixed``, ``poisson``, or ``unknown``, where drawing promises nothing more.
        relation: ``replace_one`` or, of Poisson samples only, ``add_or_remove_one``.
        times: of ``unknown``: rounds that a device takes part in at most; all of them if left out.

    Raises:
        InputError: a value outside of these; it is named.
    """
    _require_multiplier(multiplier)
    _require_cohort(cohort, population)
    _require_delta(delta, population)
    whole_in_range("rounds", rounds, low=1)
    _require_sampling(sampling, relation)
    if sampling == "unknown":
        rounds_of_one = rounds
        if times is not None:
            whole_in_range("times", times, low=1)
            rounds_of_one = min(times, rounds)
        # Gaussian mechanisms compose like one whose mean moves by the root of their number.
        moved = _moved(relation) * math.sqrt(rounds_of_one)
        epsilon = _gaussian(multiplier / moved, delta)
        drawn = (
            f"no device takes part in more than {rounds_of_one} of them, and when devices answer"
            " tells nothing of their data; nothing is gained by drawing them, as devices are not"
            " drawn alike"
        )
    elif sampling == "poisson":
        if rounds > _MOST_POISSON:
            raise InputError(
                f"rounds: expected at most {_MOST_POISSON:,} of Poisson samples, whose losses are"
                f" composed round by round, got {rounds:,}: take fewer, or fixed samples"
            )
        chance = cohort / population
        epsilon = _poisson(multiplier, rounds, chance, relation, delta)
        drawn = (
            f"each of {population} devices is drawn for each round by a chance of its own,"
            f" {chance:.3g}"
        )
    else:
        epsilon = _fixed(multiplier, rounds, cohort, population, delta)
        drawn = f"each round's {cohort} of {population} devices are drawn at random, all alike"
    words = (
        f"who sees the models of all {rounds} rounds {_OTHERS[relation]}"
        f" ({relation.replace('_', ' ')}), as long as the server is trusted to add the noise and"
        f" {drawn}{_IN_CLEAR}"
    )
    return Guarantee(epsilon, delta, words, relation)


def local(multiplier: float, delta: float, *, times: int = 1) -> Guarantee:
    """Return what :class:`LocalNoise` promises of a device that takes part at most so many times.

    Raises:
        InputError: a multiplier below 0, a delta outside of (0, 1), or fewer than one time; it is
            named.
    """
    _require_multiplier(multiplier)
    _require_delta(delta)
    whole_in_range("times", times, low=1)
    often = f"all {times} rounds"
    if times == 1:
        often = "the round"
    words = (
        f"who sees a device's updates of {often} that it takes part in, the server too, cannot tell"
        " its data from any other (replace one); nobody needs to be trusted but the device"
        f"{_IN_CLEAR}"
    )
    moved = 2 * math.sqrt(times)
    return Guarantee(_gaussian(multiplier / moved, delta), delta, words)


def tree(multiplier: float, rounds: int, delta: float, *, times: int = 1) -> Guarantee:
    """Return what :class:`TreeNoise` promises of a device that takes part at most so many times.

    A device's update is in one node of each level, so it moves their sum by the root of the levels
    (Kairouz et al., arXiv 2103.00039); taking part several times is counted as if all of them fell
    into the same nodes.

    Raises:
        InputError: a multiplier below 0, a delta outside of (0, 1), fewer than one round or time;
            it is named.
    """
    _require_multiplier(multiplier)
    _require_delta(delta)
    whole_in_range("rounds", rounds, low=1)
    whole_in_range("times", times, low=1)
    often = f"{times} times"
    if times == 1:
        often = "1 time"
    words = (
        f"who sees the models of all {rounds} rounds {_OTHERS['replace_one']} (replace one), as"
        " long as the server is trusted to add the noise and no device takes part more than"
        f" {often}{_IN_CLEAR}"
    )
    moved = 2 * times * math.sqrt(int(rounds).bit_length())
    return Guarantee(_gaussian(multiplier / moved, delta), delta, words)


def guarantees(  # noqa: PLR0913  # options by keyword, each by itself
    stages: Sequence[Stage],
    rounds: int,
    cohort: int,
    population: int,
    *,
    times: int,
    delta: float,
    sampling: str = "fixed",
) -> list[Guarantee]:
    """Return what each noise of a run promises.

    Args:
        stages: of the run.
        rounds: so far.
        cohort: devices that are drawn for a round, those asked beyond the number that is wanted
            too.
        population: devices in all.
        times: how often the device that took part most often did.
        delta: chance that a promise fails; see :func:`central`.
        sampling: how devices are drawn; see :func:`central`.

    Raises:
        InputError: a value outside of its range; it is named.
    """
    promised = []
    for stage in stages:
        if isinstance(stage, CentralNoise):
            guarantee = central(
                stage.multiplier, rounds, cohort, population, delta, sampling=sampling, times=times
            )
        elif isinstance(stage, LocalNoise):
            _require_delta(delta, population)
            guarantee = local(stage.multiplier, delta, times=times)
        elif isinstance(stage, TreeNoise):
            _require_delta(delta, population)
            guarantee = tree(stage.multiplier, rounds, delta, times=times)
        else:
            continue
        promised.append(guarantee)
    return promised


def epsilons(stages: Sequence[Stage], promised: Sequence[Guarantee]) -> dict[str, float]:
    """Return ``epsilon`` of who sees models, and ``local_epsilon`` of who sees updates.

    Args:
        stages: of a run.
        promised: what their noises promise; see :func:`guarantees`.
    """
    figures: dict[str, float] = {}
    noises = [stage for stage in stages if isinstance(stage, CentralNoise | LocalNoise | TreeNoise)]
    for noise, guarantee in zip(noises, promised, strict=True):
        # Noise of multiplier 0 is none: plans are tried so.
        if noise.multiplier <= 0:
            continue
        name = "epsilon"
        if isinstance(noise, LocalNoise):
            name = "local_epsilon"
        # Of two noises the better promise holds.
        figures[name] = min(figures.get(name, math.inf), guarantee.epsilon)
    return figures


def noise_multiplier(  # noqa: PLR0913  # options by keyword, each by itself
    target_epsilon: float,
    rounds: int,
    cohort: int,
    population: int,
    delta: float,
    *,
    sampling: str = "fixed",
    relation: str = "replace_one",
    times: int | None = None,
) -> float:
    """Return the smallest multiplier of :class:`CentralNoise` that promises an epsilon or less.

    Found by bisection to 0.01 %, and looked for down to 0.005, where nothing is promised any more.
    For other arguments see :func:`central`.

    >>> round(noise_multiplier(8.0, 60, 300, 6000, 1e-5), 2)
    1.56

    Raises:
        InputError: an epsilon that is not above 0, or that no noise promises, or another value
            outside of its range; it is named.
    """

    def promised(multiplier: float) -> float:
        guarantee = central(
            multiplier,
            rounds,
            cohort,
            population,
            delta,
            sampling=sampling,
            relation=relation,
            times=times,
        )
        return guarantee.epsilon

    return smallest_multiplier(target_epsilon, promised)


def smallest_multiplier(target_epsilon: float, promised: Callable[[float], float]) -> float:
    """Return the smallest multiplier, to 0.01 %, that promises an epsilon of at most the target.

    It is looked for from 0.005 to a million.

    Args:
        target_epsilon: above 0.
        promised: epsilon of a multiplier, falling.

    Raises:
        InputError: an epsilon that is not above 0, or that no noise promises.
    """
    require_target(target_epsilon)
    high = 1.0
    # Doubled until it promises enough: nobody knows beforehand how much noise that is.
    while promised(high) > target_epsilon:
        high *= 2
        if high > _MOST_SEARCHED:
            raise InputError(
                f"target_epsilon: no noise promises {target_epsilon:g}; expected a larger one"
            )
    low = high / 2
    while promised(low) <= target_epsilon:
        if low < _LEAST_SEARCHED:
            return low
        high = low
        low = low / 2
    while high - low > _TOLERANCE * high:
        middle = (low + high) / 2
        if promised(middle) > target_epsilon:
            low = middle
        else:
            high = middle
    return high


def require_target(epsilon: float) -> None:
    """Raise :class:`InputError` for an epsilon that cannot be wanted."""
    in_range("target_epsilon", epsilon, low=0, low_open=True)


@lru_cache(maxsize=4096)
def _fixed(multiplier: float, rounds: int, cohort: int, population: int, delta: float) -> float:
    # Of everybody, in all rounds: no drawing can promise less.
    everybody = _gaussian(multiplier / (2 * math.sqrt(rounds)), delta)
    if multiplier == 0 or cohort == population:
        return everybody
    dp = _accounting()
    # Replacing one device moves a sum by two bounds.
    # More noise than the sums can tell from none is taken as less, which promises no more.
    orders, once = _renyi(min(multiplier, _MOST_RENYI) / 2, cohort, population)
    # Drawing never promises less than nothing drawn: each bound holds, so the smaller one does.
    return min(everybody, float(dp.rdp.compute_epsilon(orders, rounds * once, delta)[0]))


@lru_cache(maxsize=64)
def _renyi(
    multiplier: float, cohort: int, population: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return orders, and one round's Renyi divergences at these.

    More rounds have their multiples.
    """
    dp = _accounting()
    # Fine where epsilons of a few units have their best order, coarse above.
    fine = [1 + step / 10 for step in range(1, 100)]
    orders = np.array([*fine, *range(11, 64), 128, 256, 512, 1024])
    accountant = dp.rdp.RdpAccountant(orders, dp.NeighboringRelation.REPLACE_ONE)
    noise = dp.GaussianDpEvent(multiplier)
    accountant.compose(dp.SampledWithoutReplacementDpEvent(population, cohort, noise))
    return orders, accountant.rdp


@lru_cache(maxsize=4096)
def _poisson(multiplier: float, rounds: int, chance: float, relation: str, delta: float) -> float:
    everybody = _gaussian(multiplier / (_moved(relation) * math.sqrt(rounds)), delta)
    if chance == 1 or multiplier < _LEAST_POISSON:
        return everybody
    once = _losses(multiplier, chance, relation, _interval(multiplier, rounds))
    return min(everybody, float(once.self_compose(rounds).get_epsilon_for_delta(delta)))


def _interval(multiplier: float, rounds: int) -> float:
    """Return how finely losses are told apart, so that their distribution fits into memory."""
    # The end of one round's losses, as of replace-one without drawing: their mean is 2 / z^2 and
    # their deviation 2 / z, of which eight are taken.
    spread = 2 / multiplier**2 + 16 / multiplier
    return max(_INTERVAL, spread * rounds / _POINTS)


@lru_cache(maxsize=64)
def _losses(multiplier: float, chance: float, relation: str, interval: float) -> Any:
    """Return the distribution of privacy losses of one round."""
    dp = _accounting()
    return dp.pld.privacy_loss_distribution.from_gaussian_mechanism(
        multiplier,
        value_discretization_interval=interval,
        sampling_prob=chance,
        neighboring_relation=dp.NeighboringRelation[relation.upper()],
    )


@lru_cache(maxsize=4096)
def _gaussian(multiplier: float, delta: float) -> float:
    """Return epsilon of the Gaussian mechanism on a sum that moves by 1."""
    if multiplier == 0:
        return math.inf
    if multiplier < _LEAST_GAUSSIAN:
        # Zero-concentrated privacy (Bun and Steinke, arXiv 1605.02065).
        bound = 1 / (2 * multiplier**2)
        return bound + 2 * math.sqrt(bound * math.log(1 / delta))
    # Of very much noise the logarithm of delta is minus infinity, as it should be.
    with np.errstate(divide="ignore"):
        epsilon = float(_accounting().get_epsilon_gaussian(multiplier, delta))
    return epsilon * (1 + _ROOT) + _ROOT


def _moved(relation: str) -> float:
    """Return by how many bounds one device moves a sum: its data leaves, and other data comes."""
    if relation == "replace_one":
        return 2.0
    return 1.0


def _require_multiplier(multiplier: float) -> None:
    in_range("multiplier", multiplier, low=0)


def _require_delta(delta: float, population: int | None = None) -> None:
    in_range("delta", delta, low=0, high=1, low_open=True, high_open=True)
    if population is not None and delta > 1 / population:
        raise InputError(
            f"delta: expected at most one over the {population} devices, {1 / population:.2g}, got"
            f" {delta:g}: so much is promised by who publishes one device's data"
        )


def _require_cohort(cohort: int, population: int) -> None:
    whole_in_range("population", population, low=1)
    whole_in_range("cohort", cohort, low=1)
    if cohort > population:
        raise InputError(f"cohort: expected at most the population of {population}, got {cohort}")


def _require_sampling(sampling: str, relation: str) -> None:
    one_of("sampling", sampling, SAMPLINGS)
    one_of("relation", relation, RELATIONS)
    # Of a cohort of a fixed size, one device less is another device more.
    if relation == "add_or_remove_one" and sampling != "poisson":
        raise InputError(
            f"relation: {relation} is of Poisson samples; {sampling} ones promise replace_one"
        )


def _accounting() -> Any:
    try:
        import dp_accounting
        from dp_accounting import pld, rdp  # noqa: F401  # attributes of it from then on
    except ImportError as error:
        raise MissingDependencyError(
            "dp-accounting", "federated", "saying what noise promises"
        ) from error
    return dp_accounting
