"""A client's part of a round, as a machine of states: bytes in, bytes out.

Bonawitz et al. 2017, figure 4, with the round of consistency that an active adversary needs. Each
step is taken once, in its order; a message that no honest server sends ends the client's part, and
its secrets are forgotten.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg import messages
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.graph import GraphRisks, graph_parameters, least_threshold
from handheld.federated.secagg.keys import AgreementKey, SigningKey, is_signed, seal, unseal
from handheld.federated.secagg.masks import SEED_BYTES, MaskGenerator, word_type
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.packing import pack
from handheld.federated.secagg.roster import IsEnrolled, RoundRoster, signed_keys
from handheld.federated.secagg.secrets_of_round import SEALED_SHARE_BYTES, one_of, split_both
from handheld.federated.secagg.shares import MOST_SHARES
from handheld.federated.secagg.snapshot import ClientSnapshot, SnapshotStep, snapshot_from


@dataclass(frozen=True, kw_only=True)
class ClientPolicy:
    """What a client demands of a round, whatever the server says.

    Args:
        context: hash of the model and the plan that it was given.
        bits: of the modulus, in [1, 32].
        least_clients: that take part, 2 or more.
        least_threshold: that must stay to the end, 2 or more.
        needs_consistency: whether all must have been told the same: the server may be dishonest.
            False: the server is trusted to follow the protocol, so that the client neither asks for
            the round of consistency nor verifies what others signed of their keys.
        graph: what is assumed of clients where each has few peers: the client computes for itself
            how many are needed. None: all have to be peers.
        is_enrolled: whether an identity is one of the clients.
        is_new_round: whether a round's id was never seen; from then on it was.
    """

    context: bytes
    bits: int
    least_clients: int = 3
    least_threshold: int = 2
    needs_consistency: bool = True
    graph: GraphRisks | None = None
    is_enrolled: IsEnrolled
    is_new_round: Callable[[bytes], bool]


class _Step(Enum):
    ADVERTISE = auto()
    SHARE = auto()
    MASK = auto()
    AGREE = auto()
    REVEAL = auto()
    DONE = auto()


class SecureAggregationClient:
    """One client in one round.

    Args:
        identity: by which others know it.
        values: (count,) whole numbers, of which the sum modulo 2^bits is wanted.
        policy: what it demands.
    """

    def __init__(
        self, identity: SigningKey, values: NDArray[np.unsignedinteger], policy: ClientPolicy
    ) -> None:
        self._identity = identity
        self._values: NDArray[np.unsignedinteger] | None = values.astype(word_type(policy.bits))
        self._policy = policy
        self._next: _Step | None = _Step.ADVERTISE

    def advertise(self, content: bytes) -> bytes:
        """Take the terms, return the keys of this round (AdvertiseKeys).

        Raises:
            RefusedMessageError: the terms are none, or not what the policy demands.
        """
        with self._only(_Step.ADVERTISE):
            terms = messages.terms_from(content)
            self._check_terms(terms)
            self._terms = terms
            # Two pairs: the mask key is revealed where its client drops out, and what was sealed by
            # the other must stay closed then.
            self._cipher_key = AgreementKey()
            self._mask_key = AgreementKey()
            keys = signed_keys(terms, self._cipher_key.public, self._mask_key.public)
            self._advertisement = Advertisement(
                identity=self._identity.public,
                cipher_key=self._cipher_key.public,
                mask_key=self._mask_key.public,
                signature=self._identity.sign(keys),
            )
            return self._advertisement.to_bytes()

    def share(self, content: bytes) -> bytes:
        """Take the roster, return shares of the secrets, sealed for the peers (ShareKeys).

        Raises:
            RefusedMessageError: somebody in it is not enrolled or did not sign, they are too few,
                or this client's own keys are others.
        """
        with self._only(_Step.SHARE):
            members = messages.roster_from(content, MOST_SHARES).members
            roster = RoundRoster.checked(
                self._terms, members, self._policy.is_enrolled, self._advertisement
            )
            self._take_seat(roster)
            self._check_numbers()
            self._seed = os.urandom(SEED_BYTES)
            shares = split_both(
                self._seed, self._mask_key.private, len(self._holders), self._terms.threshold
            )
            by_holder = dict(zip(self._holders, shares, strict=True))
            self._own_shares = by_holder.pop(self._seat)
            sealed = [self._seal(by_holder[peer], peer) for peer in self._peers]
            return messages.SealedShares(sealed=sealed).to_bytes()

    def mask(self, content: bytes) -> bytes:
        """Take what the peers sealed, return the masked values (MaskedInputCollection).

        Raises:
            RefusedMessageError: too few have shared, or what was sealed is for somebody else.
        """
        with self._only(_Step.MASK):
            inbox = messages.inbox_from(content, len(self._roster.members), SEALED_SHARE_BYTES)
            self._sharers = inbox.sharers
            # Masks are agreed with those who shared alone: of others no key could be put together,
            # to take theirs away.
            sharing = self._among_peers(inbox.sharers)
            self._require_own(inbox.sharers)
            self._require_enough(inbox.sharers, "have shared their secrets")
            if len(inbox.sealed) != len(sharing):
                raise RefusedMessageError(
                    f"expected shares of {len(sharing)} peers, got {len(inbox.sealed)}"
                )
            self._shares = {self._seat: self._own_shares}
            for peer, sealed in zip(sharing, inbox.sealed, strict=True):
                self._shares[peer] = self._unseal(sealed, peer)
            return messages.MaskedInput(values=self._masked(sharing)).to_bytes()

    def agree(self, content: bytes) -> bytes:
        """Take who survived, return a signature of it (ConsistencyCheck).

        Raises:
            RefusedMessageError: they are too few, did not share, or this client is not among them.
        """
        with self._only(_Step.AGREE):
            self._take_survivors(content)
            self._signature = self._identity.sign(self._agreed())
            return messages.Agreement(signature=self._signature).to_bytes()

    def reveal(self, content: bytes) -> bytes:
        """Take what the others signed, return one share of each peer (Unmasking).

        Where the terms ask for no consistency it takes who survived.

        Raises:
            RefusedMessageError: too few signed, or signed something else.
        """
        with self._only(_Step.REVEAL):
            if self._terms.is_active:
                self._check_agreements(content)
            else:
                self._take_survivors(content)
            # Of nobody both: seed and key together would lay a client's values open.
            survived = set(self._survivors)
            shares = [
                one_of(self._shares[seat], of_seed=seat in survived)
                for seat in sorted(self._shares)
            ]
            answer = messages.RevealedShares(shares=shares).to_bytes()
            # A second answer, to other survivors, would give what the first held back.
            self._forget()
            return answer

    def to_bytes(self) -> bytes:
        """Return all that it knows between two steps, secrets too: for its owner's eyes alone.

        For clients of which each step is taken by another process. Whoever takes a step twice from
        the same bytes may reveal both secrets of a peer: bytes are taken once, and then are gone.

        Raises:
            RefusedMessageError: it has not begun, or has ended.
        """
        if self._next in (None, _Step.ADVERTISE, _Step.DONE):
            raise RefusedMessageError("this client is not between two steps of a round")
        assert self._next is not None
        snapshot = ClientSnapshot(
            step=cast(SnapshotStep, self._next.name),
            terms=self._terms,
            advertisement=self._advertisement,
            **self._known(),
        )
        return snapshot.to_bytes()

    @classmethod
    def from_bytes(
        cls, content: bytes, identity: SigningKey, policy: ClientPolicy
    ) -> "SecureAggregationClient":
        """Return a client as it was between two steps.

        Args:
            content: of :meth:`to_bytes`.
            identity: that it had.
            policy: that it had.

        Raises:
            InputError: the bytes are none of a client's, or another one's.
        """
        snapshot = snapshot_from(content)
        if snapshot.advertisement.identity != identity.public:
            raise InputError("these are bytes of another client")
        values = np.frombuffer(snapshot.values, word_type(policy.bits))
        client = cls(identity, values, policy)
        client._restore(snapshot)
        return client

    def _known(self) -> dict[str, Any]:
        """Return what the following steps need, and nothing that they do not."""
        known: dict[str, Any] = {}
        step = self._next
        if step in (_Step.SHARE, _Step.MASK):
            assert self._values is not None
            known["values"] = self._values.tobytes()
            known["cipher_key"] = self._cipher_key.private
            known["mask_key"] = self._mask_key.private
        if step is not _Step.SHARE:
            known["members"] = list(self._roster.members)
        if step is _Step.MASK:
            known["seed"] = self._seed
            known["own_shares"] = self._own_shares
        if step in (_Step.AGREE, _Step.REVEAL):
            known["sharers"] = self._sharers
            known["shares"] = self._shares
        if step is _Step.REVEAL and self._terms.is_active:
            known["survivors"] = self._survivors
            known["signature"] = self._signature
        return known

    def _restore(self, snapshot: ClientSnapshot) -> None:
        self._next = _Step[snapshot.step]
        self._terms = snapshot.terms
        self._advertisement = snapshot.advertisement
        if snapshot.mask_key:
            self._cipher_key = AgreementKey(snapshot.cipher_key)
            self._mask_key = AgreementKey(snapshot.mask_key)
        if snapshot.members:
            self._take_seat(RoundRoster(self._terms, tuple(snapshot.members)))
        self._seed = snapshot.seed
        self._own_shares = snapshot.own_shares
        self._sharers = snapshot.sharers
        self._shares = dict(snapshot.shares)
        self._survivors = snapshot.survivors
        self._signature = snapshot.signature

    def _take_seat(self, roster: RoundRoster) -> None:
        seat = roster.seat_of(self._identity.public)
        assert seat is not None  # it has this client's keys
        self._roster = roster
        self._seat = seat
        self._peers = roster.peers(seat)
        self._holders = roster.holders(seat)
        self._seal_keys: dict[int, bytes] = {}

    @contextmanager
    def _only(self, expected: _Step) -> Iterator[None]:
        """Take a step once, in its order; whatever goes wrong in it is the end."""
        # None while a step runs: one that failed half way cannot be taken again.
        step = self._next
        self._next = None
        try:
            if step is None:
                raise RefusedMessageError("this client's part of the round has ended")
            if step is not expected:
                raise RefusedMessageError(
                    f"expected the message of {step.name.lower()}, not of {expected.name.lower()}"
                )
            yield
        # Whatever it is, KeyboardInterrupt too: secrets of a broken step are of no more use.
        except BaseException:
            self._forget()
            raise
        self._next = self._following(expected)

    def _following(self, step: _Step) -> _Step:
        if step is _Step.MASK and not self._terms.is_active:
            return _Step.REVEAL
        return _Step(step.value + 1)

    def _forget(self) -> None:
        """Drop every secret. (Python may still have copies, until their memory is used again.)"""
        for name in (
            "_seed",
            "_mask_key",
            "_cipher_key",
            "_seal_keys",
            "_shares",
            "_own_shares",
            "_values",
        ):
            setattr(self, name, None)

    def _check_terms(self, terms: RoundTerms) -> None:
        policy = self._policy
        assert self._values is not None
        if terms.context != policy.context:
            raise RefusedMessageError("the round is about another model or plan than was given")
        if terms.count != len(self._values) or terms.bits != policy.bits:
            raise RefusedMessageError(
                f"expected {len(self._values)} values of {policy.bits} bits, "
                f"got {terms.count} of {terms.bits}"
            )
        if terms.threshold < policy.least_threshold:
            raise RefusedMessageError(
                f"expected a threshold of {policy.least_threshold} or more, got {terms.threshold}"
            )
        self._check_adversary(terms)
        # Last: the id counts as seen from here on, and terms that are refused must not use it up.
        if not policy.is_new_round(terms.round):
            raise RefusedMessageError("this round has been before")

    def _check_adversary(self, terms: RoundTerms) -> None:
        if self._policy.needs_consistency and not terms.is_active:
            raise RefusedMessageError("expected a round in which all are told the same")
        # The few peers of Bell et al. are safe from a server that follows the protocol alone.
        if terms.is_active and terms.peers:
            raise RefusedMessageError(
                "expected that all are peers, where a server may be dishonest"
            )
        if terms.peers and self._policy.graph is None:
            raise RefusedMessageError("expected that all are peers, as the policy says")
        # Half of them stand to each side on the ring.
        if terms.peers % 2:
            raise RefusedMessageError(f"expected an even number of peers, got {terms.peers}")

    def _check_numbers(self) -> None:
        clients = len(self._roster.members)
        holders = len(self._holders)
        threshold = self._terms.threshold
        if clients < self._policy.least_clients:
            raise RefusedMessageError(
                f"expected {self._policy.least_clients} clients or more, got {clients}"
            )
        if threshold > holders:
            raise RefusedMessageError(f"{holders} clients never reach a threshold of {threshold}")
        if self._roster.is_complete:
            self._check_threshold(holders)
        else:
            self._check_graph()

    def _check_threshold(self, holders: int) -> None:
        # Else a server could play two groups of clients against each other.
        smallest = holders // 2 + 1
        if self._terms.is_active:
            smallest = 2 * holders // 3 + 1
        if self._terms.threshold < smallest:
            raise RefusedMessageError(
                f"expected a threshold of {smallest} or more of {holders}, "
                f"got {self._terms.threshold}"
            )

    def _check_graph(self) -> None:
        """Refuse a graph in which secrets would come out more often than the policy allows."""
        clients = len(self._roster.members)
        risks = self._policy.graph
        assert risks is not None  # as the terms were checked
        try:
            needed = graph_parameters(clients, risks)
        except InputError as error:
            raise RefusedMessageError(f"no graph is safe: {error}") from error
        if not needed.peers:
            raise RefusedMessageError(f"expected that all {clients} clients are peers")
        peers = self._terms.peers
        if peers < needed.peers:
            raise RefusedMessageError(
                f"expected {needed.peers} peers or more of {clients} clients, got {peers}"
            )
        threshold = least_threshold(clients, peers, risks)
        if self._terms.threshold < threshold:
            raise RefusedMessageError(
                f"expected a threshold of {threshold} or more among {peers} peers of {clients} "
                f"clients, got {self._terms.threshold}"
            )

    def _context(self, sender: int, receiver: int) -> bytes:
        identities = self._roster.identities
        # The key is the same both ways: without names a server could hand a client its own shares
        # back as a peer's.
        return b"shares" + self._roster.digest + identities[sender] + identities[receiver]

    def _seal(self, share: bytes, peer: int) -> bytes:
        return seal(self._seal_key(peer), share, self._context(self._seat, peer))

    def _unseal(self, sealed: bytes, peer: int) -> bytes:
        try:
            return unseal(self._seal_key(peer), sealed, self._context(peer, self._seat))
        except InputError as error:
            raise RefusedMessageError(f"shares of client {peer}: {error}") from error

    def _seal_key(self, peer: int) -> bytes:
        """Return the key of what goes to a peer and comes from it; the context tells them apart."""
        if peer not in self._seal_keys:
            public = self._roster.members[peer].cipher_key
            context = b"seal" + self._roster.digest
            self._seal_keys[peer] = self._agreed_key(self._cipher_key, public, context)
        return self._seal_keys[peer]

    def _agreed_key(self, key: AgreementKey, public: bytes, context: bytes) -> bytes:
        try:
            return key.agree(public, context)
        except InputError as error:
            raise RefusedMessageError(str(error)) from error

    def _among_peers(self, seats: list[int]) -> list[int]:
        known = set(self._peers)
        return [seat for seat in seats if seat in known]

    def _require_own(self, seats: list[int]) -> None:
        if self._seat not in seats:
            raise RefusedMessageError("the server says that this client did not take part")

    def _require_enough(self, seats: list[int], deed: str) -> None:
        holders = set(self._holders)
        count = sum(seat in holders for seat in seats)
        if count < self._terms.threshold:
            raise RefusedMessageError(
                f"expected that {self._terms.threshold} clients or more {deed}, got {count}"
            )

    def _masked(self, sharing: list[int]) -> bytes:
        """Return the values with this client's own mask and those that it shares with peers."""
        assert self._values is not None
        added = [self._seed]
        subtracted = []
        for peer in sharing:
            seed = self._agreed_key(
                self._mask_key, self._roster.members[peer].mask_key, pair_context(self._roster)
            )
            # One of the two adds what the other takes away.
            if self._seat < peer:
                added.append(seed)
            else:
                subtracted.append(seed)
        values = self._values.copy()
        generator = MaskGenerator(self._roster.digest)
        generator.add(values, *added)
        generator.subtract(values, *subtracted)
        return pack(values, self._terms.bits)

    def _take_survivors(self, content: bytes) -> None:
        survivors = messages.survivors_from(content, len(self._roster.members)).seats
        # Of one who did not share no seed comes out: its mask would stay in the sum.
        if not set(survivors) <= set(self._sharers):
            raise RefusedMessageError("somebody survived who did not share")
        self._require_own(survivors)
        self._require_enough(survivors, "have sent their values")
        self._survivors = survivors

    def _agreed(self) -> bytes:
        return agreed_survivors(self._roster, self._sharers, self._survivors)

    def _check_agreements(self, content: bytes) -> None:
        agreements = messages.agreements_from(content, len(self._roster.members))
        if not set(agreements.seats) <= set(self._survivors):
            raise RefusedMessageError("somebody signed who did not survive")
        self._require_enough(agreements.seats, "have signed who survived")
        agreed = self._agreed()
        for seat, signature in zip(agreements.seats, agreements.signatures, strict=True):
            # Ed25519 signs alike each time: what it signed itself it need not verify.
            if seat == self._seat and signature == self._signature:
                continue
            if not is_signed(self._roster.identities[seat], signature, agreed):
                raise RefusedMessageError(f"client {seat} was told of other survivors")


def pair_context(roster: RoundRoster) -> bytes:
    """Return what the seeds of masks between two clients are for."""
    return b"pair" + roster.digest


def agreed_survivors(roster: RoundRoster, sharers: list[int], survivors: list[int]) -> bytes:
    """Return what clients sign of who shared and who survived."""
    shared = np.array(sharers, "<u4").tobytes()
    survived = np.array(survivors, "<u4").tobytes()
    # Sizes first: two lists one after the other could be cut at another place.
    sizes = len(sharers).to_bytes(4, "little") + len(survivors).to_bytes(4, "little")
    return b"survivors" + roster.digest + sizes + shared + survived
