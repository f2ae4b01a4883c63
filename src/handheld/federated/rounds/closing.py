"""What a round makes of a server's state: pure, the same in a simulation and on a real server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import Adder, Algorithm, RobustMean, ServerState, Total
from handheld.federated.client.answer import ClientAnswer
from handheld.federated.learning.learner import Doubles, Floats
from handheld.federated.rounds.state import FederationState
from handheld.federated.stages import Memory, StageChain, StageSeeds
from handheld.federated.user_values import (
    method_of,
    require_arrays,
    require_type,
    require_vector,
    require_weights,
)


@dataclass
class RoundSums:
    """What devices of a round sent, added up.

    Attributes:
        updates: the sum of updates.
        statistics: the sum of statistics by the updates' weights; none where models keep none.
        changes: (k, n) what each sent, where means are robust.
        held_statistics: (k, m) the statistics of each then.
    """

    updates: Adder = field(default_factory=Adder)
    statistics: Adder = field(default_factory=Adder)
    changes: list[Floats] = field(default_factory=list)
    held_statistics: list[Floats] = field(default_factory=list)

    def take(
        self, answer: ClientAnswer, values: Floats, largest: float, *, keep: bool = False
    ) -> float:
        """Add what one device sent, and return by which weight.

        Args:
            answer: of it.
            values: (n,) its update, as it arrived.
            largest: what it may count, see :func:`largest_weight`.
            keep: whether to hold it besides, as robust means need.
        """
        weight = 1.0
        if largest:
            weight = min(answer.weight, largest)
        self.updates.add(values, weight, answer.extra)
        if len(answer.statistics):
            self.statistics.add_total(Total.of(answer.statistics, weight))
        if keep:
            self.changes.append(values[np.newaxis])
            self.held_statistics.append(answer.statistics.astype(np.float32)[np.newaxis])
        return weight

    @property
    def answered(self) -> int:
        """How many devices sent something that counts."""
        if self.updates.total is None:
            return 0
        return self.updates.total.clients


@dataclass(frozen=True, eq=False)
class RoundRules:
    """How a round's sums change a state.

    Attributes:
        algorithm: of the server.
        stages: on the way of an update, whose sums they change.
        population: devices in all.
        robust: a mean that broken devices cannot move far, instead of that by weight.
    """

    algorithm: Algorithm
    stages: StageChain
    population: int | None = None
    robust: RobustMean | None = None

    def first(self, weights: Floats, statistics: Doubles) -> FederationState:
        """Return the state before the first round.

        Args:
            weights: (n,) of the model.
            statistics: (m,) of it.
        """
        source = method_of(self.algorithm, "init")
        state = require_type(source, self.algorithm.init(weights), ServerState)
        require_weights(source, state.weights, len(weights))
        require_arrays(source, state.kept)
        return FederationState(replace(state, statistics=statistics), self.stages.start())

    def closed(
        self, before: FederationState, sums: RoundSums, seeds: StageSeeds
    ) -> FederationState | None:
        """Return the state after a round; None gives the round up.

        Args:
            before: the state before it.
            sums: what devices sent.
            seeds: of the server's stages.

        Raises:
            TrainingError: weights that are not finite, or an algorithm of the user's own that
                returns no state.
        """
        total = self._applied_total(before, sums)
        if total is None:
            return None
        server, memory = self._applied(before, total, seeds)
        server = replace(server, statistics=self._averaged(before.server, sums))
        return FederationState(server, memory)

    def _applied_total(self, before: FederationState, sums: RoundSums) -> Total | None:
        """Return what is applied of a round's sum; None gives the round up."""
        total = sums.updates.total
        if total is None and self.stages.promises:
            total = self._nothing(before)
        if total is None:
            return None
        if self.robust is not None:
            try:
                total = robust_mean(self.robust, np.concatenate(sums.changes))
            except InputError:  # the whole cohort would have been enough: too few of it answered
                return None
        elif self.stages.promises:
            # Divided by how many were expected: how many answered tells whether one has data.
            total = replace(total, weight=self.stages.clients)
        return replace(total, population=self.population)

    def _applied(
        self, before: FederationState, total: Total, seeds: StageSeeds
    ) -> tuple[ServerState, tuple[Memory, ...]]:
        """Return the state after a round's sum, and what stages keep then."""
        memory = before.memory
        # A robust mean takes the place of the sum that stages would change.
        if self.robust is None:
            total, memory = self.stages.on_sum(total, memory, seeds)
        # What overflows here is said in words below.
        with np.errstate(over="ignore", invalid="ignore"):
            state = self.algorithm.apply(before.server, total)
        _require_state(method_of(self.algorithm, "apply"), state, before.server)
        if not np.isfinite(state.weights).all():
            raise TrainingError(
                f"after round {state.round} the model's weights are not finite:"
                " take a lower rate, or clip updates"
            )
        return state, memory

    def _averaged(self, state: ServerState, sums: RoundSums) -> Doubles:
        """Return statistics (m,) after a round: their mean over devices, by the updates' weights.

        No algorithm, stage or server's rate touches them: a mean of variances is a variance, which
        a step along a change need not be. Where means are robust these are too, or one broken
        device could set them.
        """
        total = sums.statistics.total
        if total is None:
            return state.statistics
        if self.robust is None:
            # By weights, as weights themselves are averaged.
            return total.mean
        return robust_mean(self.robust, np.concatenate(sums.held_statistics)).mean

    def _nothing(self, before: FederationState) -> Total:
        """Return the sum of a round in which nobody sent anything: zeros in the form of updates."""
        memory = before.memory
        facts = self.stages.facts(memory)
        update = self.stages.on_nothing(facts, memory, StageSeeds(0, 0))
        zeros = np.zeros_like(update.values)
        # Sums are of 64 bits, but for whole numbers, which go around at 32.
        if not facts[-1].modular:
            zeros = zeros.astype(np.float64)
        return Total(zeros, 1.0, 0)


def largest_weight(weights: Sequence[float], most_weight: float) -> float:
    """Return what a device of a round may count, whatever it claims; 0: all count alike.

    Args:
        weights: that devices claim.
        most_weight: in medians of these, a median being 1 at least; 0: all count alike.
    """
    if not most_weight or not weights:
        return 0.0
    return most_weight * max(1.0, float(np.median(weights)))


def robust_mean(robust: RobustMean, changes: Floats) -> Total:
    """Return the mean of (clients, n) changes that a robust mean, maybe a user's own, gives.

    Raises :class:`TrainingError` where that is none.
    """
    source = method_of(robust, "mean")
    total = require_type(source, robust.mean(changes), Total)
    require_vector(source, total.change, changes.shape[1])
    return total


def _require_state(source: str, state: ServerState, before: ServerState) -> None:
    """Raise :class:`TrainingError` unless a state follows another one.

    Args:
        source: the method that returned it.
        state: what came.
        before: the state before the round.
    """
    require_type(source, state, ServerState)
    require_weights(source, state.weights, len(before.weights))
    require_arrays(source, state.kept)
    # A round that does not rise would be repeated for ever.
    if state.round != before.round + 1:
        raise TrainingError(
            f"{source} gives a state of round {state.round}, expected {before.round + 1}:"
            " return state.after(weights)"
        )
