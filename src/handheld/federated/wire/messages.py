"""Messages between devices and the server: MessagePack, arrays of fields in their order.

Every message begins with its kind and the version of the protocol. What a phase of secure
aggregation says travels inside them as bytes that ``secagg.messages`` reads.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from handheld.errors import InputError

VERSION = 1
MOST_TASKS = 32
MOST_ABILITIES = 32
MOST_PLANS = 16
SMALL_BYTES = 8192
"""Of a message that holds no model and no update."""

_MOST_BYTES = 1 << 40
_MOST_SECONDS = 366 * 86400.0

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
# They become parts of addresses, and of files' names.
RoundId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
Seconds = Annotated[float, Meta(ge=0, le=_MOST_SECONDS)]
Size = Annotated[int, Meta(ge=0, le=_MOST_BYTES)]
PlanVersion = Annotated[int, Meta(ge=1, le=1_000_000)]
Reason = Annotated[str, Meta(max_length=400)]

_Message = TypeVar("_Message")


class WireMessage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What travels.

    Args:
        version: of the protocol.
    """

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)] = VERSION

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return msgspec.msgpack.encode(self)


class Nonce(WireMessage, frozen=True, tag="nonce", kw_only=True):
    """From the server: what a device signs to show who it is, and who the server is.

    Args:
        nonce: good once, for a minute.
        server: public key that signs offers.
    """

    nonce: Annotated[bytes, Meta(min_length=1, max_length=128)]
    server: Key


class Enrolment(WireMessage, frozen=True, tag="enrolment", kw_only=True):
    """From a device that wants to take part.

    Args:
        identity: its public key.
        nonce: of the server.
        signature: see :func:`signed_enrolment`.
        token: of those that the operator gives out; empty where none is needed.
    """

    identity: Key
    nonce: Annotated[bytes, Meta(min_length=1, max_length=128)]
    signature: Signature
    token: Annotated[str, Meta(max_length=200)] = ""


class SessionRequest(WireMessage, frozen=True, tag="session", kw_only=True):
    """From a device that is enrolled: it is who it says.

    Args:
        identity: its public key.
        nonce: of the server.
        signature: see :func:`signed_session`.
    """

    identity: Key
    nonce: Annotated[bytes, Meta(min_length=1, max_length=128)]
    signature: Signature


class OpenSession(WireMessage, frozen=True, tag="open", kw_only=True):
    """From the server: what a device shows with each request from now on.

    Args:
        token: as the header ``Authorization: Bearer`` has it.
        seconds: for which it is good.
    """

    token: Annotated[str, Meta(min_length=1, max_length=400)]
    seconds: Seconds


class CheckIn(WireMessage, frozen=True, tag="check-in", kw_only=True):
    """From a device that could work now.

    Args:
        tasks: names of those that it would do; none: all.
        plans: versions of plans that it can follow.
        abilities: what else it can, as tasks ask for it.
    """

    tasks: Annotated[list[Name], Meta(max_length=MOST_TASKS)] = []
    plans: Annotated[list[PlanVersion], Meta(min_length=1, max_length=MOST_PLANS)]
    abilities: Annotated[list[Name], Meta(max_length=MOST_ABILITIES)] = []


class ComeBack(WireMessage, frozen=True, tag="come-back", kw_only=True):
    """From the server: there is nothing to do now.

    Args:
        seconds: after which the device is to check in again.
        reason: in words.
    """

    seconds: Seconds
    reason: Reason = ""


class Selected(WireMessage, frozen=True, tag="selected", kw_only=True):
    """From the server: the device takes part, once enough others do; it asks for the offer.

    Args:
        round: its id.
        task: its name.
    """

    round: RoundId
    task: Name


