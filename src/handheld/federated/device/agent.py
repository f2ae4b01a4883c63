"""A device that takes part in a federation, for as long as it lives."""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import HandheldError, InputError
from handheld.federated.client import ClientAnswer, ClientRound, fresh_number, secret_seeds
from handheld.federated.client.messages import answer_bytes
from handheld.federated.device.demands import ClientDemands
from handheld.federated.device.device import ClientDevice
from handheld.federated.device.folder import ClientFolder
from handheld.federated.device.personalisation import Personalisation
from handheld.federated.learning.learner import Learned
from handheld.federated.rounds import FederationState
from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient
from handheld.federated.tasks.evaluation import EVALUATION_BITS, evaluation_numbers
from handheld.federated.tasks.plan import VERSION, DevicePlan
from handheld.federated.wire.connection import FederationConnection
from handheld.federated.wire.messages import ComeBack, Offer, RoundOutcome
from handheld.federated.wire.session import FederationSession

_LOG = logging.getLogger(__name__)

_GATE_SECONDS = 60.0  # until a device in use looks again
_FIRST_PAUSE = 5.0  # seconds after an error; twice as long after the next
_LONGEST_PAUSE = 900.0
_SHORTEST_PAUSE = 0.1  # seconds between two turns
_LONGEST_REST = 86_400.0  # that a server can make a device sit out
_FLOAT = 4  # bytes
_MODEL_OVERHEAD = 1 << 20  # bytes of names and of what stages keep


@dataclass(frozen=True)
class ClientTurn:
    """What came of one turn.

    Attributes:
        seconds: after which to take the next.
        task: that was worked on; empty if none was.
        counted: whether the device's part is in the sum.
        reason: why nothing was done, or the part ended.
    """

    seconds: float
    task: str = ""
    counted: bool = False
    reason: str = ""


