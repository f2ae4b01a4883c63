"""Networks that learn with a graph: answers of nodes that are joined are drawn together."""

from handheld.propagation.training.neural_graph import Edges, Kinds, Step, cross_entropy, squared

__all__ = ["Edges", "Kinds", "Step", "cross_entropy", "squared"]