class BlobAddress(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A file that is known by its hash.

    Args:
        sha256: of its content.
        size: in bytes.
    """

    sha256: Digest
    size: Size


class PlanAddress(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A plan in one of its versions.

    Args:
        plan_version: which devices say that they can follow.
        blob: the plan.
    """

    plan_version: PlanVersion
    blob: BlobAddress


class Offer(WireMessage, frozen=True, tag="offer", kw_only=True):
    """From the server: the work of a round.

    Args:
        round: its id.
        number: of the model that it makes, counted from 1.
        task: its name.
        purpose: "training" or "evaluation".
        model: what devices get of the state.
        plans: the work, in each version.
        seconds: until the device's first message must have come.
        most_bytes: of an upload, where it is plain.
        terms: of the device's group, as ``secagg.messages.terms_from`` reads them; empty: the
            upload is plain.
        least_clients: that a group has.
    """

    round: RoundId
    number: Annotated[int, Meta(ge=1)]
    task: Name
    purpose: Name
    model: BlobAddress
    plans: Annotated[list[PlanAddress], Meta(min_length=1, max_length=MOST_PLANS)]
    seconds: Seconds
    most_bytes: Size = 0
    terms: Annotated[bytes, Meta(max_length=512)] = b""
    least_clients: Annotated[int, Meta(ge=1)] = 1

    @property
    def context(self) -> bytes:
        """Hash of the model and the plans: what the terms are bound to."""
        return context_of(self.model, self.plans)


class Signed(WireMessage, frozen=True, tag="signed", kw_only=True):
    """From the server: an offer, signed by it.

    Args:
        content: the offer's bytes.
        signature: see :func:`signed_offer`.
    """

    content: Annotated[bytes, Meta(max_length=SMALL_BYTES)]
    signature: Signature


class NextPhase(WireMessage, frozen=True, tag="next", kw_only=True):
    """From the server: what the device answers next.

    Args:
        phase: number of the phase that begins, from 0.
        content: the message of secure aggregation.
    """

    phase: Annotated[int, Meta(ge=0, le=16)]
    content: bytes


class StillWaiting(WireMessage, frozen=True, tag="waiting", kw_only=True):
    """From the server: ask again at once; others are awaited."""


class RoundOutcome(WireMessage, frozen=True, tag="outcome", kw_only=True):
    """From the server: the device's part has ended.

    Args:
        counted: whether what it sent is in the sum, as far as is known.
        state: of the round: "open", "committed" or "abandoned".
        reason: why the device's part ended before the round did, in words.
        seconds: after which to check in again.
    """

    counted: bool
    state: Name
    reason: Reason
    seconds: Seconds


class Problem(WireMessage, frozen=True, tag="problem", kw_only=True):
    """From the server: it refuses.

    Args:
        reason: in words.
    """

    reason: Reason


Answer = (
    Nonce
    | OpenSession
    | ComeBack
    | Selected
    | Signed
    | NextPhase
    | StillWaiting
    | RoundOutcome
    | Problem
)
"""What the server says."""


def signed_enrolment(server: bytes, nonce: bytes) -> bytes:
    """Return what a device signs to enrol: for this server alone."""
    # Each begins with another name: a signature that was given for one thing is good for no other.
    return b"handheld enrol 1" + server + nonce


def signed_session(server: bytes, nonce: bytes) -> bytes:
    """Return what a device signs to open a session."""
    return b"handheld session 1" + server + nonce


def signed_offer(identity: bytes, content: bytes) -> bytes:
    """Return what the server signs of an offer: it is for one device."""
    return b"handheld offer 1" + identity + hashlib.sha256(content).digest()


def context_of(model: BlobAddress, plans: Sequence[PlanAddress]) -> bytes:
    """Return a hash of a model and of the plans in all their versions.

    A device that follows one version knows by it which others the other devices may follow.
    """
    return hashlib.sha256(b"context 1" + msgspec.msgpack.encode([model, plans])).digest()


def message_from(
    content: bytes, message_type: type[_Message], limit: int = SMALL_BYTES
) -> _Message:
    """Return a message of a type.

    Raises:
        InputError: it is longer than ``limit`` bytes, or none of that type.
    """
    _require_length(content, limit)
    try:
        return msgspec.msgpack.decode(content, type=message_type)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"expected {message_type.__name__}: {error}") from error


def answer_from(content: bytes, limit: int) -> Answer:
    """Return what the server says.

    Raises:
        InputError: it is longer than ``limit`` bytes, or nothing that a server says.
    """
    _require_length(content, limit)
    try:
        answer: Answer = msgspec.msgpack.decode(content, type=Answer)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"expected an answer of a federation's server: {error}") from error
    return answer


def plans_from(content: bytes) -> list[PlanAddress]:
    """Return the plans as :func:`plans_bytes` wrote them. Raises :class:`InputError`."""
    try:
        return msgspec.msgpack.decode(content, type=list[PlanAddress])
    except msgspec.DecodeError as error:
        raise InputError(f"expected addresses of plans: {error}") from error


def plans_bytes(plans: Sequence[PlanAddress]) -> bytes:
    """Return the addresses of plans in bytes."""
    return msgspec.msgpack.encode(plans)


def _require_length(content: bytes, limit: int) -> None:
    # Before anything looks into it.
    if len(content) > limit:
        raise InputError(f"expected at most {limit} bytes, got {len(content)}")
