"""What is known of a graph before labels are propagated, by hand."""

import numpy as np
import pytest

from handheld.propagation import WeightedGraph
from handheld.propagation.system import LinearSystem


def seeds_at(nodes: int, *where: int) -> np.ndarray:
    seeds = np.zeros(nodes, bool)
    seeds[list(where)] = True
    return seeds


def test_waves_reach_what_a_path_joins_and_nothing_else():
    graph = WeightedGraph.of_edges([0, 1, 3], [1, 2, 4], nodes=6)
    system = LinearSystem.of(graph, seeds_at(6, 1), 1.0, 0.5)
    assert system.level.tolist() == [1, 0, 1, -1, -1, -1]
    assert system.order.tolist() == [1, 0, 2]
    assert system.reached.tolist() == [True, False, True, False, False, False]


def test_waves_go_from_source_to_target():
    graph = WeightedGraph.of_edges([0, 1], [1, 2], directed=True)
    assert LinearSystem.of(graph, seeds_at(3, 1), 1.0, 0.5).level.tolist() == [-1, 0, 1]


def test_pendants_are_eliminated_leaves_first():
    """Of a chain 0-1-2 with seed 0 and a prior of 1/2: u2 = u1 / 1.5, and 2.5 u1 = u0 + u2."""
    system = LinearSystem.of(WeightedGraph.of_edges([0, 1], [1, 2]), seeds_at(3, 0), 1.0, 0.5)
    assert system.pendants.order.tolist() == [2, 1]
    assert system.pendants.parents.tolist() == [-1, 0, 1]
    assert system.pendants.factors.tolist() == pytest.approx([1, 1 / (2.5 - 1 / 1.5), 1 / 1.5])
    assert not system.free.any()
    assert system.core.weights.tolist() == [0.0] * 4
    masses = np.array([[1.0], [0.0], [0.0]])
    system.pendants.follow(np.empty((3, 0), np.int32), masses)
    assert masses[:, 0].tolist() == pytest.approx([1, 6 / 11, 4 / 11])


def test_nodes_of_directed_graphs_are_not_eliminated():
    graph = WeightedGraph.of_edges([0, 1], [1, 2], directed=True)
    assert not len(LinearSystem.of(graph, seeds_at(3, 0), 1.0, 0.5).pendants.order)


def test_the_gap_of_a_ring_is_what_the_prior_has_of_its_weights():
    """Without a seed near, a walk stays with 2 / 2.5 each step; eight steps do not change that."""
    ring = WeightedGraph.of_edges(range(100), [*range(1, 100), 0])
    system = LinearSystem.of(ring, seeds_at(100, 0), 1.0, 0.5)
    assert system.gap[50] == pytest.approx(0.2)
    assert system.gap[1] > 0.2
    assert 0.79 < system.radius <= 0.8


def test_a_hub_does_not_make_the_bound_useless():
    """A hub of 1000 neighbours that are seeds' neighbours as well: by itself it has a
    gap of 1e-5.
    """
    middle = np.arange(2, 1002)
    graph = WeightedGraph.of_edges([*[0] * 1000, *[1] * 1000], [*middle, *middle])
    system = LinearSystem.of(graph, seeds_at(1002, 1), 1.0, 0.01)
    assert system.gap[0] > 0.1
