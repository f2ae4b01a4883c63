"""The server's part of a round, as a machine of states: bytes in, bytes out.

Each phase takes a message of each client, in any order, and ends when ``advance`` is called: by who
has a clock. What comes late, twice, or from somebody else is refused, and changes nothing.
"""

from collections.abc import Sequence
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg import messages
from handheld.federated.secagg.client import agreed_survivors, pair_context
from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.keys import AgreementKey, is_signed
from handheld.federated.secagg.masks import MaskGenerator, word_type
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.packing import unpack
from handheld.federated.secagg.roster import IsEnrolled, RoundRoster, check_advertisement
from handheld.federated.secagg.secrets_of_round import (
    SEALED_SHARE_BYTES,
    SHARE_BYTES,
    elements_of,
)
from handheld.federated.secagg.shares import join


class ServerPhase(Enum):
    """What the server waits for."""

    KEYS = auto()
    SHARES = auto()
    INPUTS = auto()
    AGREEMENTS = auto()
    REVEALED = auto()
    DONE = auto()


class SecureAggregationServer:
    """One round.

    Args:
        terms: what it is about.
        is_enrolled: whether an identity is one of the clients.
        most_clients: that may take part, 2 or more.
    """

    def __init__(
        self, terms: RoundTerms, is_enrolled: IsEnrolled, *, most_clients: int = 1000
    ) -> None:
        self.terms = terms
        self.phase = ServerPhase.KEYS
        self.total: NDArray[np.unsignedinteger] | None = None
        self._is_enrolled = is_enrolled
        self._most_clients = most_clients
        self._keys: dict[bytes, Advertisement] = {}
        self._taken_keys: set[bytes] = set()
        self._probe = AgreementKey()  # to see which keys are of low order
        self._shares: dict[int, list[bytes]] = {}
        self._inputs: set[int] = set()
        self._sum = np.zeros(terms.count, word_type(terms.bits))
        self._agreements: dict[int, bytes] = {}
        self._revealed: dict[int, NDArray[np.uint32]] = {}

    def receive(self, identity: bytes, content: bytes) -> None:
        """Take a client's message of this phase.

        Args:
            identity: of the client, as the transport knows it.
            content: that it sent.

        Raises:
            RefusedMessageError: it is none, or comes from somebody who has no part in this phase.
        """
        if self.phase is ServerPhase.KEYS:
            self._receive_keys(identity, content)
            return
        if self.phase is ServerPhase.DONE:
            raise RefusedMessageError("the round has ended")
        seat = self._roster.seat_of(identity)
        if seat is None:
            raise RefusedMessageError("this client has no part in the round")
        if seat not in self._awaited:
            raise RefusedMessageError("this client's part of the round has ended")
        take = {
            ServerPhase.SHARES: self._receive_shares,
            ServerPhase.INPUTS: self._receive_input,
            ServerPhase.AGREEMENTS: self._receive_agreement,
            ServerPhase.REVEALED: self._receive_revealed,
        }
        take[self.phase](seat, content)
        # After it was taken: one that is refused may be sent again, and right.
        self._awaited.discard(seat)

    def advance(self) -> dict[bytes, bytes]:
        """End a phase; return the next message for each client that is still there.

        Raises:
            RoundFailedError: too few are there. The round is over.
        """
        end = {
            ServerPhase.KEYS: self._end_keys,
            ServerPhase.SHARES: self._end_shares,
            ServerPhase.INPUTS: self._end_inputs,
            ServerPhase.AGREEMENTS: self._end_agreements,
            ServerPhase.REVEALED: self._unmask,
        }
        if self.phase is ServerPhase.DONE:
            return {}
        try:
            return end[self.phase]()
        except RoundFailedError:
            self.phase = ServerPhase.DONE
            raise

    def _receive_keys(self, identity: bytes, content: bytes) -> None:
        if identity in self._keys:
            raise RefusedMessageError("this client has sent its keys already")
        if len(self._keys) >= self._most_clients:
            raise RefusedMessageError(f"{self._most_clients} clients take part already")
        advertisement = messages.advertisement_from(content)
        # Else a client could take part in another's name, by an advertisement that it has seen.
        if advertisement.identity != identity:
            raise RefusedMessageError("these keys are another client's")
        check_advertisement(self.terms, advertisement, self._is_enrolled)
        self._check_keys(advertisement)
        self._keys[identity] = advertisement

    def _check_keys(self, advertisement: Advertisement) -> None:
        """Refuse keys for which everybody else would refuse the roster."""
        keys = {advertisement.cipher_key, advertisement.mask_key}
        if len(keys) < 2 or not keys.isdisjoint(self._taken_keys):
            raise RefusedMessageError("two keys of the roster are the same")
        try:
            for key in keys:
                self._probe.agree(key, b"")
        except InputError as error:
            raise RefusedMessageError(str(error)) from error
        self._taken_keys |= keys

    def _end_keys(self) -> dict[bytes, bytes]:
        if len(self._keys) < self.terms.threshold:
            self._fail("sent their keys", len(self._keys))
        # Sorted, as clients demand: seats come of identities, not of who was first.
        members = [self._keys[identity] for identity in sorted(self._keys)]
        self._roster = RoundRoster(self.terms, tuple(members))
        self._to(ServerPhase.SHARES, range(len(members)))
        content = messages.Roster(members=members).to_bytes()
        return dict.fromkeys(self._roster.identities, content)

    def _receive_shares(self, seat: int, content: bytes) -> None:
        peers = len(self._roster.peers(seat))
        self._shares[seat] = messages.shares_from(content, peers, SEALED_SHARE_BYTES).sealed

    def _end_shares(self) -> dict[bytes, bytes]:
        self._sharers = sorted(self._shares)
        self._require_holders(self._sharers, "shared their secrets")
        self._to(ServerPhase.INPUTS, self._sharers)
        answers = {}
        for seat in self._sharers:
            sealed = []
            for peer in self._roster.peers(seat):
                if peer in self._shares:
                    # A sharer seals none for itself.
                    position = self._roster.position(peer, seat)
                    position -= position > self._roster.position(peer, peer)
                    sealed.append(self._shares[peer][position])
            inbox = messages.Inbox(sharers=self._sharers, sealed=sealed)
            answers[self._roster.identities[seat]] = inbox.to_bytes()
        # About 100 bytes for each pair of clients, which nobody needs any more.
        self._shares.clear()
        return answers

    def _receive_input(self, seat: int, content: bytes) -> None:
        values = messages.input_from(content, self.terms).values
        try:
            # Added at once and not kept: memory stays that of one vector, however many come.
            self._sum += unpack(values, self.terms.count, self.terms.bits)
        except InputError as error:
            raise RefusedMessageError(str(error)) from error
        self._inputs.add(seat)

    def _end_inputs(self) -> dict[bytes, bytes]:
        self._survivors = sorted(self._inputs)
        self._require_holders(self._survivors, "sent their values")
        self._agreed = agreed_survivors(self._roster, self._sharers, self._survivors)
        following = ServerPhase.REVEALED
        if self.terms.is_active:
            following = ServerPhase.AGREEMENTS
        self._to(following, self._survivors)
        content = messages.Survivors(seats=self._survivors).to_bytes()
        return self._for(self._survivors, content)

    def _receive_agreement(self, seat: int, content: bytes) -> None:
        signature = messages.agreement_from(content).signature
        if not is_signed(self._roster.identities[seat], signature, self._agreed):
            raise RefusedMessageError("this is no signature of who survived")
        self._agreements[seat] = signature

    def _end_agreements(self) -> dict[bytes, bytes]:
        seats = sorted(self._agreements)
        self._require_holders(seats, "signed who survived")
        self._to(ServerPhase.REVEALED, seats)
        # Clients demand as many as the threshold, and verify each: more would only cost them time.
        sent = seats[: self.terms.threshold]
        signatures = [self._agreements[seat] for seat in sent]
        content = messages.Agreements(seats=sent, signatures=signatures).to_bytes()
        return self._for(seats, content)

    def _receive_revealed(self, seat: int, content: bytes) -> None:
        held = self._held_by(seat)
        shares = messages.revealed_from(content, len(held), SHARE_BYTES).shares
        self._revealed[seat] = elements_of(shares)

    def _held_by(self, seat: int) -> list[int]:
        """Return whose shares a client has: those of its peers who shared, and its own."""
        sharers = set(self._sharers)
        return [holder for holder in self._roster.holders(seat) if holder in sharers]

    def _unmask(self) -> dict[bytes, bytes]:
        self._require_holders(sorted(self._revealed), "revealed their shares")
        generator = MaskGenerator(self._roster.digest)
        survivors = set(self._survivors)
        secrets = self._secrets()
        seeds = [secret for seat, secret in secrets.items() if seat in survivors]
        generator.subtract(self._sum, *seeds)
        for seat, secret in secrets.items():
            if seat not in survivors:
                self._take_away_pairs(generator, seat, secret)
        # Once, at the end: words go around at 2^16 or 2^32, of which every such modulus is a
        # divisor.
        self.total = self._sum & self._sum.dtype.type((1 << self.terms.bits) - 1)
        self.phase = ServerPhase.DONE
        return {}

    def _take_away_pairs(self, generator: MaskGenerator, seat: int, secret: bytes) -> None:
        """Take away the masks that survivors share with one who is gone."""
        key = AgreementKey(secret)
        # Shares of a client that cheated give some other key: its masks would stay in the sum
        # unseen.
        if key.public != self._roster.members[seat].mask_key:
            raise RoundFailedError(f"the shares of client {seat}'s key are not its own")
        survivors = set(self._survivors)
        context = pair_context(self._roster)
        added = []
        subtracted = []
        for peer in self._roster.peers(seat):
            if peer not in survivors:
                continue
            seed = key.agree(self._roster.members[peer].mask_key, context)
            # The other way round than in ``SecureAggregationClient``: what survivors added is taken
            # away.
            if peer < seat:
                subtracted.append(seed)
            else:
                added.append(seed)
        generator.add(self._sum, *added)
        generator.subtract(self._sum, *subtracted)

    def _secrets(self) -> dict[int, bytes]:
        """Return of each who shared the secret that was revealed."""
        shares: dict[tuple[int, int], NDArray[np.uint32]] = {}
        for seat, elements in self._revealed.items():
            for owner, share in zip(self._held_by(seat), elements, strict=True):
                shares[owner, seat] = share
        secrets: dict[int, bytes] = {}
        for points, owners in self._by_points().items():
            rows: list[list[NDArray[np.uint32]]] = [[] for _ in points]
            for owner in owners:
                for row, seat in zip(rows, self._chosen(owner), strict=True):
                    row.append(shares[owner, seat])
            secrets |= dict(zip(owners, self._joined(points, rows), strict=True))
        return secrets

    def _by_points(self) -> dict[tuple[int, ...], list[int]]:
        """Return who shared, by the points of the shares that are put together: those of many are
        the same, and take one product.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for owner in self._sharers:
            chosen = self._chosen(owner)
            points = tuple(self._roster.position(owner, seat) + 1 for seat in chosen)
            groups.setdefault(points, []).append(owner)
        return groups

    def _chosen(self, owner: int) -> list[int]:
        """Return the clients whose shares of one's secret are put together."""
        there = [seat for seat in self._roster.holders(owner) if seat in self._revealed]
        # The first ones: where all are peers these are the same for every owner, and one group of
        # points.
        return there[: self.terms.threshold]

    def _joined(
        self, points: Sequence[int], rows: Sequence[Sequence[NDArray[np.uint32]]]
    ) -> list[bytes]:
        try:
            return join(np.array(points), np.array(rows, np.uint32))
        except InputError as error:
            raise RoundFailedError(f"the revealed shares give no secret: {error}") from error

    def _require_holders(self, seats: Sequence[int], deed: str) -> None:
        """Fail where of somebody's secrets too few shares would be left."""
        alive = set(seats)
        # All hold shares of all: one count stands for everybody's, which would be a loop in a loop.
        if self._roster.is_complete:
            if len(alive) < self.terms.threshold:
                self._fail(deed, len(alive))
            return
        for owner in self._sharers:
            count = sum(holder in alive for holder in self._roster.holders(owner))
            if count < self.terms.threshold:
                self._fail(deed, count)

    def _fail(self, deed: str, count: int) -> None:
        raise RoundFailedError(
            f"expected that {self.terms.threshold} clients or more {deed}, got {count}"
        )

    def _to(self, phase: ServerPhase, awaited: Sequence[int] | range) -> None:
        self.phase = phase
        self._awaited = set(awaited)

    def _for(self, seats: Sequence[int], content: bytes) -> dict[bytes, bytes]:
        return {self._roster.identities[seat]: content for seat in seats}
