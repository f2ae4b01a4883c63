"""A client's half of secure aggregation in a Flower app. Nothing here knows Flower."""

from dataclasses import dataclass, field
from pathlib import Path

from handheld.errors import InputError
from handheld.federated.device import ClientDemands, ClientFolder
from handheld.federated.flower.client_side import ClientSide, TrainedModel
from handheld.federated.flower.messages import SecureAnswer, StepOffer
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.round_folder import RoundFolder
from handheld.federated.secagg import ClientPolicy, SecureAggregationClient

_ROUNDS = "rounds"
_LAST_STEP = "reveal"


@dataclass(frozen=True)
class SecureClient:
    """A client that takes part in secure aggregation, step by step.

    Attributes:
        plan: the way of its update, with ``WholeNumbers``.
        path: of the folder with its identity, and the rounds that it is in the middle of.
        demands: of a round, whatever the server says.

    Raises:
        InputError: the plan makes no whole numbers, or the demands say something of local noise,
            which the plan does.
    """

    plan: UpdatePlan
    path: Path
    demands: ClientDemands = field(default_factory=ClientDemands)

    def __post_init__(self) -> None:
        if self.plan.whole is None:
            raise InputError(
                "secure aggregation adds up whole numbers: expected a plan with WholeNumbers"
            )
        if self.demands.local_epsilon is not None:
            raise InputError("local_epsilon: noise is what the client's own plan says")

    def begin(self, side: ClientSide, trained: TrainedModel | None) -> SecureAnswer:
        """Return the keys of a client that has trained.

        Args:
            side: its half of the round.
            trained: by the app; None where it could not train.

        Raises:
            RefusedMessageError: the terms are not what the client demands.
            InputError: there are none, or what was trained makes no sense.
        """
        terms = side.offer.terms
        if terms is None:
            raise InputError("expected a round of secure aggregation, got a plain one")
        folder = ClientFolder(self.path)
        client = SecureAggregationClient(
            folder.identity, side.whole_numbers(trained), self._policy(side.context, folder)
        )
        content = client.advertise(terms.to_bytes())
        # Before the answer goes: the next message may come to another process at once.
        self._rounds.put(terms.round, client.to_bytes())
        return SecureAnswer(identity=folder.identity.public, content=content)

    def go_on(self, offer: StepOffer) -> SecureAnswer:
        """Return the answer to a later step. Each is taken once, whatever comes of it.

        Raises:
            RefusedMessageError: no honest server asks that.
            InputError: the client's own file is damaged.
        """
        # Before anything is looked at: a step that is answered twice could reveal both secrets of a
        # peer.
        kept = self._rounds.take(offer.round)
        folder = ClientFolder(self.path)
        # What terms have to be about was seen when it began.
        client = SecureAggregationClient.from_bytes(
            kept, folder.identity, self._policy(b"", folder)
        )
        # The names that ``StepOffer`` lets through are those of these methods.
        content: bytes = getattr(client, offer.step)(offer.content)
        if offer.step != _LAST_STEP:
            self._rounds.put(offer.round, client.to_bytes())
        return SecureAnswer(identity=folder.identity.public, content=content)

    @property
    def _rounds(self) -> RoundFolder:
        return RoundFolder(self.path / _ROUNDS)

    def _policy(self, context: bytes, folder: ClientFolder) -> ClientPolicy:
        grid = self.plan.whole
        assert grid is not None
        return ClientPolicy(
            context=context,
            bits=grid.width,
            least_clients=self.demands.least_clients,
            least_threshold=self.demands.least_threshold,
            needs_consistency=self.demands.needs_consistency,
            is_enrolled=self.demands.is_known or _anybody,
            is_new_round=folder.is_new_round,
        )


def _anybody(_identity: bytes) -> bool:
    return True
