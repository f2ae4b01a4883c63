"""Strategies for Flower's ServerApps: our algorithms, with updates that go the way of a plan."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from handheld.errors import HandheldError
from handheld.federated.algorithms import Algorithm, FedAvg, FedProx, RobustMean
from handheld.federated.flower._flwr import (
    ArrayRecord,
    ConfigRecord,
    Grid,
    InconsistentMessageReplies,
    Message,
    MetricRecord,
    validate_message_reply_consistency,
)
from handheld.federated.flower._flwr import FedAvg as FlowerFedAvg
from handheld.federated.flower.messages import ANSWER, OFFER
from handheld.federated.flower.plan import NamedArrays, UpdatePlan
from handheld.federated.flower.records import (
    arrays_of,
    get_bytes,
    put_bytes,
    reason_of,
    record_of,
)
from handheld.federated.flower.secure_rounds import SecureRounds
from handheld.federated.flower.secure_server import IsEnrolled
from handheld.federated.flower.server_side import ServerSide
from handheld.federated.rounds import FederationState, RoundSums

_LOG = logging.getLogger(__name__)
_PROXIMAL = "proximal-mu"
"""How Flower's own FedProx tells clients its mu."""

Closed = tuple[ArrayRecord | None, MetricRecord | None]


class FederationStrategy(FlowerFedAvg):
    """A Flower strategy that closes rounds as handheld's server and simulator do.

    Clients have :func:`~handheld.federated.flower.mods.update_mod` of the same plan.

    Args:
        algorithm: what the server does with a round: ``FedAvg``, ``FedProx`` (whose ``mu`` clients
            get as ``proximal-mu``, and apply themselves), ``FedAvgM``, ``FedAdam``, ``FedYogi``.
        plan: the way of updates.
        robust: a mean that broken clients cannot move far: ``TrimmedMean``, ``Median``, ``Krum``.
        max_weight: what a client counts at most, in medians of its round, whatever it claims.
        population: clients in all; None if nobody knows.
        seed: of encoders, which clients are told; None: a new one.
        state: of rounds before, to go on from.
        sampling: as Flower's ``FedAvg`` has it: ``fraction_train``, ``min_train_nodes`` ...

    Raises:
        InputError: values that make no sense, alone or together.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        algorithm: Algorithm | None = None,
        plan: UpdatePlan | None = None,
        *,
        robust: RobustMean | None = None,
        max_weight: float = 100.0,
        population: int | None = None,
        seed: int | None = None,
        state: FederationState | None = None,
        **sampling: Any,
    ) -> None:
        if plan is None:
            plan = UpdatePlan()
        super().__init__(weighted_by_key=plan.weighted_by, **sampling)
        self._robust = robust
        self._side = ServerSide(
            algorithm or FedAvg(),
            plan,
            robust=robust,
            max_weight=max_weight,
            population=population,
            seed=seed,
            state=state,
        )

    @property
    def state(self) -> FederationState | None:
        """What the server knows, for another run to go on from; None before the first round."""
        return self._side.state

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return what clients are asked."""
        offer = self._side.begin(arrays_of(arrays))
        return self._offers(server_round, arrays, config, grid, offer.to_bytes())

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Closed:
        """Return the model after a round, and what clients tell of it."""
        reading = self._side.reading()
        read = []
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                reading.reject(node, reason_of(reply))
                continue
            content = get_bytes(reply.content, ANSWER)
            if content is None:
                reading.reject(node, "it does not have the mod: its updates travel otherwise")
                continue
            reading.add(node, content)
            read.append(reply)
        sums = reading.sums(keep=self._robust is not None)
        figures = {"answered": sums.answered, "rejected": len(reading.rejected)}
        taken = [reply for reply in read if reply.metadata.src_node_id not in reading.rejected]
        return self._closed(sums, self._told(taken) | figures)

    def _offers(
        self,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        grid: Grid,
        offer: bytes,
    ) -> list[Message]:
        algorithm = self._side.algorithm
        if isinstance(algorithm, FedProx):
            config[_PROXIMAL] = algorithm.mu
        messages = list(super().configure_train(server_round, arrays, config, grid))
        for message in messages:
            put_bytes(message.content, OFFER, offer)
        return messages

    def _closed(self, sums: RoundSums, figures: Mapping[str, Any]) -> Closed:
        metrics = MetricRecord({**figures, **self._side.figures()})
        arrays: NamedArrays | None = self._side.close(sums)
        if arrays is None:
            _LOG.warning("too few clients have answered: the round changes nothing")
            return None, metrics
        return record_of(arrays), metrics

    def _told(self, replies: list[Message]) -> dict[str, Any]:
        """Return the metrics of clients, averaged as Flower does; none where plans hide them."""
        contents = [reply.content for reply in replies if reply.content.metric_records]
        if not contents:
            return {}
        try:
            validate_message_reply_consistency(
                replies=contents, weighted_by_key=self.weighted_by_key, check_arrayrecord=False
            )
        except InconsistentMessageReplies as error:
            _LOG.warning("metrics of clients are left out: %s", error)
            return {}
        return dict(self.train_metrics_aggr_fn(contents, self.weighted_by_key))


class SecureAggregationStrategy(FederationStrategy):
    """A Flower strategy whose server learns the sum of updates alone.

    Clients have :func:`~handheld.federated.flower.mods.secure_aggregation_mod` of the same plan.
    A round is of five messages to each client; the model travels with the first. Who does not
    answer in time is left out of what follows: of those who sent their keys, ``threshold`` must
    stay.

    Args:
        algorithm: what the server does with a round; see :class:`FederationStrategy`.
        plan: the way of updates; its last stages are ``Clip`` and ``WholeNumbers``.
        threshold: clients that must stay to the end; None: more than two thirds of those asked, the
            fewest that clients accept.
        is_active: whether clients check that all were told the same, as they demand by default.
        is_enrolled: whether an identity is one of the clients; None: all are.
        phase_seconds: that the server waits for the training, and then for each step.
        options: of :class:`FederationStrategy`.

    Raises:
        InputError: values that make no sense, alone or together.
    """

    def __init__(  # options by keyword, each by itself
        self,
        algorithm: Algorithm | None = None,
        plan: UpdatePlan | None = None,
        *,
        threshold: int | None = None,
        is_active: bool = True,
        is_enrolled: IsEnrolled | None = None,
        phase_seconds: float = 600.0,
        **options: Any,
    ) -> None:
        super().__init__(algorithm, plan, **options)
        self._rounds = SecureRounds(
            self._side,
            threshold=threshold,
            is_active=is_active,
            is_enrolled=is_enrolled,
            phase_seconds=phase_seconds,
        )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Go through all steps of a round but the last; return what clients are asked in that."""
        # Empty for now: the terms depend on how many messages there are.
        messages = self._offers(server_round, arrays, config, grid, b"")
        try:
            return self._rounds.until_last(grid, messages, arrays_of(arrays))
        except HandheldError as error:
            # Flower's loop goes on with the next round; an error would end the run.
            _LOG.warning("round %d comes to nothing: %s", server_round, error)
            return []

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Closed:
        """Return the model after a round, and how many clients it is of."""
        try:
            sums = self._rounds.last(replies)
        except HandheldError as error:
            _LOG.warning("round %d comes to nothing: %s", server_round, error)
            return None, None
        figures = {"answered": sums.answered, "rejected": len(self._rounds.rejected)}
        return self._closed(sums, figures)
