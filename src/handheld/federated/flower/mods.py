"""Mods for Flower's ClientApps: what they train goes the way that a plan says.

A mod wraps an app's own training. It refuses to train for a server that asks for another way: what
a client promises its user does not depend on the server.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handheld.errors import HandheldError, InputError
from handheld.federated.device import ClientDemands
from handheld.federated.flower._flwr import (
    ClientAppCallable,
    Context,
    Message,
    Mod,
    RecordDict,
)
from handheld.federated.flower.client_side import ClientSide, TrainedModel
from handheld.federated.flower.messages import (
    ANSWER,
    OFFER,
    RECORD,
    STEP,
    step_offer_from,
    train_offer_from,
)
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.records import (
    get_bytes,
    is_training,
    model_key,
    model_of,
    put_bytes,
    record_of,
    refusal,
    weight_of,
)
from handheld.federated.flower.secure_client import SecureClient
from handheld.federated.learning.learner import Floats
from handheld.federated.stages import Compressed
from handheld.federated.updates import UpdateEncoder

_LOG = logging.getLogger(__name__)
_OWED = "handheld.owed"
_OWED_ARRAY = "owed"


def update_mod(plan: UpdatePlan, *, error_feedback: bool = False) -> Mod:
    """Return a mod that sends what was learned as a plan says, such as clipped, noised, small.

    Noise is drawn from the operating system. Where a plan has noise, metrics do not travel beside
    the update, and a client without data sends zeros with noise.

    Args:
        plan: the same as the server's; see
            :class:`~handheld.federated.flower.strategy.FederationStrategy`.
        error_feedback: whether the client adds to an update what compression left out of those
            before: what a biased encoder such as ``Largest`` needs.

    Raises:
        InputError: feedback of more than compression, or whole numbers, which travel through
            :func:`secure_aggregation_mod` alone.
    """
    if plan.whole is not None:
        raise InputError("whole numbers travel masked: take secure_aggregation_mod")
    if error_feedback and not plan.only_compresses:
        raise InputError("error_feedback is of plans that only compress")

    def mod(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if not is_training(message):
            return call_next(message, context)
        try:
            return _plainly(plan, message, context, call_next, error_feedback=error_feedback)
        except HandheldError as error:
            _LOG.warning("a message is refused: %s", error)
            return refusal(message, str(error))

    return mod


def compression_mod(encoder: UpdateEncoder, *, error_feedback: bool = False) -> Mod:
    """Return a mod that sends updates in few bytes.

    Args:
        encoder: the same as the server's, whose plan is ``UpdatePlan((Compressed(encoder),))``.
        error_feedback: see :func:`update_mod`.
    """
    return update_mod(UpdatePlan((Compressed(encoder),)), error_feedback=error_feedback)


def secure_aggregation_mod(
    plan: UpdatePlan,
    folder: Callable[[Context], Path],
    demands: ClientDemands | None = None,
) -> Mod:
    """Return a mod by which the server learns the sum of updates, and of no client its own.

    In place of Flower's ``secaggplus_mod``. Whoever trains sends the keys of the round at once;
    metrics do not travel. A message that no honest server sends ends the client's part in the
    round.

    Args:
        plan: the same as the server's; its last stages are ``Clip`` and ``WholeNumbers``.
        folder: where a node keeps its identity, and secrets of rounds that it is in the middle of:
            no other node's.
        demands: of a round, whatever the server says; those of
            :class:`~handheld.federated.device.ClientDemands` if left out: all are told the same,
            three clients or more. Without ``is_known`` a server can take part as many clients.

    Raises:
        InputError: a plan without whole numbers.
    """
    if demands is None:
        demands = ClientDemands()
    # Raises where it makes no sense, before any message comes.
    SecureClient(plan, Path(), demands)

    def mod(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        if not is_training(message):
            return call_next(message, context)
        client = SecureClient(plan, Path(folder(context)), demands)
        try:
            return _securely(client, message, context, call_next)
        except HandheldError as error:
            _LOG.warning("a message is refused: %s", error)
            return refusal(message, str(error))

    return mod


def _plainly(
    plan: UpdatePlan,
    message: Message,
    context: Context,
    call_next: ClientAppCallable,
    *,
    error_feedback: bool,
) -> Message:
    side = _side(plan, message, error_feedback=error_feedback)
    if side.offer.terms is not None:
        raise InputError("expected a plain round, got one of secure aggregation")
    owed = None
    if error_feedback:
        owed = _owed(context, len(side.round.task.state.weights))
    reply, trained = _trained(plan, message, context, call_next)
    if trained is None and not plan.promises:
        # Why it could not train.
        return reply
    content, kept = side.plain_answer(trained, owed)
    if kept is not None:
        context.state[_OWED] = record_of({_OWED_ARRAY: kept})
    # Without the app's metrics: they would tell what noise hides.
    if plan.promises:
        return _answered(message, content)
    # The model would travel beside what was made small of it.
    del reply.content[model_key(reply.content)]
    put_bytes(reply.content, ANSWER, content)
    return reply


def _securely(
    client: SecureClient, message: Message, context: Context, call_next: ClientAppCallable
) -> Message:
    step = get_bytes(message.content, STEP)
    if step is not None:
        return _answered(message, client.go_on(step_offer_from(step)).to_bytes())
    side = _side(client.plan, message)
    reply, trained = _trained(client.plan, message, context, call_next)
    if trained is None and not client.plan.promises:
        return reply
    return _answered(message, client.begin(side, trained).to_bytes())


def _side(plan: UpdatePlan, message: Message, *, error_feedback: bool = False) -> ClientSide:
    """Return the client's half of a round, and take out of the message what apps do not know."""
    content = get_bytes(message.content, OFFER)
    if content is None:
        raise InputError(
            "the server does not say how updates travel: expected a strategy of handheld"
        )
    offer = train_offer_from(content)
    del message.content[RECORD]
    return ClientSide.of(plan, offer, model_of(message.content), error_feedback=error_feedback)


def _trained(
    plan: UpdatePlan, message: Message, context: Context, call_next: ClientAppCallable
) -> tuple[Message, TrainedModel | None]:
    """Return what the app answers, and what it trained; None if it could not.

    Raises :class:`InputError` for an answer that has no model, where nothing must hide that.
    """
    try:
        reply = call_next(message, context)
        if reply.has_error():
            return reply, None
        weight = 1.0
        if not plan.uniform:
            weight = weight_of(reply.content, plan.weighted_by)
        return reply, TrainedModel(model_of(reply.content), weight)
    except Exception as error:
        if not plan.promises:
            raise
        # Whether a client has data must not show, and some apps raise without any.
        _LOG.warning("nothing was trained: %s", error)
        return refusal(message, "nothing was trained"), None


def _answered(message: Message, answer: bytes) -> Message:
    """Return an answer that says nothing else."""
    content = RecordDict()
    put_bytes(content, ANSWER, answer)
    return Message(content, reply_to=message)


def _owed(context: Context, count: int) -> Floats:
    """Return (n,) what the client's updates left out so far; zeros for another model."""
    if _OWED in context.state.array_records:
        owed: Floats = context.state.array_records[_OWED][_OWED_ARRAY].numpy()
        if owed.shape == (count,):
            return owed
    return np.zeros(count, np.float32)
