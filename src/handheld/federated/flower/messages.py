"""What travels in a Flower message beside a model: typed, versioned, bounded."""

from typing import Annotated, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.rounds import FederationState
from handheld.federated.secagg.messages import Digest, RoundTerms
from handheld.federated.stages import Memory
from handheld.ranges import MOST_SEED

VERSION = 1
RECORD = "handheld"
"""Name of the record of a Flower message that is ours; apps never see it."""

OFFER = "offer"
STEP = "step"
ANSWER = "answer"
"""Keys of that record: of what a server asks, and of what a client answers."""

StepName = Literal["share", "mask", "agree", "reveal"]
"""Of a client in secure aggregation, after it has sent its keys."""

# What stages tell clients are a few numbers, such as the length to clip at: more is no honest
# server's.
_MEMORY_BYTES = 1 << 20
_NO_WEIGHTS = np.empty(0, np.float32)

_Kind = TypeVar("_Kind", bound="FlowerMessage")


class FlowerMessage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What travels.

    Args:
        version: of the form.
    """

    version: int = VERSION

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return msgspec.msgpack.encode(self)


class TrainOffer(FlowerMessage, frozen=True, kw_only=True):
    """What a server asks of a client, beside the model.

    Args:
        plan: digest of the way of updates.
        round: how many rounds made the model.
        seed: of the run, from which encoders draw.
        memory: what clients get of what stages keep.
        terms: of secure aggregation; none for plain uploads.
    """

    plan: Digest
    round: Annotated[int, Meta(ge=0)]
    seed: Annotated[int, Meta(ge=0, le=MOST_SEED)]
    memory: bytes
    terms: RoundTerms | None = None

    def with_terms(self, terms: RoundTerms) -> "TrainOffer":
        """Return the same for a round of secure aggregation."""
        return msgspec.structs.replace(self, terms=terms)


class StepOffer(FlowerMessage, frozen=True, kw_only=True):
    """What a server asks of a client later in a round of secure aggregation.

    Args:
        round: its id.
        step: that is due.
        content: of the protocol's message.
    """

    round: Digest
    step: StepName
    content: bytes


class SecureAnswer(FlowerMessage, frozen=True, kw_only=True):
    """What a client sends in secure aggregation.

    Args:
        identity: public key that it is known by.
        content: of the protocol's message.
    """

    identity: Digest
    content: bytes


def train_offer_from(content: bytes) -> TrainOffer:
    """Return what a server asks. Raises :class:`InputError`."""
    return _decoded(content, TrainOffer)


def step_offer_from(content: bytes) -> StepOffer:
    """Return what a server asks later in a round. Raises :class:`InputError`."""
    return _decoded(content, StepOffer)


def secure_answer_from(content: bytes) -> SecureAnswer:
    """Return what a client sent. Raises :class:`InputError`."""
    return _decoded(content, SecureAnswer)


def memory_bytes(memory: tuple[Memory, ...]) -> bytes:
    """Return what clients get of what stages keep, as it travels."""
    # That form is read with bounds already; the weights travel as Flower's own arrays.
    return FederationState(ServerState(_NO_WEIGHTS), memory).to_bytes()


def memory_from(content: bytes) -> tuple[Memory, ...]:
    """Return what clients get of what stages keep. Raises :class:`InputError`."""
    return FederationState.from_bytes(content, _MEMORY_BYTES).memory


def _decoded(content: bytes, message_type: type[_Kind]) -> _Kind:
    name = message_type.__name__
    try:
        message = msgspec.msgpack.decode(content, type=message_type)
    # The two others are what msgspec lets through, as in secure aggregation's messages.
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"expected {name}: {error}") from error
    if message.version != VERSION:
        raise InputError(f"{name}: expected version {VERSION}, got {message.version}")
    return message
