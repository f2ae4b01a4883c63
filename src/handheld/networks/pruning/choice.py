"""Which units stay, so that a network costs no more than it may."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import fx

from handheld.errors import InputError
from handheld.networks.pruning.cost import CostKind, NetworkCost, cost_of
from handheld.networks.pruning.importance import Scores
from handheld.networks.structure import Channels, Group, needed
from handheld.networks.structure.variables import Ids
from handheld.ranges import in_range, whole_in_range

ROUNDING = 1e-9
"""Relative; goals are products of floats."""

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class CostGoal:
    """What a network may cost, and what of it stays in any case.

    Attributes:
        keep: share in (0, 1] of the cost that may stay.
        of: what costs, see :func:`handheld.networks.pruning.cost.cost_of`.
        minimum_units: how many units of its group must stay, by layer.
        round_to: each group keeps a multiple of so many units, or all.
    """

    keep: float
    of: CostKind
    minimum_units: Mapping[str, int]
    round_to: int

    def __post_init__(self) -> None:
        in_range("keep", self.keep, low=0, high=1, low_open=True)
        whole_in_range("round_to", self.round_to, low=1)


def choose_units(  # noqa: PLR0913  # options by keyword, each by itself
    network: fx.GraphModule,
    channels: Channels,
    importance: Scores,
    *,
    keep: float,
    of: CostKind = "macs",
    minimum: float = 0.1,
    round_to: int = 1,
) -> Ids:
    """Choose the units that stay: those that are most important for what they cost.

    Units go in one order over the whole network, least importance per cost first, until the cost is
    low enough. A smaller ``keep`` gives a subset.

    Args:
        network: with shapes.
        channels: of it.
        importance: (units,) non-negative, as from
            :func:`handheld.networks.pruning.importance.scores`.
        keep: share in (0, 1] of the cost that may stay.
        of: what costs, see :func:`handheld.networks.pruning.cost.cost_of`.
        minimum: share in [0, 1] of each group's units that stays in any case; one of each layer
            always does.
        round_to: each group keeps a multiple of so many units, or all: runtimes compute channels in
            fours or eights.

    Returns:
        Ids, ascending, for :func:`handheld.networks.structure.slim`. If the goal cannot be met, the
        fewest possible.

    Raises:
        InputError: an argument outside its range.
    """
    in_range("minimum", minimum, low=0, high=1)
    goal = CostGoal(keep, of, least_units(channels, minimum), round_to)
    return choose(network, channels, importance, goal)


def least_units(channels: Channels, minimum: float) -> dict[str, int]:
    """How many units of its group must stay, by layer."""
    minimum_units: dict[str, int] = {}
    for group in channels.free:
        count = int(np.ceil(minimum * len(group.units)))
        minimum_units.update(dict.fromkeys(group.layers, count))
    return minimum_units


def choose(network: fx.GraphModule, channels: Channels, importance: Scores, goal: CostGoal) -> Ids:
    """Choose units as :func:`choose_units` does."""
    _check(channels, importance)
    cost = cost_of(network, channels, goal.of)
    free = _united(group.units for group in channels.free)
    falls = np.maximum(cost.of_each(), np.finfo(float).tiny)
    worth = (importance / falls)[free]
    # Of equal worth the first go first, so that the order never depends on the machine.
    order = free[np.lexsort((free, worth))]
    protected = _protected(channels, order, goal.minimum_units)
    may_go = order[~np.isin(order, protected)]
    leaving = _leaving(channels.free, cost, may_go, goal)
    return np.setdiff1d(free, leaving)


def _united(ids: Iterable[Ids]) -> Ids:
    # numpy joins nothing to nothing only with an array to begin with.
    return np.concatenate([_NONE, *ids])


def _check(channels: Channels, importance: Scores) -> None:
    if importance.shape != (channels.count,) or not (importance >= 0).all():
        raise InputError(
            f"expected {channels.count} importances of 0 or more, one for each unit, "
            f"got shape {importance.shape}"
        )


def _leaving(groups: tuple[Group, ...], cost: NetworkCost, order: Ids, goal: CostGoal) -> Ids:
    """Return as few units, from the first of an order on, as bring the cost down to the goal."""
    allowed = goal.keep * cost.total * (1 + ROUNDING)

    def first(count: int) -> Ids:
        return _rounded(groups, order[:count], goal.round_to)

    def is_enough(count: int) -> bool:
        return cost.of(first(count)) <= allowed

    # By halves: the more go, the less it costs, and a cost is a walk over all layers.
    count = bisect_left(range(len(order)), True, key=is_enough)
    return first(count)


def _protected(channels: Channels, order: Ids, minimum_units: Mapping[str, int]) -> Ids:
    """The best units of each group, and the best of all that each layer makes or reads."""
    best_first = order[::-1]
    kept: list[Ids] = []
    for group in channels.free:
        # Of a layer that the caller does not know, none has to stay for its group's sake.
        count = minimum_units.get(group.layers[0], 0)
        ranked = best_first[np.isin(best_first, group.units)]
        kept.append(ranked[:count])
    free = set(order.tolist())
    for _, units in needed(channels):
        # Where a unit stays in any case, the layer has one.
        if free.issuperset(units.tolist()):
            ranked = best_first[np.isin(best_first, units)]
            kept.append(ranked[:1])
    return _united(kept)


def _rounded(groups: tuple[Group, ...], gone: Ids, round_to: int) -> Ids:
    """Give each group back as many of its best units as make the number that stays a multiple."""
    leaving: list[Ids] = []
    for group in groups:
        size = len(group.units)
        of_group = gone[np.isin(gone, group.units)]
        stay = size - len(of_group)
        rounded = -(-stay // round_to) * round_to
        # A group of no multiple's size keeps all of its units.
        count = max(0, size - rounded)
        leaving.append(of_group[:count])
    return _united(leaving)
