"""A client's half of a round of a Flower app: arrays in, bytes out. Nothing here knows Flower."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, ServerState
from handheld.federated.client import ClientAnswer, ClientRound, fresh_number, secret_seeds
from handheld.federated.client.messages import answer_bytes
from handheld.federated.flower.messages import TrainOffer, memory_from
from handheld.federated.flower.plan import ArrayLayout, NamedArrays, UpdatePlan
from handheld.federated.learning.learner import ClientTask, ClientWork, Floats, Learned

_NUMBER_BYTES = 8


@dataclass(frozen=True)
class TrainedModel:
    """What an app's own training made of a model.

    Attributes:
        arrays: of the model afterwards.
        weight: by which it counts: its examples.
    """

    arrays: NamedArrays
    weight: float


@dataclass(frozen=True, eq=False)
class ClientSide:
    """A client in a round.

    Attributes:
        plan: the way of its update.
        offer: what the server asks.
        layout: of the model.
        round: what the client knows of it.
    """

    plan: UpdatePlan
    offer: TrainOffer
    layout: ArrayLayout
    round: ClientRound

    @classmethod
    def of(
        cls,
        plan: UpdatePlan,
        offer: TrainOffer,
        arrays: NamedArrays,
        *,
        error_feedback: bool = False,
    ) -> Self:
        """Return a client that got a model.

        Args:
            plan: of the client, whatever the server says.
            offer: of the server.
            arrays: of the model.
            error_feedback: whether it keeps what its updates left out, and adds it to the next.

        Raises:
            InputError: the server has another plan, or the plan is not for such a model.
        """
        if offer.plan != plan.digest:
            raise InputError("the server has another plan for updates than this client")
        layout = plan.layout(arrays)
        state = ServerState(
            layout.weights_of(arrays), offer.round, {}, layout.statistics_of(arrays)
        )
        # FedAvg whatever the server does with a round: how to train is the app's own.
        task = ClientTask(state, FedAvg(), ClientWork(), offer.seed)
        chain = plan.chain(layout)
        memory = memory_from(offer.memory)
        if len(memory) != len(plan.stages):
            raise InputError(f"expected memory of {len(plan.stages)} stages, got {len(memory)}")
        return cls(plan, offer, layout, ClientRound(task, chain, memory, error_feedback))

    @property
    def context(self) -> bytes:
        """32 bytes that are the same for all who got the same model, plan and round."""
        state = self.round.task.state
        hashed = hashlib.sha256(b"flower 1" + self.offer.plan)
        hashed.update(
            self.offer.round.to_bytes(8, "little") + self.offer.seed.to_bytes(8, "little")
        )
        hashed.update(hashlib.sha256(self.offer.memory).digest())
        # In one order of bytes: machines of both kinds must come to the same hash.
        hashed.update(state.weights.astype("<f4").tobytes())
        return hashed.digest()

    def plain_answer(
        self, trained: TrainedModel | None, owed: Floats | None = None
    ) -> tuple[bytes, Floats | None]:
        """Return what travels, and what the client keeps.

        Args:
            trained: by the app; None where it could not train.
            owed: (n,) what it kept; None where it keeps nothing.

        Raises:
            InputError: what was trained makes no sense, and nothing is promised that this would
                break.
        """
        number = fresh_number()
        answer = self._answer(trained, owed, number)
        return answer_bytes(answer, number), answer.kept

    def whole_numbers(self, trained: TrainedModel | None) -> NDArray[np.uint32]:
        """Return the (m,) whole numbers of which secure aggregation sees the sum alone.

        Raises:
            InputError: as for :meth:`plain_answer`, or the plan makes no whole numbers.
        """
        content = self._answer(trained, None, fresh_number()).upload.content
        if not isinstance(content, np.ndarray):
            raise InputError(
                "secure aggregation adds up whole numbers: let WholeNumbers be the last stage"
            )
        return content

    def _answer(
        self, trained: TrainedModel | None, owed: Floats | None, number: int
    ) -> ClientAnswer:
        seeds = secret_seeds(self.round.task, number)
        try:
            if trained is None:
                raise InputError("nothing was trained")
            return self.round.answer(self._learned(trained), owed, seeds)
        except InputError:
            if not self.plan.promises:
                raise
            # Whether a client has data must not show.
            return self.round.nothing(seeds)

    def _learned(self, trained: TrainedModel) -> Learned:
        before = self.round.task.state.weights
        weight = trained.weight
        if self.plan.uniform and weight > 0:
            # How many examples it has is nobody's business where all count alike.
            weight = 1.0
        change = self.layout.weights_of(trained.arrays) - before
        statistics = self.layout.statistics_of(trained.arrays)
        return Learned(change, weight, 0.0, 0.0, statistics)
