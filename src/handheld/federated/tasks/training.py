"""Training on devices, as the server of a federation serves it."""

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms import RobustMean, Total
from handheld.federated.client.answer import ClientAnswer
from handheld.federated.client.messages import OVERHEAD_BYTES, answer_from
from handheld.federated.client.seeds import SERVER, secret_seeds, seeds
from handheld.federated.learning.learner import ClientTask, Doubles, Floats
from handheld.federated.privacy import epsilons, guarantees
from handheld.federated.rounds import FederationState, RoundRules, RoundSums, largest_weight
from handheld.federated.server.task import (
    ClosedRound,
    PlainUpload,
    Received,
    SecureUpload,
    UploadTerms,
    require_name,
)
from handheld.federated.stages import StageSeeds, Update
from handheld.federated.tasks.plan import VERSION, DevicePlan
from handheld.federated.updates.encoder import are_finite
from handheld.ranges import in_range, whole_in_range

_LOG = logging.getLogger(__name__)

_FLOAT = 4  # bytes
# Sizes of encoders whose bytes depend on the numbers differ by less.
_LONGER = 1.25
_TYPICAL_CHANGE = np.float32(1e-3)  # deviation of an update's numbers, on which sizes hardly depend
_STATE_BYTES = 1 << 33


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """A model that devices train.

    Attributes:
        name: by which devices know the task.
        plan: what they do.
        weights: (n,) before the first round.
        first_statistics: (m,) of the model, such as running means.
        robust: a mean that broken devices cannot move far, instead of that by weight; for plain
            uploads.
        max_weight: what a device counts at most, in medians of its round, 1 or more.
        population: devices in all, 1 or more, as far as is known; for what noise promises.
        delta: chance that the promise fails, in (0, 1); one over the devices and one if left out.

    Raises:
        InputError: values outside of their ranges, or that make no sense together.
    """

    name: str
    plan: DevicePlan
    weights: Floats
    first_statistics: Doubles
    robust: RobustMean | None = None
    max_weight: float = 100.0
    population: int | None = None
    delta: float | None = None
    purpose: Literal["training"] = "training"

    def __post_init__(self) -> None:
        require_name(self.name)
        in_range("max_weight", self.max_weight, low=1, high=math.inf)
        if self.delta is not None:
            in_range("delta", self.delta, low=0, high=1, low_open=True, high_open=True)
        if self.population is not None:
            whole_in_range("population", self.population, low=1)
        plan = self.plan
        chain = plan.chain
        if self.weights.shape != (plan.count,) or not are_finite(self.weights):
            raise InputError(f"weights: expected {plan.count:,} finite numbers")
        if len(self.first_statistics) != plan.statistics:
            raise InputError(f"statistics: expected {plan.statistics:,}")
        self._require_hidden()
        if chain.promises and not plan.clients:
            raise InputError(
                "plan.clients: expected a number, by which sums with noise are divided"
            )
        if chain.promises and self.population is None:
            raise InputError("population: expected a number, for what noise promises")

    def _require_hidden(self) -> None:
        """Refuse what would be seen beside a sum that masks or noise hide."""
        plan = self.plan
        plan.require_dense()
        is_secure = plan.whole is not None
        if is_secure and self.robust is not None:
            raise InputError("a robust mean sees each update, of which secure sums show none")
        if plan.statistics and (is_secure or plan.chain.promises):
            raise InputError(
                f"the {plan.statistics:,} statistics (running means and variances) of this model"
                " would travel beside what masks or noise hide: use GroupNorm or LayerNorm instead"
                " of BatchNorm, or freeze them"
            )

    def start(self) -> bytes:
        """Return the first state."""
        return self._rules.first(self.weights, self.first_statistics).to_bytes()

    def plans(self) -> Mapping[int, bytes]:
        """Return what devices do, by version."""
        return {VERSION: self.plan.to_bytes()}

    def public(self, state: bytes) -> bytes:
        """Return what devices get of a state."""
        known = self._state(state)
        server = known.server
        # What an optimiser of the server's keeps is nothing to devices that correct nothing.
        if not self.plan.algorithm.corrects:
            server = replace(server, kept={})
        return FederationState(server, self.plan.chain.public(known.memory)).to_bytes()

    def upload(self, state: bytes) -> UploadTerms:
        """Return what devices send."""
        known = self._state(state)
        chain = self.plan.chain
        grid = self.plan.whole
        if grid is not None:
            nothing = chain.on_nothing(
                chain.facts(known.memory), known.memory, seeds(self._task(known), SERVER)
            )
            return SecureUpload(
                count=len(nothing.values),
                bits=grid.width,
                most_clients=grid.clients,
            )
        facts = chain.facts(known.memory)
        noise = np.random.default_rng(0).standard_normal(self.plan.count).astype(np.float32)
        usual = chain.on_device(
            Update.of(_TYPICAL_CHANGE * noise), facts, known.memory, StageSeeds(0, 0)
        ).size
        # Numbers as they are may be fewer bytes: encoders fill blocks of small models up.
        longest = max(usual, _FLOAT * self.plan.count)
        beside = _FLOAT * (_extra(self.plan) + self.plan.statistics)
        return PlainUpload(most_bytes=int(_LONGER * longest) + beside + OVERHEAD_BYTES)

    def close(self, state: bytes, received: Received) -> ClosedRound:
        """Return the state after a round.

        Raises:
            TrainingError: the model's weights would not be finite.
            InputError: nothing can be made of what came.
        """
        known = self._state(state)
        figures: dict[str, float] = {}
        if received.total is not None:
            sums = RoundSums()
            clients = received.clients
            sums.updates.add_total(Total(received.total.copy(), float(clients), clients))
        else:
            sums, figures = self._read(known, received)
        closed = self._rules.closed(known, sums, secret_seeds(self._task(known), SERVER))
        if closed is None:
            raise InputError("too few of the round's updates can be used")
        figures |= self.plan.chain.figures(known.memory)
        figures |= self._promised(closed.server.round)
        return ClosedRound(state=closed.to_bytes(), figures=figures)

    def _read(
        self, known: FederationState, received: Received
    ) -> tuple[RoundSums, dict[str, float]]:
        """Return the sums of plain uploads; who sends what makes no sense is left out."""
        reading = _PlainReading(self.plan, known, self._largest_weight(received.uploads))
        for content in received.uploads:
            reading.add(content, keep=self.robust is not None)
        return reading.sums, reading.figures

    def _largest_weight(self, uploads: Sequence[bytes]) -> float:
        """Return what a device may count, whatever it claims; 0: all count alike."""
        if self.plan.equal or self.robust is not None or self.plan.algorithm.corrects:
            return 0.0
        weights = []
        for content in uploads:
            with suppress(InputError):
                weights.append(_answer_of(self.plan, content)[0].weight)
        return largest_weight(weights, self.max_weight)

    def _promised(self, rounds: int) -> dict[str, float]:
        """Return what noise promises of a device that took part in every round so far."""
        if not self.plan.chain.promises:
            return {}
        assert self.population is not None
        # Less than one over the devices, as is usual: at more, giving away one of them whole would
        # be within the promise.
        delta = self.delta or 1 / (self.population + 1)
        # Devices come when they can: nobody draws them, and sampling promises nothing.
        promised = guarantees(
            self.plan.stages,
            rounds,
            max(1, round(min(self.plan.clients, self.population))),
            self.population,
            times=rounds,
            delta=delta,
            sampling="unknown",
        )
        return epsilons(self.plan.stages, promised)

    @cached_property
    def _rules(self) -> RoundRules:
        plan = self.plan
        return RoundRules(plan.algorithm, plan.chain, self.population, self.robust)

    def _task(self, known: FederationState) -> ClientTask:
        return self.plan.task(known.server)

    def _state(self, state: bytes) -> FederationState:
        return FederationState.from_bytes(state, _STATE_BYTES)


