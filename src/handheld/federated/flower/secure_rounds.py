"""Rounds of secure aggregation by Flower's messages, as a server leads them."""

from collections.abc import Iterable, Mapping

from handheld.errors import InputError
from handheld.federated.flower._flwr import Grid, Message, MessageType, RecordDict
from handheld.federated.flower.messages import ANSWER, OFFER, STEP, StepOffer
from handheld.federated.flower.plan import NamedArrays
from handheld.federated.flower.records import get_bytes, put_bytes, reason_of
from handheld.federated.flower.secure_server import IsEnrolled, SecureRound, default_threshold
from handheld.federated.flower.server_side import ServerSide
from handheld.federated.rounds import RoundSums
from handheld.federated.secagg import RoundFailedError
from handheld.ranges import in_range, whole_in_range

_LEAST_THRESHOLD = 2
_LAST_STEP = "reveal"


class SecureRounds:
    """Leads rounds, one after another.

    Args:
        side: of the server.
        threshold: clients that must stay to the end; None: the fewest that clients accept.
        is_active: whether clients check that all were told the same.
        is_enrolled: whether an identity is one of the clients; None: all are.
        phase_seconds: that the server waits for each step.

    Raises:
        InputError: a threshold below 2, no time, or a plan without whole numbers.
    """

    def __init__(
        self,
        side: ServerSide,
        *,
        threshold: int | None = None,
        is_active: bool = True,
        is_enrolled: IsEnrolled | None = None,
        phase_seconds: float = 600.0,
    ) -> None:
        if threshold is not None:
            whole_in_range("threshold", threshold, low=_LEAST_THRESHOLD)
        in_range("phase_seconds", phase_seconds, low=0, low_open=True)
        if side.plan.whole is None:
            raise InputError(
                "secure aggregation adds up whole numbers: expected a plan with WholeNumbers"
            )
        self._side = side
        self._threshold = threshold
        self._is_active = is_active
        self._is_enrolled = is_enrolled or _anybody
        self._phase_seconds = phase_seconds
        self._most_clients = side.plan.whole.clients
        self._round: SecureRound | None = None

    @property
    def rejected(self) -> Mapping[int, str]:
        """Whose answers were not taken in the round, by node, and why."""
        if self._round is None:
            return {}
        return self._round.rejected

    def until_last(self, grid: Grid, messages: list[Message], arrays: NamedArrays) -> list[Message]:
        """Go through all steps but the last; return what clients are asked in that.

        Args:
            grid: that carries messages.
            messages: with the model, one to each client of the round.
            arrays: of the model.

        Raises:
            RoundFailedError: too few clients are left.
            InputError: the plan is not for such a model, or so many clients.
        """
        self._round = None
        if len(messages) > self._most_clients:
            raise InputError(
                f"expected {self._most_clients} clients at most, as the plan's WholeNumbers says,"
                f" got {len(messages)}"
            )
        self._begin(messages, arrays)
        assert self._round is not None
        while True:
            replies = grid.send_and_receive(messages, timeout=self._phase_seconds)
            offers = self._taken(replies)
            messages = [_asked(node, offer) for node, offer in sorted(offers.items())]
            if all(offer.step == _LAST_STEP for offer in offers.values()):
                return messages

    def last(self, replies: Iterable[Message]) -> RoundSums:
        """Return the sum of a round, of which the last answers came.

        Raises:
            RoundFailedError: too few clients are left.
        """
        if self._round is None:
            raise RoundFailedError("it did not get to its last step")
        round_ = self._round
        self._taken(replies)
        self._round = round_
        return round_.sums()

    def _begin(self, messages: list[Message], arrays: NamedArrays) -> None:
        offer = self._side.begin(arrays)
        threshold = self._threshold
        if threshold is None:
            threshold = default_threshold(len(messages), is_active=self._is_active)
        threshold = max(threshold, _LEAST_THRESHOLD)
        terms = self._side.terms(offer, threshold, is_active=self._is_active)
        content = offer.with_terms(terms).to_bytes()
        for message in messages:
            put_bytes(message.content, OFFER, content)
        self._round = SecureRound(terms, self._is_enrolled, self._most_clients)

    def _taken(self, replies: Iterable[Message]) -> dict[int, StepOffer]:
        """Return what clients are asked after some answers; a round that fails is forgotten."""
        round_ = self._round
        assert round_ is not None
        self._round = None
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                round_.reject(node, reason_of(reply))
                continue
            round_.receive(node, get_bytes(reply.content, ANSWER) or b"")
        offers = round_.advance()
        self._round = round_
        return offers


def _asked(node: int, offer: StepOffer) -> Message:
    content = RecordDict()
    put_bytes(content, STEP, offer.to_bytes())
    return Message(content, dst_node_id=node, message_type=MessageType.TRAIN)


def _anybody(_identity: bytes) -> bool:
    return True
