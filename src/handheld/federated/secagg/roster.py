"""Who takes part in a round, and who is whose peer."""

import hashlib
import itertools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.keys import is_signed
from handheld.federated.secagg.messages import Advertisement, RoundTerms

IsEnrolled = Callable[[bytes], bool]
"""Whether an identity is one of the clients that may take part."""


def signed_keys(terms: RoundTerms, cipher_key: bytes, mask_key: bytes) -> bytes:
    """Return what a client signs of its keys."""
    return b"keys" + terms.digest + cipher_key + mask_key


@dataclass(frozen=True)
class RoundRoster:
    """The clients of a round, by their seats: those of their identities in order.

    Args:
        terms: of the round.
        members: in the order of their identities.

    Raises:
        RefusedMessageError: somebody is there twice or out of order, is not enrolled, did not sign
            its keys, or has another's.
    """

    terms: RoundTerms
    members: tuple[Advertisement, ...]

    @classmethod
    def checked(
        cls,
        terms: RoundTerms,
        members: Sequence[Advertisement],
        is_enrolled: IsEnrolled,
        advertised: Advertisement,
    ) -> "RoundRoster":
        """Return what a client was told, or refuse it.

        Signatures of others are verified where the server may be dishonest. One that follows the
        protocol has verified them itself: that is what ``ClientPolicy.needs_consistency`` is about.

        Args:
            terms: of the round.
            members: that the server tells.
            is_enrolled: whether an identity may take part.
            advertised: the client's own keys, which have to be there.
        """
        roster = cls(terms, tuple(members))
        identities = roster.identities
        # All must number the seats alike, or their masks would not cancel.
        if any(following <= one for one, following in itertools.pairwise(identities)):
            raise RefusedMessageError("the roster has somebody twice, or is not in order")
        keys = [member.cipher_key for member in members] + [member.mask_key for member in members]
        # With both who have a key a peer would agree on one seed, and might take away for one what
        # it adds for the other.
        if len(set(keys)) < len(keys):
            raise RefusedMessageError("two keys of the roster are the same")
        # With other keys in its name, others would mask and seal for whoever has those.
        if advertised not in members:
            raise RefusedMessageError("the roster does not have this client's keys")
        for member in members:
            _require_enrolled(member, is_enrolled)
            if terms.is_active and member != advertised:
                _require_signed(terms, member)
        return roster

    @cached_property
    def identities(self) -> list[bytes]:
        """The identities, by seat."""
        return [member.identity for member in self.members]

    @cached_property
    def digest(self) -> bytes:
        """Hash of the terms and of everybody's keys."""
        hashed = hashlib.sha256(b"roster" + self.terms.digest)
        for member in self.members:
            hashed.update(member.identity + member.cipher_key + member.mask_key)
        return hashed.digest()

    def seat_of(self, identity: bytes) -> int | None:
        """Return a client's seat; None if it takes no part."""
        seat = bisect_left(self.identities, identity)
        if seat < len(self.members) and self.identities[seat] == identity:
            return seat
        return None

    def holders(self, seat: int) -> Sequence[int]:
        """Return the seats of those who hold shares of a client's secrets: peers and itself."""
        if self.is_complete:
            return range(len(self.members))
        return list(self._positions(seat))

    def peers(self, seat: int) -> list[int]:
        """Return the seats of those with whom a client agrees on masks, in their order."""
        return [holder for holder in self.holders(seat) if holder != seat]

    def position(self, owner: int, holder: int) -> int:
        """Return where a client stands among the holders of another's secrets."""
        # Where all hold shares a holder's place is its seat: no table of all pairs is made.
        if self.is_complete:
            return holder
        return self._positions(owner)[holder]

    def _positions(self, seat: int) -> dict[int, int]:
        if seat not in self._known:
            ring = self._ring
            start = self._ring_positions[seat]
            half = self.terms.peers // 2
            steps = range(-half, half + 1)
            holders = sorted(ring[(start + step) % len(ring)] for step in steps)
            self._known[seat] = {holder: position for position, holder in enumerate(holders)}
        return self._known[seat]

    @property
    def is_complete(self) -> bool:
        """Whether each is everybody's peer."""
        # From one less than all on, a seat's neighbours on the ring are everybody.
        return not 0 < self.terms.peers < len(self.members) - 1

    @cached_property
    def _known(self) -> dict[int, dict[int, int]]:
        """The holders of each client that was asked for, with their positions."""
        return {}

    @cached_property
    def _ring_positions(self) -> dict[int, int]:
        return {seat: position for position, seat in enumerate(self._ring)}

    @cached_property
    def _ring(self) -> list[int]:
        """The seats in an order that all know, and nobody chose.

        The peers of each are its neighbours to both sides (Bell et al., CCS 2020, algorithm 2).
        """
        return sorted(
            range(len(self.members)),
            key=lambda seat: hashlib.sha256(self.digest + seat.to_bytes(4, "big")).digest(),
        )


def check_advertisement(
    terms: RoundTerms, advertisement: Advertisement, is_enrolled: IsEnrolled
) -> None:
    """Refuse keys that nobody who is enrolled has signed.

    Raises:
        RefusedMessageError: says why.
    """
    _require_enrolled(advertisement, is_enrolled)
    _require_signed(terms, advertisement)


def _require_enrolled(advertisement: Advertisement, is_enrolled: IsEnrolled) -> None:
    if not is_enrolled(advertisement.identity):
        raise RefusedMessageError(f"client {advertisement.identity.hex()[:12]} is not enrolled")


def _require_signed(terms: RoundTerms, advertisement: Advertisement) -> None:
    content = signed_keys(terms, advertisement.cipher_key, advertisement.mask_key)
    if not is_signed(advertisement.identity, advertisement.signature, content):
        raise RefusedMessageError(
            f"client {advertisement.identity.hex()[:12]} did not sign these keys for this round"
        )
