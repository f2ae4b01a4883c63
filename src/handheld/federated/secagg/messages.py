"""What clients and server send one another: typed, versioned, bounded before it is decoded.

MessagePack, arrays of fields in their order. Every message begins with its kind and the version of
the protocol. Seats are numbers of clients in the roster, from 0.
"""

import hashlib
import itertools
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.keys import KEY_BYTES, SIGNATURE_BYTES
from handheld.federated.secagg.masks import MOST_BITS
from handheld.federated.secagg.packing import packed_bytes
from handheld.federated.secagg.shares import MOST_SHARES

VERSION = 1
# A gigabyte of words of 32 bits.
MOST_VALUES = 1 << 28

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Seat = Annotated[int, Meta(ge=0, lt=MOST_SHARES)]

_OVERHEAD = 64  # bytes of a message beside its lists and texts
_ENTRY = 16  # bytes of an entry of a list beside its own
_ADVERTISEMENT = 3 * KEY_BYTES + SIGNATURE_BYTES + _ENTRY

_Kind = TypeVar("_Kind", bound="RoundMessage")


class RoundMessage(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What travels.

    Args:
        version: of the protocol.
    """

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)] = VERSION

    def to_bytes(self) -> bytes:
        """Return it as it travels."""
        return msgspec.msgpack.encode(self)


class RoundTerms(RoundMessage, frozen=True, tag="terms", kw_only=True):
    """What a round is about. Clients sign its digest.

    Args:
        round: id of the round, of 32 random bytes.
        context: hash of the model and the plan that clients were given.
        count: values of a client, 1 or more.
        bits: of the modulus, in [1, 32].
        threshold: clients (of a client's peers and itself) that must stay to the end, 2 or more.
        peers: with how many each client agrees on masks; 0: with all.
        is_active: whether the server may be dishonest: clients check that all were told the same.
    """

    round: Digest
    context: Digest
    count: Annotated[int, Meta(ge=1, le=MOST_VALUES)]
    bits: Annotated[int, Meta(ge=1, le=MOST_BITS)]
    threshold: Annotated[int, Meta(ge=2, le=MOST_SHARES)]
    peers: Annotated[int, Meta(ge=0, lt=MOST_SHARES)] = 0
    is_active: bool = True

    @property
    def digest(self) -> bytes:
        """Hash of what is agreed."""
        return hashlib.sha256(b"terms" + self.to_bytes()).digest()


class Advertisement(RoundMessage, frozen=True, tag="advertisement", kw_only=True):
    """Round 0, from a client: its keys of this round, signed.

    Args:
        identity: public key that it signs with.
        cipher_key: public key by which others seal shares for it.
        mask_key: public key by which others agree on masks with it.
        signature: over the terms' digest and both keys.
    """

    identity: Key
    cipher_key: Key
    mask_key: Key
    signature: Signature


class Roster(RoundMessage, frozen=True, tag="roster", kw_only=True):
    """Round 1, to all: who takes part, in the order of their identities."""

    members: list[Advertisement]


class SealedShares(RoundMessage, frozen=True, tag="shares", kw_only=True):
    """Round 1, from a client: shares of its secrets, sealed for its peers in their order."""

    sealed: list[bytes]


class Inbox(RoundMessage, frozen=True, tag="inbox", kw_only=True):
    """Round 2, to a client: the shares that its peers sealed for it.

    Args:
        sharers: seats of all who sent shares, in their order: those whose masks count.
        sealed: of the client's peers among them, in their order.
    """

    sharers: list[Seat]
    sealed: list[bytes]


class MaskedInput(RoundMessage, frozen=True, tag="input", kw_only=True):
    """Round 2, from a client: its masked values, packed to the bits of the modulus."""

    values: bytes


class Survivors(RoundMessage, frozen=True, tag="survivors", kw_only=True):
    """Round 3, to all: the seats of those whose input has come, in their order."""

    seats: list[Seat]


class Agreement(RoundMessage, frozen=True, tag="agreement", kw_only=True):
    """Round 3, from a client: its signature over who shared and who survived."""

    signature: Signature


class Agreements(RoundMessage, frozen=True, tag="agreements", kw_only=True):
    """Round 4, to all: the signatures of round 3.

    Args:
        seats: of those who signed, in their order.
        signatures: in that order.
    """

    seats: list[Seat]
    signatures: list[Signature]


class RevealedShares(RoundMessage, frozen=True, tag="revealed", kw_only=True):
    """Round 4, from a client: of each peer that shared, and of itself, one share.

    Args:
        shares: that of the peer's own mask if it survived, of its mask key if not; packed field
            elements, in the order of the seats.
    """

    shares: list[bytes]


def terms_from(content: bytes) -> RoundTerms:
    """Return the terms of a round. Raises :class:`RefusedMessageError`."""
    return _decoded(content, RoundTerms, _OVERHEAD + 2 * 32 + 8 * _ENTRY)


def advertisement_from(content: bytes) -> Advertisement:
    """Return the keys of a client. Raises :class:`RefusedMessageError`."""
    return _decoded(content, Advertisement, _OVERHEAD + _ADVERTISEMENT)


def roster_from(content: bytes, limit: int) -> Roster:
    """Return who takes part, ``limit`` at most. Raises :class:`RefusedMessageError`."""
    return _decoded(content, Roster, _OVERHEAD + limit * _ADVERTISEMENT)


def shares_from(content: bytes, peers: int, size: int) -> SealedShares:
    """Return the shares for so many peers, each of a size. Raises :class:`RefusedMessageError`."""
    message = _decoded(content, SealedShares, _OVERHEAD + peers * (size + _ENTRY))
    _require_sizes("sealed shares", message.sealed, peers, size)
    return message


def inbox_from(content: bytes, clients: int, size: int) -> Inbox:
    """Return what came for a client of so many. Raises :class:`RefusedMessageError`."""
    message = _decoded(content, Inbox, _OVERHEAD + clients * (size + 2 * _ENTRY))
    _require_sizes("sealed shares", message.sealed, len(message.sealed), size)
    _require_rising(message.sharers, clients)
    return message


def input_from(content: bytes, terms: RoundTerms) -> MaskedInput:
    """Return a client's masked values. Raises :class:`RefusedMessageError`."""
    size = packed_bytes(terms.count, terms.bits)
    message = _decoded(content, MaskedInput, _OVERHEAD + size)
    if len(message.values) != size:
        raise RefusedMessageError(
            f"expected {size} bytes of masked values, got {len(message.values)}"
        )
    return message


def survivors_from(content: bytes, clients: int) -> Survivors:
    """Return whose input came, of so many. Raises :class:`RefusedMessageError`."""
    message = _decoded(content, Survivors, _OVERHEAD + clients * _ENTRY)
    _require_rising(message.seats, clients)
    return message


def agreement_from(content: bytes) -> Agreement:
    """Return a client's signature of round 3. Raises :class:`RefusedMessageError`."""
    return _decoded(content, Agreement, _OVERHEAD + SIGNATURE_BYTES + _ENTRY)


def agreements_from(content: bytes, clients: int) -> Agreements:
    """Return the signatures of round 3, of so many. Raises :class:`RefusedMessageError`."""
    limit = _OVERHEAD + clients * (SIGNATURE_BYTES + 2 * _ENTRY)
    message = _decoded(content, Agreements, limit)
    _require_rising(message.seats, clients)
    if len(message.signatures) != len(message.seats):
        raise RefusedMessageError(
            f"expected {len(message.seats)} signatures, got {len(message.signatures)}"
        )
    return message


def revealed_from(content: bytes, shares: int, size: int) -> RevealedShares:
    """Return so many shares of a size. Raises :class:`RefusedMessageError`."""
    message = _decoded(content, RevealedShares, _OVERHEAD + shares * (size + _ENTRY))
    _require_sizes("shares", message.shares, shares, size)
    return message


def _decoded(content: bytes, message_type: type[_Kind], limit: int) -> _Kind:
    # Before anything looks into it.
    if len(content) > limit:
        raise RefusedMessageError(f"expected at most {limit} bytes, got {len(content)}")
    try:
        return msgspec.msgpack.decode(content, type=message_type)
    # The two others are what msgspec lets through: of nesting without end, and of bytes that are no
    # UTF-8.
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RefusedMessageError(f"expected {message_type.__name__}: {error}") from error


def _require_sizes(name: str, entries: list[bytes], count: int, size: int) -> None:
    if len(entries) != count:
        raise RefusedMessageError(f"{name}: expected {count} of them, got {len(entries)}")
    for entry in entries:
        if len(entry) != size:
            raise RefusedMessageError(f"{name}: expected {size} bytes each, got {len(entry)}")


def _require_rising(seats: list[int], clients: int) -> None:
    """Refuse seats twice, out of their order, or of nobody."""
    # Somebody twice would count twice towards a threshold.
    for one, following in itertools.pairwise(seats):
        if following <= one:
            raise RefusedMessageError(f"expected seats in their order, got {one} and {following}")
    if seats and seats[-1] >= clients:
        raise RefusedMessageError(f"expected seats below {clients}, got {seats[-1]}")
