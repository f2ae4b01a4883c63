"""Pruning: of whole channels, which makes a network smaller and faster, or of weights, which makes its file compress better."""

from handheld.compress.pruning.choice import choose_units
from handheld.compress.pruning.cost import Cost, CostKind, cost_of
from handheld.compress.pruning.importance import Method, scores
from handheld.compress.pruning.schedule import cubic
from handheld.compress.pruning.structured import Pruned, prune
from handheld.compress.pruning.unstructured import Masks, ends

__all__ = [
    "Cost",
    "CostKind",
    "Masks",
    "Method",
    "Pruned",
    "choose_units",
    "cost_of",
    "cubic",
    "ends",
    "prune",
    "scores",
]