class FederationClient:
    """A device in a federation.

    It waits until its gate is open, checks in, learns what the server asks if that is as it
    demands, sends its masked update, and comes back when it is told to.

    Args:
        folder: what it keeps.
        connection: to the server.
        devices: by the names of the tasks that they do.
        demands: on rounds.
        token: to enrol with, where the server asks for one.
        abilities: what else it can, as tasks ask for it.
        personalisation: of the user's own model after each training; None: there is none.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        folder: ClientFolder,
        connection: FederationConnection,
        devices: Mapping[str, ClientDevice],
        *,
        demands: ClientDemands | None = None,
        token: str = "",
        abilities: Sequence[str] = (),
        personalisation: Personalisation | None = None,
    ) -> None:
        if not devices:
            raise InputError("expected a task or more, got none")
        self._folder = folder
        self._devices = dict(devices)
        self._demands = demands or ClientDemands()
        self._token = token
        self._abilities = tuple(abilities)
        self._personalisation = personalisation
        self._connection = connection
        self._session = FederationSession(connection, folder.identity, server=folder.server)
        self._is_enrolled = False

    def run(
        self,
        stop: threading.Event,
        *,
        progress: Callable[[ClientTurn], None] | None = None,
    ) -> None:
        """Take turns until ``stop`` is set; no error ends it.

        Args:
            stop: is looked at between turns.
            progress: told of each turn.
        """
        pause = _FIRST_PAUSE
        while not stop.is_set():
            try:
                turn = self.take_turn()
                pause = _FIRST_PAUSE
            except Exception as error:
                # Whatever it is: plans and models are the server's, and modules the user's own.
                reason = _words(error)
                _LOG.warning("a turn came to nothing: %s", reason)
                turn = ClientTurn(pause, reason=reason)
                pause = min(2 * pause, _LONGEST_PAUSE)
            if progress is not None:
                progress(turn)
            # A server may be wrong, or hostile: it is neither asked without end nor for years not.
            seconds = min(max(turn.seconds, _SHORTEST_PAUSE), _LONGEST_REST)
            # Not seeded: devices that fail together must not come back together.
            stop.wait(seconds * random.uniform(1.0, 1.1))
        self.close()

    def close(self) -> None:
        """End the connection; the next turn makes another."""
        self._connection.close()

    def take_turn(self) -> ClientTurn:
        """Take one turn.

        Raises:
            InputError: the server refuses the device, or asks for what it does not do.
            FetchError: the server cannot be reached.
            RefusedMessageError: the server says what no honest server says.
        """
        ready = [name for name, device in self._devices.items() if not _unmet(device)]
        if not ready:
            reason = ", ".join(_unmet(next(iter(self._devices.values()))))
            return ClientTurn(_GATE_SECONDS, reason=reason)
        self._enrol()
        answer = self._session.check_in(plans=[VERSION], tasks=ready, abilities=self._abilities)
        if isinstance(answer, ComeBack):
            return ClientTurn(answer.seconds, reason=answer.reason)
        offer = self._session.offer(answer)
        if isinstance(offer, RoundOutcome):
            return ClientTurn(offer.seconds, answer.task, reason=offer.reason)
        outcome = self._work(offer)
        return ClientTurn(outcome.seconds, offer.task, outcome.counted, outcome.reason)

    def _enrol(self) -> None:
        if self._is_enrolled:
            return
        self._session.enrol(self._token)
        if self._folder.server is None and self._session.server is not None:
            self._folder.trust(self._session.server)
        self._is_enrolled = True

    def _work(self, offer: Offer) -> RoundOutcome:
        device = self._devices.get(offer.task)
        if device is None:
            raise InputError(f"the server offers a task that was not asked for: {offer.task}")
        plan = self._plan(offer)
        if plan.purpose != offer.purpose:
            raise InputError(f"the plan is for {plan.purpose}, the offer for {offer.purpose}")
        # By what the plan makes: an offer alone can say what it likes.
        self._demands.require(plan, is_secure=bool(offer.terms) and _makes_sums(plan))
        _require_plan_of(device, plan)
        state = self._state(offer, plan)
        if plan.purpose == "evaluation":
            numbers = evaluation_numbers(device.evaluate(state.server))
            return self._send_securely(offer, numbers, EVALUATION_BITS)
        outcome = self._train(offer, plan, state, device)
        self._personalise(device, state)
        return outcome

    def _personalise(self, device: ClientDevice, state: FederationState) -> None:
        if self._personalisation is None:
            return
        try:
            device.personalise(
                state.server.weights,
                self._personalisation,
                statistics=state.server.statistics,
                seed=fresh_number(),
            )
        except HandheldError as error:
            # The round is over, and what the server said of it holds.
            _LOG.warning("the user's own model stays as it is: %s", error)

    def _plan(self, offer: Offer) -> DevicePlan:
        for address in offer.plans:
            if address.plan_version == VERSION:
                return DevicePlan.from_bytes(self._session.blob(address.blob))
        raise InputError(f"the offer has no plan of version {VERSION}")

    def _state(self, offer: Offer, plan: DevicePlan) -> FederationState:
        limit = 2 * _FLOAT * (plan.count + plan.statistics) + _MODEL_OVERHEAD
        # Before it is fetched: a device's memory is small.
        if offer.model.size > limit:
            raise InputError(
                f"expected a model of {limit:,} bytes at most, got {offer.model.size:,}"
            )
        state = FederationState.from_bytes(self._session.blob(offer.model), limit)
        server = state.server
        if server.weights.shape != (plan.count,) or server.statistics.shape != (plan.statistics,):
            raise InputError(
                f"expected a model of {plan.count:,} weights and {plan.statistics:,} statistics, as"
                f" the plan says, got {server.weights.size:,} and {server.statistics.size:,}"
            )
        # Evaluations need nothing of what stages keep.
        if plan.purpose == "training" and len(state.memory) != len(plan.stages):
            raise InputError(
                f"expected what {len(plan.stages)} stages keep, got that of {len(state.memory)}"
            )
        return state

    def _train(
        self, offer: Offer, plan: DevicePlan, state: FederationState, device: ClientDevice
    ) -> RoundOutcome:
        task = plan.task(state.server)
        round_ = ClientRound(task, plan.chain, state.memory)
        number = fresh_number()
        seeds = secret_seeds(task, number)
        try:
            learned = self._learned(device.learn(task, number=number).learned)
            answer = round_.answer(learned, None, seeds)
        except InputError as error:
            if not plan.chain.promises:
                raise
            # Whether a device has data must not show.
            _LOG.info("nothing was learned: %s", error)
            answer = round_.nothing(seeds)
        content = answer.upload.content
        if isinstance(content, np.ndarray):
            assert plan.whole is not None, "nothing else makes whole numbers"
            return self._send_securely(offer, content, plan.whole.width)
        return self._session.send_plainly(offer, answer_bytes(_shown(answer, plan), number))

    def _learned(self, learned: Learned | None) -> Learned:
        if learned is None:
            raise InputError("the device was needed for something else before enough was learned")
        return learned

    def _send_securely(self, offer: Offer, numbers: NDArray[np.uint32], bits: int) -> RoundOutcome:
        if not offer.terms:
            raise InputError("expected secure aggregation: whole numbers do not travel plainly")
        demands = self._demands
        policy = ClientPolicy(
            context=offer.context,
            bits=bits,
            least_clients=demands.least_clients,
            least_threshold=demands.least_threshold,
            needs_consistency=demands.needs_consistency,
            graph=demands.few_peers,
            is_enrolled=demands.is_known or _anybody,
            is_new_round=self._folder.is_new_round,
        )
        client = SecureAggregationClient(self._folder.identity, numbers, policy)
        return self._session.send_securely(offer, client)


def _words(error: Exception) -> str:
    if isinstance(error, HandheldError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _makes_sums(plan: DevicePlan) -> bool:
    """Return whether all that a device sends by a plan is whole numbers, which travel masked."""
    return plan.purpose == "evaluation" or plan.whole is not None


def _require_plan_of(device: ClientDevice, plan: DevicePlan) -> None:
    """Refuse a plan for another model, before anything of that size is fetched or made."""
    count = len(device.vector)
    if plan.count != count:
        raise InputError(
            f"expected a plan for a model of {count:,} weights, got one for {plan.count:,}"
        )
    most_statistics = sum(buffer.numel() for buffer in device.module.buffers())
    if plan.statistics > most_statistics:
        raise InputError(
            f"expected a plan for {most_statistics:,} statistics or fewer, got one for"
            f" {plan.statistics:,}"
        )
    if plan.statistics and plan.chain.promises:
        raise InputError(
            f"the plan's {plan.statistics:,} statistics would travel beside what noise hides"
        )


def _shown(answer: ClientAnswer, plan: DevicePlan) -> ClientAnswer:
    """Return an answer without numbers that the server has no use for.

    Examples and their loss would tell beside an update what its noise hides.
    """
    if plan.chain.promises:
        return replace(answer, weight=1.0, loss=0.0)
    if plan.equal:
        return replace(answer, weight=1.0)
    return answer


def _anybody(_identity: bytes) -> bool:
    return True


def _unmet(device: ClientDevice) -> tuple[str, ...]:
    if device.gate is None:
        return ()
    return device.gate.unmet()
