"""A server's half of a round of a Flower app. Nothing here knows Flower."""

import logging
import secrets
from dataclasses import replace

from handheld.errors import InputError
from handheld.federated.algorithms import Algorithm, RobustMean
from handheld.federated.client import SERVER, ClientAnswer, secret_seeds, seeds
from handheld.federated.client.messages import answer_from
from handheld.federated.flower.client_side import ClientSide
from handheld.federated.flower.messages import TrainOffer, memory_bytes
from handheld.federated.flower.plan import ArrayLayout, NamedArrays, UpdatePlan
from handheld.federated.learning.learner import ClientTask, ClientWork, Floats
from handheld.federated.rounds import FederationState, RoundRules, RoundSums, largest_weight
from handheld.federated.secagg import RoundTerms
from handheld.federated.stages import StageChain
from handheld.federated.updates.encoder import are_finite
from handheld.ranges import MOST_SEED, in_range, whole_in_range

_LOG = logging.getLogger(__name__)
_SEED_BITS = 31
_ID_BYTES = 32


class ServerSide:
    """What a server knows of a Flower app's rounds.

    Args:
        algorithm: what it does with a round.
        plan: the way of updates.
        robust: a mean that broken clients cannot move far, instead of that by weight.
        max_weight: what a client counts at most, in medians of its round.
        population: clients in all; None if nobody knows.
        seed: of encoders, which clients are told; None: a new one.
        state: of rounds before, to go on from; its model counts nothing.

    Raises:
        InputError: an algorithm whose clients keep a state, a robust mean of sums that nobody sees,
            or a number outside of its range.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        algorithm: Algorithm,
        plan: UpdatePlan,
        *,
        robust: RobustMean | None = None,
        max_weight: float = 100.0,
        population: int | None = None,
        seed: int | None = None,
        state: FederationState | None = None,
    ) -> None:
        in_range("max_weight", max_weight, low=1)
        if algorithm.corrects:
            raise InputError(
                f"algorithm: clients of {type(algorithm).__name__} correct their gradients by what"
                " they keep, which an app's own training does not"
            )
        if robust is not None and (plan.promises or plan.whole is not None):
            raise InputError(
                "a robust mean takes the place of the sum that noise or whole numbers work on"
            )
        if seed is None:
            seed = secrets.randbits(_SEED_BITS)
        whole_in_range("seed", seed, low=0, high=MOST_SEED)
        self.plan = plan
        self.algorithm = algorithm
        self.state = state
        self._robust = robust
        self._max_weight = max_weight
        self._population = population
        self._seed = seed

    def begin(self, arrays: NamedArrays) -> TrainOffer:
        """Return what clients are asked, beside a model.

        Args:
            arrays: of the model, from which a round begins.

        Raises:
            InputError: the plan is not for such a model.
        """
        self._arrays = dict(arrays)
        self._layout = self.plan.layout(arrays)
        self._chain = self.plan.chain(self._layout)
        self._rules = RoundRules(self.algorithm, self._chain, self._population, self._robust)
        weights = self._layout.weights_of(arrays)
        statistics = self._layout.statistics_of(arrays)
        if self.state is None:
            self.state = self._rules.first(weights, statistics)
        server = replace(self.state.server, weights=weights, statistics=statistics)
        self._before = replace(self.state, server=server)
        return TrainOffer(
            plan=self.plan.digest,
            round=server.round,
            seed=self._seed,
            memory=memory_bytes(self._chain.public(self._before.memory)),
        )

    def terms(self, offer: TrainOffer, threshold: int, *, is_active: bool) -> RoundTerms:
        """Return the terms of secure aggregation of the round that has begun.

        Args:
            offer: what clients are asked.
            threshold: clients that must stay to the end.
            is_active: whether clients check that all were told the same.

        Raises:
            InputError: the plan makes no whole numbers.
        """
        grid = self.plan.whole
        if grid is None:
            raise InputError(
                "secure aggregation adds up whole numbers: expected a plan with WholeNumbers"
            )
        client = ClientSide.of(self.plan, offer, self._arrays)
        memory = self._before.memory
        nothing = self._chain.on_nothing(
            self._chain.facts(memory), memory, seeds(self._task, SERVER)
        )
        return RoundTerms(
            round=secrets.token_bytes(_ID_BYTES),
            context=client.context,
            count=len(nothing.values),
            bits=grid.width,
            threshold=threshold,
            is_active=is_active,
        )

    def reading(self) -> "PlainReading":
        """Return what adds up the plain answers of the round that has begun."""
        most_weight = self._max_weight
        # A robust mean takes no weights: a client could claim as much as it wants.
        if self.plan.uniform or self._robust is not None:
            most_weight = 0.0
        return PlainReading(
            self._layout, self._chain, self._task, self._before, most_weight=most_weight
        )

    def close(self, sums: RoundSums) -> NamedArrays | None:
        """Return the model after a round; None where it gives the round up.

        Raises:
            TrainingError: weights that are not finite.
        """
        closed = self._rules.closed(self._before, sums, secret_seeds(self._task, SERVER))
        if closed is None:
            return None
        self.state = closed
        server = closed.server
        return self._layout.arrays_of(server.weights, server.statistics, self._arrays)

    def figures(self) -> dict[str, float]:
        """Return the length at which updates of the round were clipped, and the like."""
        return self._chain.figures(self._before.memory)

    @property
    def _task(self) -> ClientTask:
        return ClientTask(self._before.server, self.algorithm, ClientWork(), self._seed)


class PlainReading:
    """Adds up what clients of a round sent, and counts what is not taken.

    Args:
        layout: of the model.
        chain: the way of updates.
        task: of the round.
        before: what the server knew before it.
        most_weight: what a client counts at most, in medians; 0: all count alike.
    """

    def __init__(
        self,
        layout: ArrayLayout,
        chain: StageChain,
        task: ClientTask,
        before: FederationState,
        *,
        most_weight: float,
    ) -> None:
        self.rejected: dict[int, str] = {}
        self._layout = layout
        self._chain = chain
        self._task = task
        self._memory = chain.public(before.memory)
        self._facts = chain.facts(before.memory)
        self._most_weight = most_weight
        self._answers: dict[int, tuple[ClientAnswer, int]] = {}

    def add(self, node: int, content: bytes) -> None:
        """Take a client's answer, if it is one.

        Args:
            node: who sent it, as the transport knows.
            content: that it sent.
        """
        if node in self._answers:
            self.reject(node, "it has answered already")
            return
        try:
            self._answers[node] = answer_from(content, self._layout.statistics_count, 0)
        except InputError as error:
            self.reject(node, str(error))

    def reject(self, node: int, reason: str) -> None:
        """Count a client whose answer is not taken."""
        _LOG.info("an answer is left out: %s", reason)
        self.rejected[node] = reason

    def sums(self, *, keep: bool = False) -> RoundSums:
        """Return what clients sent, added up.

        Args:
            keep: whether to hold each update besides, as robust means need.
        """
        sums = RoundSums()
        weights = [answer.weight for answer, _ in self._answers.values()]
        largest = largest_weight(weights, self._most_weight)
        # In the order of nodes, not of arrival: sums of floating point depend on it.
        for node in sorted(self._answers):
            answer, number = self._answers[node]
            try:
                values = self._decoded(answer, number)
            except InputError as error:
                self.reject(node, str(error))
                continue
            sums.take(answer, values, largest, keep=keep)
        return sums

    def _decoded(self, answer: ClientAnswer, number: int) -> Floats:
        values: Floats = self._chain.on_arrival(
            answer.upload, self._facts, self._memory, seeds(self._task, number)
        ).values
        if not are_finite(values):
            raise InputError("expected finite numbers in an update")
        return values
