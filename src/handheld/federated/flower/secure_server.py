"""A server's half of secure aggregation in a Flower app. Nothing here knows Flower."""

import logging
from collections.abc import Callable

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms import Total
from handheld.federated.flower.messages import StepName, StepOffer, secure_answer_from
from handheld.federated.rounds import RoundSums
from handheld.federated.secagg import (
    RefusedMessageError,
    RoundTerms,
    SecureAggregationServer,
    ServerPhase,
)

_LOG = logging.getLogger(__name__)

IsEnrolled = Callable[[bytes], bool]

_STEPS: dict[ServerPhase, StepName] = {
    ServerPhase.SHARES: "share",
    ServerPhase.INPUTS: "mask",
    ServerPhase.AGREEMENTS: "agree",
    ServerPhase.REVEALED: "reveal",
}


def default_threshold(clients: int, *, is_active: bool) -> int:
    """Return the fewest of some clients that must stay to the end, so that none of them refuses."""
    # What clients check, of all that are asked: of the fewer that send their keys they want no
    # more.
    if is_active:
        return 2 * clients // 3 + 1
    return clients // 2 + 1


class SecureRound:
    """A round among nodes, of which each has one identity.

    Args:
        terms: of the round.
        is_enrolled: whether an identity is one of the clients.
        most_clients: that may take part.
    """

    def __init__(self, terms: RoundTerms, is_enrolled: IsEnrolled, most_clients: int) -> None:
        self.terms = terms
        self.rejected: dict[int, str] = {}
        self._server = SecureAggregationServer(terms, is_enrolled, most_clients=most_clients)
        self._identities: dict[int, bytes] = {}
        self._counted = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked."""
        return self._server.phase is ServerPhase.DONE

    def receive(self, node: int, content: bytes) -> None:
        """Take what a node sent, if it has a part in this phase; else count it as rejected."""
        try:
            answer = secure_answer_from(content)
            # Which identity a node has it says once: another node cannot speak for it later.
            identity = self._identities.get(node, answer.identity)
            self._server.receive(identity, answer.content)
        except (InputError, RefusedMessageError) as error:
            self.reject(node, str(error))
            return
        self._identities[node] = identity
        # Those whose values came are in the sum, whoever leaves after that.
        if self._server.phase is ServerPhase.INPUTS:
            self._counted += 1

    def reject(self, node: int, reason: str) -> None:
        """Count a client whose answer is not taken."""
        _LOG.info("an answer is left out: %s", reason)
        self.rejected[node] = reason

    def advance(self) -> dict[int, StepOffer]:
        """End a phase; return what each node that is still there is asked next.

        Raises:
            RoundFailedError: too few are there.
        """
        contents = self._server.advance()
        if self.is_over:
            return {}
        step = _STEPS[self._server.phase]
        nodes = {identity: node for node, identity in self._identities.items()}
        offers = {}
        for identity, content in contents.items():
            offers[nodes[identity]] = StepOffer(round=self.terms.round, step=step, content=content)
        return offers

    def sums(self) -> RoundSums:
        """Return the sum of those whose input came."""
        assert self._server.total is not None
        sums = RoundSums()
        total = self._server.total.astype(np.uint32)
        sums.updates.add_total(Total(total, float(self._counted), self._counted))
        return sums
