"""Noise that hides what one device did.

At the server, in its running sum over rounds, or on the device itself.

It is drawn from the run's seed in a simulation, and from a secret of the operating system by a
server or a device: see ``StageSeeds.is_secret``.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Total
from handheld.federated.stages.randomness import Randomness
from handheld.federated.stages.stage import Memory, PlainStage, StageSeeds, Update, UpdateFacts
from handheld.ranges import in_range


@dataclass(frozen=True)
class _Noise(PlainStage):
    multiplier: float

    def __post_init__(self) -> None:
        # 0 is no noise, to see what it costs.
        in_range("multiplier", self.multiplier, low=0)

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return the facts. Raises :class:`InputError` where updates may be of any length."""
        facts.require("noise", modular=False, equal=True, single=True)
        if facts.bound is None:
            raise InputError(
                "noise: an update may be of any length here, and noise would not hide it:"
                " clip before"
            )
        return facts

    def draw(self, bound: float | None, count: int, randomness: Randomness) -> NDArray[np.float64]:
        """Return ``count`` numbers of noise that hides what is no longer than a bound."""
        if bound is None:
            raise InputError(
                f"{type(self).__name__}: what it is to hide may be of any length: clip before"
            )
        return randomness.normal(self.multiplier * bound, count)


@dataclass(frozen=True)
class CentralNoise(_Noise):
    """The server adds Gaussian noise to a round's sum (McMahan et al., arXiv 1710.06963).

    Who sees the models that come out, round by round, cannot tell whether a device ever took part,
    as far as the run's (epsilon, delta) says: ``privacy.central``. Condition: the server is trusted
    to add the noise and to show the models only, and devices of a round are chosen at random, each
    with the same chance.

    The noise is scaled to the bound after all stages, that of what one device adds to the sum once
    it is decoded.

    Attributes:
        multiplier: standard deviation of the noise, in those bounds; 0 or more.

    Raises:
        InputError: a multiplier below 0.
    """

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return the sum with noise."""
        # The bound after all stages: what is hidden is what a device adds to the decoded sum.
        noise = self.draw(facts.sum_bound, facts.count, seeds.randomness)
        return replace(total, change=total.change + noise), memory


@dataclass(frozen=True)
class LocalNoise(_Noise):
    """Each device adds Gaussian noise to its own update, before anybody sees it.

    Who sees a device's update, the server too, cannot tell what the device's data was, as far as
    the (epsilon, delta) of ``privacy.local`` says, for each round that it takes part in. Condition:
    none but that the device does it. Means need very many devices.

    Attributes:
        multiplier: standard deviation of the noise, in bounds of an update's length; 0 or more.

    Raises:
        InputError: a multiplier below 0.
    """

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return that lengths are not bounded any more.

        Raises :class:`InputError` where they were not before.
        """
        return replace(super().after(facts, memory), bound=None)

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the update with noise."""
        # The bound before the stage: what is hidden is the update as it comes.
        noise = self.draw(facts.bound, facts.count, seeds.randomness)
        return update.with_values(update.values + noise.astype(np.float32))


@dataclass(frozen=True)
class TreeNoise(_Noise):
    """The server adds Gaussian noise to the sum over all rounds so far, from a tree.

    DP-FTRL: Kairouz et al., 2103.00039.

    The tree is binary: each prefix of the rounds is the sum of at most log2(rounds) + 1 nodes, each
    with noise of its own, so noise grows with the logarithm of the rounds. Who sees the models that
    come out cannot tell whether a device ever took part, as far as ``privacy.tree`` says.
    Condition: the server is trusted to add the noise, and a device takes part once at most (or the
    guarantee is that of so many more times); nothing is asked of how devices are chosen. Noise
    cancels from round to round only where each sum is divided by the same number and rounds are
    added up, as federated averaging does without a server's own optimiser: simulations divide by
    the number of devices that is expected. The noise is scaled to the bound after all stages.

    Attributes:
        multiplier: standard deviation of a node's noise, in those bounds; 0 or more.

    Raises:
        InputError: a multiplier below 0.
    """

    def start(self) -> Memory:
        """Return the number of rounds so far, and the run's seed, which the first round sets."""
        return {"rounds": np.array(0), "seed": np.array(0, np.uint64)}

    def public(self, memory: Memory) -> Memory:
        """Return nothing: who has the seed can take the noise away."""
        return {}

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return the facts.

        Raises :class:`InputError` where updates may be of any length, or the bound changes.
        """
        # Noise of earlier rounds was scaled to another bound otherwise.
        return super().after(facts, memory).require("tree noise", steady=True)

    def on_sum(
        self, total: Total, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> tuple[Total, Memory]:
        """Return the sum with the difference of this round's noise and that of the round before."""
        rounds = int(memory["rounds"])
        # One seed for all rounds, or a node's noise would differ from one round to the next.
        randomness = seeds.randomness
        if rounds:
            randomness = Randomness(_number_of(memory["seed"]), seeds.is_secret)
        now = self._until(rounds + 1, facts, randomness)
        before = self._until(rounds, facts, randomness)
        kept = {"rounds": np.array(rounds + 1), "seed": _words_of(randomness.seed)}
        return replace(total, change=total.change + now - before), kept

    def _until(
        self, rounds: int, facts: UpdateFacts, randomness: Randomness
    ) -> NDArray[np.float64]:
        """Return the noise of the sum of so many rounds: that of the nodes that cover them."""
        noise = np.zeros(facts.count)
        # The bits of a number of rounds are the sizes of the nodes that cover it.
        start = 0
        for level in reversed(range(rounds.bit_length())):
            if rounds >> level & 1:
                node = randomness.of(level, start >> level)
                noise += self.draw(facts.sum_bound, facts.count, node)
                start += 1 << level
        return noise


def _words_of(seed: int) -> NDArray[np.uint64]:
    """Return a seed in numbers of 64 bits, one alone where that is enough."""
    if seed < 1 << 64:
        return np.array(seed, np.uint64)
    return np.array([seed % (1 << 64), seed >> 64], np.uint64)


def _number_of(words: NDArray[np.uint64]) -> int:
    """Return a seed of its words."""
    seed = 0
    for number, word in enumerate(words.ravel()):
        seed |= int(word) << 64 * number
    return seed
