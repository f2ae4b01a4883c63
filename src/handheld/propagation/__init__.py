"""Learning from a graph with few labels: Expander's label propagation, on one machine or many.

``WeightedGraph`` joins nodes by weighted edges of several relations, ``SeedLabels`` are nodes whose
labels are given, ``propagate`` spreads them into ``PropagatedLabels``: the likeliest few of each
node, and how far they are from the solution; ``read_seeds`` and ``write_labels`` are for files.
``near`` and ``graph_of`` find and join what is alike among bit codes; ``ProjectionGraph`` is a
table from signatures of texts to labels that learns on the device. ``training`` holds the loss of
networks that learn with a graph (extra ``train``).
"""

from handheld.propagation.files import read_seeds, write_labels
from handheld.propagation.graph import WeightedGraph
from handheld.propagation.labels import (
    ConvergenceWarning,
    Labels,
    PropagatedLabels,
    SeedLabels,
)
from handheld.propagation.neighbours import graph_of, near
from handheld.propagation.projection_graph import ProjectionGraph
from handheld.propagation.solver import propagate

__all__ = [
    "ConvergenceWarning",
    "Labels",
    "ProjectionGraph",
    "PropagatedLabels",
    "SeedLabels",
    "WeightedGraph",
    "graph_of",
    "near",
    "propagate",
    "read_seeds",
    "write_labels",
]
