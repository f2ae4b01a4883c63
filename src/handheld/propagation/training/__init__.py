"""Networks that learn with a graph: answers of nodes that are joined are drawn together."""

from handheld.propagation.training.neural_graph import (
    EdgeSampler,
    EdgeWeights,
    GraphStep,
    cross_entropy,
    squared,
)

__all__ = ["EdgeSampler", "EdgeWeights", "GraphStep", "cross_entropy", "squared"]
