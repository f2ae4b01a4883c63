"""Which units stay, so that a network costs no more than it may."""

from collections.abc import Mapping

import numpy as np
from torch import fx

from handheld.errors import InputError
from handheld.networks.pruning.cost import CostKind, cost_of
from handheld.networks.pruning.importance import Scores
from handheld.networks.structure import Channels, Group, needed
from handheld.networks.structure.variables import Ids

ROUNDING = 1e-9
"""Relative; goals are products of floats."""

_NONE = np.empty(0, np.int64)


def choose_units(
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
    if not 0 <= minimum <= 1:
        raise InputError(f"expected a minimum in [0, 1], got {minimum}")
    return choose(network, channels, importance, keep, of, least_units(channels, minimum), round_to)


def least_units(channels: Channels, minimum: float) -> dict[str, int]:
    """How many units of its group must stay, by layer."""
    return {
        layer: int(np.ceil(minimum * len(group.units)))
        for group in channels.free
        for layer in group.layers
    }


def choose(
    network: fx.GraphModule,
    channels: Channels,
    importance: Scores,
    keep: float,
    of: CostKind,
    least: Mapping[str, int],
    round_to: int,
) -> Ids:
    """Choose units as :func:`choose_units` does, with the least number of its group's units that
    must stay, by layer.
    """
    _check(channels, importance, keep, round_to)
    cost = cost_of(network, channels, of)
    free = np.concatenate([_NONE, *(group.units for group in channels.free)])
    worth = importance / np.maximum(cost.of_each(), np.finfo(float).tiny)
    # Of equal worth the first go first, so that the order never depends on the machine.
    order = free[np.lexsort((free, worth[free]))]
    order = order[~np.isin(order, _protected(channels, order, least))]
    goal = keep * cost.total * (1 + ROUNDING)
    low = 0
    high = len(order)
    while low < high:
        middle = (low + high) // 2
        if cost.of(_rounded(channels.free, order[:middle], round_to)) <= goal:
            high = middle
        else:
            low = middle + 1
    return np.setdiff1d(free, _rounded(channels.free, order[:low], round_to))


def _check(channels: Channels, importance: Scores, keep: float, round_to: int) -> None:
    if importance.shape != (channels.count,) or not (importance >= 0).all():
        raise InputError(
            f"expected {channels.count} importances of 0 or more, one for each unit, "
            f"got shape {importance.shape}"
        )
    if not 0 < keep <= 1:
        raise InputError(f"expected keep in (0, 1], got {keep}")
    if round_to < 1:
        raise InputError(f"expected round_to of 1 or more, got {round_to}")


def _protected(channels: Channels, order: Ids, least: Mapping[str, int]) -> Ids:
    """The best units of each group, and the best of all that each layer makes or reads."""
    best_first = order[::-1]
    kept = [_NONE]
    for group in channels.free:
        ranked = best_first[np.isin(best_first, group.units)]
        kept.append(ranked[: least.get(group.layers[0], 0)])
    free = set(order.tolist())
    for _, units in needed(channels):
        # Where a unit stays in any case, the layer has one.
        if free.issuperset(units.tolist()):
            kept.append(best_first[np.isin(best_first, units)][:1])
    return np.concatenate(kept)


def _rounded(groups: tuple[Group, ...], gone: Ids, round_to: int) -> Ids:
    """Give each group back as many of its best units as make the number that stays a multiple."""
    leaving = [_NONE]
    for group in groups:
        of_group = gone[np.isin(gone, group.units)]
        stay = len(group.units) - len(of_group)
        rounded = -(-stay // round_to) * round_to
        leaving.append(of_group[: max(0, len(group.units) - rounded)])
    return np.concatenate(leaving)
