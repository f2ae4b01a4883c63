"""Parts of a graph that tell each other what changed, without a cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.propagation import WeightedGraph
from handheld.propagation.parts import (
    GraphPart,
    LabelMasses,
    PartWorker,
    SweepChange,
    SweepCoefficients,
    SweepRule,
    ranges,
    shards,
)
from handheld.propagation.system import LinearSystem

RULE = SweepRule(synchronous=True, threads=1)
PATH = WeightedGraph.of_edges([0, 1, 2], [1, 2, 3])


def made(
    seed: int, nodes: int, edges: int, kept: int
) -> tuple[WeightedGraph, SweepCoefficients, LabelMasses]:
    """Return a graph, what sweeps need of it, and masses: ``kept`` of 5 labels, or all 5 for 0."""
    rng = np.random.default_rng(seed)
    graph = WeightedGraph.of_edges(
        *rng.integers(0, nodes, (2, edges)), rng.random(edges) + 0.01, nodes=nodes
    )
    seeds = rng.random(nodes) < 0.3
    system = LinearSystem.of(graph, seeds, 1.0, 0.1)
    coefficients = SweepCoefficients(system.free, system.scale, system.gap)
    names = np.full((nodes, kept), -1, np.int32)
    values = np.zeros((nodes, kept or 5))
    labels = rng.integers(0, 5, nodes)
    if kept:
        names[seeds, 0] = labels[seeds]
        values[seeds, 0] = 1
    else:
        values[seeds, labels[seeds]] = 1
    return system.core, coefficients, LabelMasses(names, values, 5)


def together(
    graph: WeightedGraph,
    coefficients: SweepCoefficients,
    start: LabelMasses,
    count: int,
    steps: list[tuple[float, bool]],
) -> tuple[list[SweepChange], LabelMasses]:
    """Sweep with several workers in this process."""
    workers = [PartWorker(*shard.take(coefficients, start), RULE) for shard in shards(graph, count)]
    heard, changes = [()] * count, []
    for step in steps:
        answers = [worker.sweep(*step, *told) for worker, told in zip(workers, heard, strict=True)]
        change, *heard = zip(*answers, strict=True)
        changes.append(SweepChange.together(change))
    names, values = zip(*(worker.masses() for worker in workers), strict=True)
    return changes, LabelMasses(np.concatenate(names), np.concatenate(values), start.classes)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    nodes=st.integers(2, 60),
    edges=st.integers(0, 200),
    count=st.integers(1, 9),
    kept=st.integers(0, 5),
)
def test_any_number_of_workers_gives_the_same_bits(
    seed: int, nodes: int, edges: int, count: int, kept: int
):
    graph, coefficients, start = made(seed, nodes, edges, kept)
    choosing = [(1.0, True)] * 3 if kept else []
    steps = [*choosing, (1.0, False), (1.3, False), (1.5, False), (1.4, False)]
    alone = GraphPart(graph, coefficients, start, RULE)
    changes = [alone.sweep(omega, choose=choose) for omega, choose in steps]
    others, masses = together(graph, coefficients, start, min(count, nodes), steps)
    assert changes == others
    assert alone.masses().names.tobytes() == masses.names.tobytes()
    assert alone.masses().values.tobytes() == masses.values.tobytes()


def test_a_path_in_two_parts_by_hand():
    assert ranges(PATH, 2) == [(0, 2), (2, 4)]
    first, second = shards(PATH, 2)
    assert (first.first, first.last, second.first, second.last) == (0, 2, 2, 4)
    assert (first.reads.tolist(), second.reads.tolist()) == ([2], [1])
    assert [nodes.tolist() for nodes in first.tells] == [[], [1]]
    assert [nodes.tolist() for nodes in second.tells] == [[0], []]
    assert (first.hears, second.hears) == ((0, 0, 1), (0, 1, 1))
    assert first.rows.neighbours.tolist() == [
        1,
        0,
        2,
    ]  # of 0: 1; of 1: 0 and, numbered behind its own two, node 2
    assert second.rows.neighbours.tolist() == [2, 1, 0]


def by_hand() -> tuple[SweepCoefficients, LabelMasses]:
    """Return a path whose first node is a seed of one label; a free node has the mean over 2.1."""
    free = np.array([False, True, True, True])
    coefficients = SweepCoefficients(free, np.full(4, 1 / 2.1), np.full(4, 0.5))
    return coefficients, LabelMasses(
        np.empty((4, 0), np.int32), np.array([[1.0], [0.0], [0.0], [0.0]]), 3
    )


def test_only_what_the_other_part_reads_is_told():
    coefficients, start = by_hand()
    change, to_itself, to_other = PartWorker(
        *shards(PATH, 2)[0].take(coefficients, start), RULE
    ).sweep(1.0, False)
    assert to_itself[1].shape == (0, 1)
    assert to_other[1].tolist() == [[pytest.approx(1 / 2.1)]]
    assert change == SweepChange(pytest.approx(2 / 2.1), pytest.approx(1 / 2.1), 0)


def test_sweeps_by_hand():
    coefficients, start = by_hand()
    part = GraphPart(PATH, coefficients, start, RULE)
    part.sweep(1.0, choose=False)
    assert part.now.values[:, 0].tolist() == pytest.approx([1, 1 / 2.1, 0, 0])
    assert part.masses().values[:, 0].tolist() == [1, 0, 0, 0]  # those that the change is of
    part.sweep(1.5, choose=False)  # from the masses before the last ones, half as far again
    assert part.now.values[:, 0].tolist() == pytest.approx([1, 1.5 / 2.1, 1.5 / 2.1**2, 0])


def test_a_label_that_is_not_stored_is_shared_by_all_that_are_not():
    """Node 1 has neighbours of labels 0, 1, 2, by weights 5, 3, 2, and stores two of
    four labels.
    """
    graph = WeightedGraph.of_edges([0, 2, 3], [1, 1, 1], [5.0, 3.0, 2.0])
    coefficients = SweepCoefficients(
        np.array([False, True, False, False]), np.full(4, 0.1), np.full(4, 1.0)
    )
    names = np.array([[0, -1], [-1, -1], [1, -1], [2, -1]], np.int32)
    start = LabelMasses(names, np.array([[1.0, 0], [0, 0], [1, 0], [1, 0]]), 4)
    part = GraphPart(graph, coefficients, start, RULE)
    assert part.sweep(1.0, choose=True).moved == 1
    assert part.now.names[1].tolist() == [0, 1]
    # 0.2 of label 2 goes to labels 2 and 3, 0.1 each: as a part of all, the others have that less
    assert part.now.values[1].tolist() == pytest.approx([0.5 - 0.1, 0.3 - 0.1])
    assert part.sweep(1.0, choose=True).moved == 0


def test_hubs_and_nodes_without_edges_are_cut_too():
    star = WeightedGraph.of_edges([0] * 20, range(1, 21), nodes=25)
    for count in range(1, 8):
        cut = ranges(star, count)
        assert len(cut) == count
        assert [node for nodes in cut for node in range(*nodes)] == list(range(25))
