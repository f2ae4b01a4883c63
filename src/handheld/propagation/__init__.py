"""Learning from a graph with few labels: Expander's label propagation, on one machine or many.

``Graph`` joins nodes by weighted edges of several relations, ``Seeds`` are nodes whose labels are given, ``propagate`` spreads
them into ``Labels``: the likeliest few of each node.
"""

from handheld.propagation.graph import Graph
from handheld.propagation.labels import Labels, Seeds
from handheld.propagation.propagate import propagate

__all__ = ["Graph", "Labels", "Seeds", "propagate"]
