"""Secure aggregation for ServerApps of Flower's older interface, in place of its own workflow."""

import logging
from typing import Any

from handheld.errors import HandheldError, InputError
from handheld.federated.algorithms import Algorithm, FedAvg
from handheld.federated.flower._flwr import ConfigRecord, Context, Grid, Message, MessageType
from handheld.federated.flower._flwr_legacy import (
    MAIN_CONFIGS_RECORD,
    MAIN_PARAMS_RECORD,
    Key,
    LegacyContext,
    recorddict_compat,
)
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.records import arrays_of, record_of
from handheld.federated.flower.secure_rounds import SecureRounds
from handheld.federated.flower.secure_server import IsEnrolled
from handheld.federated.flower.server_side import ServerSide

_LOG = logging.getLogger(__name__)


class SecureAggregationWorkflow:
    """A ``fit_workflow`` of Flower's ``DefaultWorkflow``, in place of ``SecAggPlusWorkflow``.

    The app's strategy chooses clients and evaluates; what becomes of the sum is the algorithm's.
    Clients have :func:`~handheld.federated.flower.mods.secure_aggregation_mod` of the same plan.

    Args:
        plan: the way of updates; its last stages are ``Clip`` and ``WholeNumbers``.
        algorithm: what the server does with a round.
        threshold: clients that must stay to the end; None: the fewest that clients accept.
        is_active: whether clients check that all were told the same, as they demand by default.
        is_enrolled: whether an identity is one of the clients; None: all are.
        phase_seconds: that the server waits for the training, and then for each step.

    Raises:
        InputError: values that make no sense, alone or together.
    """

    def __init__(  # options by keyword, each by itself
        self,
        plan: UpdatePlan,
        algorithm: Algorithm | None = None,
        *,
        threshold: int | None = None,
        is_active: bool = True,
        is_enrolled: IsEnrolled | None = None,
        phase_seconds: float = 600.0,
    ) -> None:
        self._phase_seconds = phase_seconds
        self._side = ServerSide(algorithm or FedAvg(), plan)
        self._rounds = SecureRounds(
            self._side,
            threshold=threshold,
            is_active=is_active,
            is_enrolled=is_enrolled,
            phase_seconds=phase_seconds,
        )

    def __call__(self, grid: Grid, context: Context) -> None:
        """Run a round of training; one that comes to nothing leaves the model as it is.

        Raises:
            InputError: a context of Flower's newer interface, which has strategies of ours.
        """
        if not isinstance(context, LegacyContext):
            raise InputError("expected a LegacyContext: elsewhere take SecureAggregationStrategy")
        record = context.state.array_records[MAIN_PARAMS_RECORD]
        messages = _asked(context)
        if not messages:
            return
        try:
            asked = self._rounds.until_last(grid, messages, arrays_of(record))
            replies = grid.send_and_receive(asked, timeout=self._phase_seconds)
            arrays = self._side.close(self._rounds.last(replies))
        except HandheldError as error:
            _LOG.warning("the round comes to nothing: %s", error)
            return
        if arrays is not None:
            context.state.array_records[MAIN_PARAMS_RECORD] = record_of(arrays)


def _asked(context: Any) -> list[Message]:
    """Return the messages with the model to whom the app's strategy chose."""
    config: ConfigRecord = context.state.config_records[MAIN_CONFIGS_RECORD]
    number = config[Key.CURRENT_ROUND]
    assert isinstance(number, int)  # Flower's own workflow has set it
    record = context.state.array_records[MAIN_PARAMS_RECORD]
    parameters = recorddict_compat.arrayrecord_to_parameters(record, keep_input=True)
    chosen = context.strategy.configure_fit(
        server_round=number, parameters=parameters, client_manager=context.client_manager
    )
    messages = []
    for proxy, instructions in chosen:
        # keep_input: Flower else empties the list of tensors as it converts, which all clients
        # share.
        content = recorddict_compat.fitins_to_recorddict(instructions, keep_input=True)
        message = Message(
            content,
            dst_node_id=proxy.node_id,
            message_type=MessageType.TRAIN,
            group_id=str(number),
        )
        messages.append(message)
    return messages
