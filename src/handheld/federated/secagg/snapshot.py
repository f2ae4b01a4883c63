"""A client between two steps of a round, as bytes that its owner keeps and nobody else sees."""

from typing import Literal

import msgspec
from msgspec import Struct

from handheld.errors import InputError
from handheld.federated.secagg.messages import VERSION, Advertisement, RoundTerms, Seat

SnapshotStep = Literal["SHARE", "MASK", "AGREE", "REVEAL"]


class ClientSnapshot(
    Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True
):
    """What a client knows; what the next steps do not need is left out.

    Args:
        step: that is next.
        terms: of the round.
        advertisement: what the client told of itself.
        values: (count,) words of its secret input.
        cipher_key: private key of 32 bytes by which shares are sealed.
        mask_key: private key of 32 bytes by which masks are agreed on.
        members: of the round, by their seats.
        seed: of its own mask.
        own_shares: those of its own secrets that it keeps.
        sharers: seats of those who shared their secrets.
        shares: of both secrets of each, by seat.
        survivors: seats of those whose input counts.
        signature: by which it agreed to them.
        version: of the protocol.
    """

    step: SnapshotStep
    terms: RoundTerms
    advertisement: Advertisement
    values: bytes = b""
    cipher_key: bytes = b""
    mask_key: bytes = b""
    members: list[Advertisement] = []
    seed: bytes = b""
    own_shares: bytes = b""
    sharers: list[Seat] = []
    shares: dict[Seat, bytes] = {}
    survivors: list[Seat] = []
    signature: bytes = b""
    version: int = VERSION

    def to_bytes(self) -> bytes:
        """Return it as it is kept."""
        return msgspec.msgpack.encode(self)


def snapshot_from(content: bytes) -> ClientSnapshot:
    """Return what was kept. Raises :class:`InputError` for other bytes."""
    try:
        snapshot = msgspec.msgpack.decode(content, type=ClientSnapshot)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"these bytes are no client of a round: {error}") from error
    # What a program before an update kept is a round that is lost, not one that goes wrong.
    if snapshot.version != VERSION:
        raise InputError(f"client of a round: expected version {VERSION}, got {snapshot.version}")
    return snapshot