class _PlainReading:
    """Adds up what devices sent, one after another, and counts what is not taken."""

    def __init__(self, plan: DevicePlan, known: FederationState, largest: float) -> None:
        self.sums = RoundSums()
        self._plan = plan
        self._task = plan.task(known.server)
        self._memory = plan.chain.public(known.memory)
        self._facts = plan.chain.facts(known.memory)
        self._largest = largest
        self._rejected = 0
        self._loss = 0.0

    @property
    def figures(self) -> dict[str, float]:
        """What is told of the uploads."""
        figures = {"rejected": float(self._rejected)}
        total = self.sums.updates.total
        # The mean loss of devices would tell of them what noise hides.
        if total is not None and not self._plan.chain.promises:
            figures["loss"] = self._loss / total.weight
        return figures

    def add(self, content: bytes, *, keep: bool) -> None:
        """Add an upload, and hold it besides where means are robust."""
        try:
            answer, number = _answer_of(self._plan, content)
            update = self._plan.chain.on_arrival(
                answer.upload, self._facts, self._memory, seeds(self._task, number)
            )
            if not are_finite(update.values):
                raise InputError("expected finite numbers in an update")
        except InputError as error:
            _LOG.info("an upload is left out: %s", error)
            self._rejected += 1
            return
        weight = self.sums.take(answer, update.values, self._largest, keep=keep)
        self._loss += weight * answer.loss


def _answer_of(plan: DevicePlan, content: bytes) -> tuple[ClientAnswer, int]:
    return answer_from(content, plan.statistics, _extra(plan))


def _extra(plan: DevicePlan) -> int:
    """Return how many numbers each device sends beside its update."""
    if plan.algorithm.corrects:
        return plan.count
    return 0
