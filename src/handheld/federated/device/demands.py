"""What a device demands of a round before it learns, whatever the server says."""

from collections.abc import Callable
from dataclasses import dataclass

from handheld.errors import InputError
from handheld.federated.privacy import local
from handheld.federated.secagg.graph import GraphRisks
from handheld.federated.stages import LocalNoise
from handheld.federated.tasks.plan import DevicePlan
from handheld.ranges import in_range, whole_in_range


@dataclass(frozen=True, kw_only=True)
class ClientDemands:
    """What a device demands.

    Attributes:
        secure: that the server learns the sum of many updates, and of no device its own.
        least_clients: in such a sum, 3 or more.
        least_threshold: devices without which nothing is revealed, 2 or more.
        needs_consistency: that all are told the same, as must be where the server may be dishonest.
        few_peers: what is assumed of the others where each device agrees on masks with few of them:
            the device computes for itself how many are needed. None: all have to be peers. The
            server is trusted to follow the protocol then: ``needs_consistency`` is false.
        local_epsilon: what noise that the device adds itself must promise at most, for each round;
            None: no such noise is demanded.
        delta: chance that this promise fails.
        is_known: whether another device's identity is one that this one trusts to be a device;
            None: whoever the server lets in, which may be itself many times over.

    Raises:
        InputError: values outside of their ranges.
    """

    secure: bool = True
    least_clients: int = 3
    least_threshold: int = 2
    needs_consistency: bool = True
    few_peers: GraphRisks | None = None
    local_epsilon: float | None = None
    delta: float = 1e-6
    is_known: Callable[[bytes], bool] | None = None

    def __post_init__(self) -> None:
        whole_in_range("least_clients", self.least_clients, low=3)
        whole_in_range("least_threshold", self.least_threshold, low=2)
        if self.few_peers is not None and self.needs_consistency:
            raise InputError("few_peers: expected needs_consistency to be false with it")
        if self.local_epsilon is not None:
            in_range("local_epsilon", self.local_epsilon, low=0, low_open=True)
        in_range("delta", self.delta, low=0, high=1, low_open=True, high_open=True)

    def require(self, plan: DevicePlan, *, is_secure: bool) -> None:
        """Raise :class:`InputError` where a round is less than is demanded."""
        if self.secure and not is_secure:
            raise InputError("expected secure aggregation, and the server would see each update")
        plan.require_dense()
        if self.local_epsilon is not None:
            self._require_noise(plan, self.local_epsilon)

    def _require_noise(self, plan: DevicePlan, most_epsilon: float) -> None:
        if plan.purpose == "evaluation":
            raise InputError("expected noise of the device's own, which an evaluation adds none of")
        noises = [stage for stage in plan.stages if isinstance(stage, LocalNoise)]
        promised = [
            local(noise.multiplier, self.delta).epsilon for noise in noises if noise.multiplier > 0
        ]
        if not promised or min(promised) > most_epsilon:
            raise InputError(
                f"expected noise of the device's own that promises an epsilon of"
                f" {most_epsilon:g} at most, got {min(promised, default=float('inf')):.3g}"
            )
