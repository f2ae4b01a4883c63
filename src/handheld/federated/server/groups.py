"""Groups of a round: how devices are dealt into them, and what each does with what comes.

A group of secure aggregation is the machine of ``secagg.server`` between deadlines; one of plain
uploads is a count. Both are rebuilt from what was counted in the phases before.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.graph import GraphRisks, graph_parameters
from handheld.federated.secagg.messages import RoundTerms
from handheld.federated.secagg.server import SecureAggregationServer, ServerPhase
from handheld.federated.server.round_store import GroupPlan

LEAST_SECURE = 3
"""Devices of a group: of two, each knows the other's values by the sum."""

INPUTS_PHASE = 2
"""In which masked values come."""

_REVEALED_PHASE = 4
_BEGINNING = 512  # bytes of a message beside its entries


class SecureGroup:
    """A group whose values are masked.

    Args:
        terms: of its secure aggregation.
        goal: devices whose keys are wanted: with so many the first phase ends.
        members: identities of those that may take part.
    """

    def __init__(self, terms: RoundTerms, *, goal: int, members: frozenset[bytes]) -> None:
        self._machine = SecureAggregationServer(terms, members.__contains__, most_clients=goal)
        self._awaited = set(members)
        self._goal = goal
        self.accepted: set[bytes] = set()
        self.clients = 0

    @property
    def is_done(self) -> bool:
        """Whether the last phase has ended."""
        return self._machine.phase is ServerPhase.DONE

    @property
    def is_full(self) -> bool:
        """Whether the phase has all that it can get."""
        if self._machine.phase is ServerPhase.KEYS:
            # The keys of so many suffice: who is selected beyond the goal is there for those who
            # leave.
            return len(self.accepted) >= min(self._goal, len(self._awaited))
        return self.accepted == self._awaited

    @property
    def total(self) -> NDArray[np.unsignedinteger]:
        """(count,) the sum, once the last phase has ended."""
        total = self._machine.total
        assert total is not None
        return total

    def receive(self, identity: bytes, content: bytes) -> None:
        """Take a message of this phase.

        Raises:
            RefusedMessageError: it is none, or comes from somebody who has no part in this phase.
        """
        self._machine.receive(identity, content)
        self.accepted.add(identity)

    def advance(self) -> dict[bytes, bytes]:
        """End the phase; return what each device is told.

        Raises:
            RoundFailedError: too few are left.
        """
        is_inputs = self._machine.phase is ServerPhase.INPUTS
        clients = len(self.accepted)
        answers = self._machine.advance()
        if is_inputs:
            self.clients = clients
        # Whoever is told nothing is out, and is waited for no more.
        self._awaited = set(answers)
        self.accepted = set()
        return answers


class PlainGroup:
    """A group whose uploads the server reads.

    Args:
        goal: uploads that are wanted.
        least_uploads: with fewer it fails.
        members: identities of those that may take part.
    """

    def __init__(self, *, goal: int, least_uploads: int, members: frozenset[bytes]) -> None:
        self.is_done = False
        self.accepted: set[bytes] = set()
        self._members = members
        self._goal = goal
        self._least_uploads = least_uploads

    @property
    def is_full(self) -> bool:
        """Whether there are as many uploads as are wanted."""
        return len(self.accepted) >= min(self._goal, len(self._members))

    def receive(self, identity: bytes, _content: bytes) -> None:
        """Count an upload.

        Raises:
            RefusedMessageError: there are enough, or it comes from a stranger.
        """
        if identity not in self._members:
            raise RefusedMessageError("this device has no part in the round")
        if len(self.accepted) >= self._goal:
            raise RefusedMessageError(f"{self._goal} devices have sent their updates already")
        self.accepted.add(identity)

    def advance(self) -> dict[bytes, bytes]:
        """End the only phase.

        Raises:
            RoundFailedError: too few have come.
        """
        if len(self.accepted) < self._least_uploads:
            raise RoundFailedError(
                f"expected uploads of {self._least_uploads} devices or more, "
                f"got {len(self.accepted)}"
            )
        self.is_done = True
        return {}


@dataclass(frozen=True, kw_only=True)
class GroupRules:
    """How devices are dealt into groups.

    Args:
        goal: devices whose values are wanted in all.
        size: of a group, at most, but for what does not divide.
        count, bits: of a masked vector.
        context: hash of the model and the plans.
        is_active: whether clients check that all were told the same.
        risks: what is assumed of clients that have few peers each; None: all are peers.
    """

    goal: int
    size: int
    count: int
    bits: int
    context: bytes
    is_active: bool
    risks: GraphRisks | None = None

    def terms(self, round_id: bytes, clients: int) -> RoundTerms:
        """Return the terms of a group of so many devices.

        Raises:
            InputError: no graph of few peers is safe by the risks.
        """
        threshold = secure_threshold(clients, is_active=self.is_active)
        peers = 0
        if self.risks is not None:
            # For as few as a round may go on with, too.
            fewest = max(LEAST_SECURE, 2 * clients // 3)
            graph = graph_parameters(clients, self.risks, fewest=fewest)
            peers = graph.peers
            threshold = graph.threshold
        return RoundTerms(
            round=round_id,
            context=self.context,
            count=self.count,
            bits=self.bits,
            threshold=threshold,
            peers=peers,
            is_active=self.is_active,
        )


def secure_phases(terms: RoundTerms) -> int:
    """Return how many phases a group has: one less where nobody signs who stayed."""
    if terms.is_active:
        return _REVEALED_PHASE + 1
    return _REVEALED_PHASE


def deal_secure(
    identities: Sequence[str],
    rules: GroupRules,
    rng: np.random.Generator,
    *,
    new_id: Callable[[], bytes] = lambda: os.urandom(32),
) -> list[GroupPlan]:
    """Return groups of secure aggregation, into which devices are dealt at random.

    Args:
        identities: of the devices that were selected, in hexadecimal, 3 or more.
        rules: of the groups.
        rng: deals.
        new_id: makes the id of a group's round, of 32 bytes.
    """
    clients = min(rules.goal, len(identities))
    # As many as the size asks for, but none of fewer devices than a sum may have.
    number = max(1, min(-(-clients // rules.size), clients // LEAST_SECURE))
    shuffled = [identities[position] for position in rng.permutation(len(identities))]
    plans = []
    for group in range(number):
        # As many as dealing one by one gives this group: sizes differ by one at most.
        goal = len(range(group, clients, number))
        terms = rules.terms(new_id(), goal)
        members = sorted(shuffled[group::number])
        plans.append(GroupPlan(goal=goal, members=members, terms=terms.to_bytes()))
    return plans


def secure_threshold(clients: int, *, is_active: bool) -> int:
    """Return how many of a group must stay to the end: so many that no two parts of it could be
    told different things.

    Args:
        clients: of the group.
        is_active: whether the server may be dishonest.
    """
    if is_active:
        return 2 * clients // 3 + 1
    return clients // 2 + 1


def most_message_bytes(phase: int, terms: RoundTerms, *, members: int) -> int:
    """Return how long a message of a phase may be, before anything looks into it.

    Args:
        phase: from 0.
        terms: of the group.
        members: of the group.
    """
    # Of the lists that devices send each entry is a sealed pair of shares or one share: a
    # hundred bytes or two.
    sizes = (
        0,
        members * 256,
        terms.count * terms.bits // 8,
        0,
        members * 256,
    )
    # Without the phase of signatures the shares come one phase sooner.
    if not terms.is_active and phase == _REVEALED_PHASE - 1:
        phase = _REVEALED_PHASE
    return _BEGINNING + sizes[phase]
