"""Pruning: of whole channels, which makes a network smaller and faster, or of weights, which makes
its file compress better.
"""

from handheld.networks.pruning.choice import choose_units
from handheld.networks.pruning.cost import CostKind, NetworkCost, cost_of
from handheld.networks.pruning.importance import Method, scores
from handheld.networks.pruning.schedule import cubic
from handheld.networks.pruning.structured import Pruned, prune
from handheld.networks.pruning.unstructured import Masks, ends

__all__ = [
    "CostKind",
    "Masks",
    "Method",
    "NetworkCost",
    "Pruned",
    "choose_units",
    "cost_of",
    "cubic",
    "ends",
    "prune",
    "scores",
]
