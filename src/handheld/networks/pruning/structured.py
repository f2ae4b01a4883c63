"""Channels that are removed: the network becomes smaller and faster by itself, in every runtime."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import fx, nn

from handheld.networks.pruning.choice import ROUNDING, CostGoal, choose, least_units
from handheld.networks.pruning.cost import CostKind, cost_of
from handheld.networks.pruning.importance import Batches, Loss, Method, Scores, scores
from handheld.networks.pruning.schedule import cubic
from handheld.networks.structure import Channels, Slim, channels_of, slim, trace
from handheld.networks.structure.slim import AxisIndices
from handheld.ranges import in_range, whole_in_range
from handheld.training import device_of


@dataclass(frozen=True, eq=False)
class Pruned(Slim):
    """A pruned network.

    Attributes:
        share: of the cost of the network that it was cut from.
        met: whether that is at most what was asked for.
        reason: why not, or an empty text.
    """

    share: float
    met: bool
    reason: str


def prune(  # noqa: PLR0913  # options by keyword, each by itself
    network: nn.Module,
    example: torch.Tensor,
    *,
    keep: float,
    of: CostKind = "macs",
    method: Method = "l2",
    batches: Batches | None = None,
    loss: Loss | None = None,
    steps: int = 1,
    fine_tune: Callable[[fx.GraphModule], None] | None = None,
    minimum: float | None = None,
    round_to: int = 1,
) -> Pruned:
    """Cut a network to a share of its cost, in rounds of scoring, cutting and training.

    A goal that cannot be met is no error: the smallest network that was reached is returned and
    says so.

    Args:
        network: not changed; the result is on its device.
        example: (batch, ...) an input.
        keep: of the network as given; see :func:`handheld.networks.pruning.choice.choose_units`, as
            for ``of``, ``minimum`` and ``round_to``.
        of: see there.
        method: see :func:`handheld.networks.pruning.importance.scores`, as are ``batches`` and
            ``loss``.
        batches: an iterable that can be walked once a round.
        loss: see there.
        steps: rounds; what is removed after each follows
            :func:`handheld.networks.pruning.schedule.cubic`.
        fine_tune: trains the network that it is given, in place; called after each round but the
            last, since the result is the caller's to train.
        minimum: see there; by default half of the share of channels that an even cut of all layers
            would keep, since training mends a network whose layers are in proportion.
        round_to: see there.

    Raises:
        CompileError: the network cannot be traced.
        InputError: an argument outside its range, or weights that are not finite.
    """
    _check_rounds(keep, minimum, steps)
    if minimum is None:
        # A cut of all layers to a share s of their channels leaves about s squared of the cost.
        minimum = keep**0.5 / 2
    device = device_of(network)
    before = trace(network, example).to(device)
    now = _Cut.of(Slim(before, {}), of)
    start = now.cost
    # Of the network as it was given, not less in each round.
    minimum_units = least_units(now.channels, minimum)
    for step in range(1, steps + 1):
        importance = scores(now.network, now.channels, method, batches=batches, loss=loss)
        remaining = 1 - cubic(1 - keep, step, steps)
        # Of what this round begins with: a round before may have cut more than it had to.
        share = min(1.0, remaining * start / now.cost)
        now = now.to(importance, CostGoal(share, of, minimum_units, round_to))
        if fine_tune is not None and step < steps:
            fine_tune(now.network)
            # Training may have moved it; the batches of the next scores are where it was.
            now.network.to(device)
    share = now.cost / start
    # Twice: the goal and the cost are both products of floats.
    met = share <= keep * (1 + 2 * ROUNDING)
    reason = "" if met else _why(now.channels, of, share, minimum)
    return Pruned(now.network, now.slim.taken, share, met, reason)


@dataclass(frozen=True, eq=False)
class _Cut:
    """A network between two rounds.

    Attributes:
        slim: the network, and what all rounds so far took.
        channels: of it.
        cost: of it.
    """

    slim: Slim
    channels: Channels
    cost: float

    @classmethod
    def of(cls, cut: Slim, cost_kind: CostKind) -> Self:
        """Look at a network that was cut."""
        channels = channels_of(cut.network)
        # A network of no layers would cost nothing, and shares divide by it.
        cost = max(1.0, cost_of(cut.network, channels, cost_kind).total)
        return cls(cut, channels, cost)

    @property
    def network(self) -> fx.GraphModule:
        """The network as it is now."""
        return self.slim.network

    def to(self, importance: Scores, goal: CostGoal) -> "_Cut":
        """Return the network cut once more, to a goal."""
        units = choose(self.network, self.channels, importance, goal)
        smaller = slim(self.network, self.channels, units)
        return _Cut.of(_after(self.slim, smaller), goal.of)


def _check_rounds(keep: float, minimum: float | None, steps: int) -> None:
    in_range("keep", keep, low=0, high=1, low_open=True)
    if minimum is not None:
        in_range("minimum", minimum, low=0, high=1)
    whole_in_range("steps", steps, low=1)


def _after(first: Slim, second: Slim) -> Slim:
    """What two cuts took, as one."""
    taken: dict[str, AxisIndices] = dict(first.taken)
    for name, later in second.taken.items():
        earlier = taken.get(name, (None,) * len(later))
        taken[name] = tuple(map(_composed, earlier, later))
    return Slim(second.network, taken)


def _composed(earlier: torch.Tensor | None, later: torch.Tensor | None) -> torch.Tensor | None:
    """Return what of an axis stays after two cuts, in indices of the first's tensor."""
    if earlier is None:
        return later
    if later is None:
        return earlier
    return earlier[later]


def _why(channels: Channels, of: str, share: float, minimum: float) -> str:
    pinned = "; ".join(_pinned(channels))
    if not channels.free:
        return f"no layer can lose channels. {pinned}"
    return (
        f"{share:.1%} of the {of} is the least that can be reached with at least {minimum:.0%} of "
        f"each free group's channels and one of each layer. {pinned}"
    )


def _pinned(channels: Channels) -> Iterator[str]:
    for group in channels.groups:
        if group.pinned:
            yield f"layer {group.layers[0]!r} keeps its channels: {group.pinned}"
