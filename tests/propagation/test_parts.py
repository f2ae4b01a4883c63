"""Parts of a graph that tell each other what changed, without a cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.propagation import Graph, Labels, Seeds
from handheld.propagation.parts import UNIT, Part, Rule, Worker, ranges, shards

RULE = Rule(smooth=1.0, prior=0.1, synchronous=True, threads=1)


def made(seed: int, nodes: int, edges: int, labels: int, kept: int) -> tuple[Graph, np.ndarray, Labels]:
    rng = np.random.default_rng(seed)
    graph = Graph.of_edges(*rng.integers(0, nodes, (2, edges)), rng.random(edges), nodes=nodes)
    given_to = rng.choice(nodes, max(1, nodes // 5), replace=False)
    start, fixed = Seeds.of(given_to, rng.integers(0, labels, len(given_to))).start(nodes, labels, kept)
    return graph, fixed, start


def together(graph: Graph, fixed: np.ndarray, start: Labels, count: int, sweeps: int) -> tuple[list[int], Labels]:
    """Sweep with several workers in this process."""
    workers = [Worker(*shard.take(fixed, start), RULE) for shard in shards(graph, count)]
    heard, changes = [()] * count, []
    for _ in range(sweeps):
        answers = [worker.sweep(*told) for worker, told in zip(workers, heard, strict=True)]
        change, *heard = zip(*answers, strict=True)
        changes.append(sum(change))
    names, shares = zip(*(worker.own() for worker in workers), strict=True)
    return changes, Labels(np.concatenate(names), np.concatenate(shares), start.classes)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), nodes=st.integers(2, 60), edges=st.integers(0, 200), count=st.integers(1, 9),
    kept=st.integers(1, 5),
)  # fmt: skip
def test_any_number_of_workers_gives_the_same_bits(seed: int, nodes: int, edges: int, count: int, kept: int):
    graph, fixed, start = made(seed, nodes, edges, 5, kept)
    alone = Part(graph, fixed, start, RULE)
    changes = [alone.sweep() for _ in range(4)]
    others, labels = together(graph, fixed, start, min(count, nodes), 4)
    assert changes == others
    assert alone.labels().names.tobytes() == labels.names.tobytes()
    assert alone.labels().shares.tobytes() == labels.shares.tobytes()


def test_a_path_in_two_parts_by_hand():
    graph = Graph.of_edges([0, 1, 2], [1, 2, 3])
    assert ranges(graph, 2) == [(0, 2), (2, 4)]
    first, second = shards(graph, 2)
    assert (first.first, first.last, second.first, second.last) == (0, 2, 2, 4)
    assert (first.reads.tolist(), second.reads.tolist()) == ([2], [1])
    assert [nodes.tolist() for nodes in first.tells] == [[], [1]]
    assert [nodes.tolist() for nodes in second.tells] == [[0], []]
    assert (first.hears, second.hears) == ((0, 0, 1), (0, 1, 1))
    assert first.rows.neighbours.tolist() == [1, 0, 2]  # of 0: 1; of 1: 0 and, numbered behind its own two, node 2
    assert second.rows.neighbours.tolist() == [2, 1, 0]


def test_only_what_the_other_part_reads_is_told():
    graph = Graph.of_edges([0, 1, 2], [1, 2, 3])
    start, fixed = Seeds.of([0], [1]).start(4, 3, 2)
    _, to_itself, to_other = Worker(*shards(graph, 2)[0].take(fixed, start), RULE).sweep()
    assert to_itself[0].shape == (0, 2)
    assert to_other[0].tolist() == [[1, -1]]
    assert to_other[1][0].tolist() == pytest.approx([(1 + 0.1 / 3 + 1 / 3) / 2.1, 0])


def test_the_change_of_a_sweep_by_hand():
    start, fixed = Seeds.of([0], [0]).start(2, 2, 2)
    part = Part(Graph.of_edges([0], [1]), fixed, start, RULE)
    assert part.sweep() / UNIT == pytest.approx((1 + 0.05) / 1.1)  # node 1 had nothing stored
    assert part.sweep() / UNIT < 1e-7  # what is stored is rounded to 24 bits


def test_hubs_and_nodes_without_edges_are_cut_too():
    star = Graph.of_edges([0] * 20, range(1, 21), nodes=25)
    for count in range(1, 8):
        cut = ranges(star, count)
        assert len(cut) == count
        assert [node for nodes in cut for node in range(*nodes)] == list(range(25))
