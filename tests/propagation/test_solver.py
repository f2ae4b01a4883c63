"""Labels are those of the direct solution, on graphs of all shapes, and it is said how near."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation import ConvergenceWarning, Labels, SeedLabels, WeightedGraph, propagate

Solution = Callable[..., NDArray[np.float64]]
Joined = Callable[[WeightedGraph, SeedLabels], NDArray[np.bool_]]

CHAIN = WeightedGraph.of_edges([0, 1, 2, 3], [1, 2, 3, 4])


def chain(nodes: int, isolated: int = 0) -> WeightedGraph:
    return WeightedGraph.of_edges(range(nodes - 1), range(1, nodes), nodes=nodes + isolated)


def grid(side: int) -> WeightedGraph:
    nodes = np.arange(side * side).reshape(side, side)
    one = np.concatenate([nodes[:, :-1].ravel(), nodes[:-1].ravel()])
    other = np.concatenate([nodes[:, 1:].ravel(), nodes[1:].ravel()])
    return WeightedGraph.of_edges(one, other)


def some_graph(
    seed: int, nodes: int = 30, edges: int = 60, *, directed: bool = False
) -> WeightedGraph:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, nodes, (2, edges))
    return WeightedGraph.of_edges(*ends, rng.random(edges) + 1e-3, nodes=nodes, directed=directed)


def some_seeds(seed: int, nodes: int, count: int, classes: int) -> SeedLabels:
    rng = np.random.default_rng(seed)
    return SeedLabels.of(rng.choice(nodes, count, replace=False), rng.integers(0, classes, count))


def test_labels_that_are_large_numbers_cost_no_memory_until_all_are_asked_for():
    labels = propagate(chain(4), SeedLabels.of([0, 3], [1, 2_000_000_000]), max_labels=10**9)
    assert labels.names.tolist() == [
        [1, -1],
        [1, 2_000_000_000],
        [2_000_000_000, 1],
        [2_000_000_000, -1],
    ]
    with pytest.raises(
        InputError,
        match="dense shares of 4 x 2,000,000,001 numbers would take 30 GiB: read names and shares",
    ):
        labels.dense()
    assert propagate(chain(4), SeedLabels.of([0, 3], [1, 0])).dense().dtype == np.float32


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    nodes=st.integers(2, 60),
    edges=st.integers(0, 200),
    classes=st.integers(1, 14),
    weight=st.sampled_from([0.01, 1.0, 300.0]),
    mu_and_prior=st.sampled_from([(1.0, 0.01), (0.5, 1.0), (2.0, 0.003)]),
    directed=st.booleans(),
    synchronous=st.booleans(),
)
def test_labels_are_the_direct_solution(
    solution: Solution,
    joined: Joined,
    seed: int,
    nodes: int,
    edges: int,
    classes: int,
    weight: float,
    mu_and_prior: tuple[float, float],
    directed: bool,
    synchronous: bool,
):
    mu, prior = mu_and_prior
    near = some_graph(seed, nodes, edges, directed=directed)
    far = some_graph(seed + 1, nodes, edges // 3, directed=directed)
    graph = WeightedGraph.joined({"near": (near, 1.0), "far": (far, weight)})
    seeds = some_seeds(seed, nodes, max(1, nodes // 6), classes)
    labels = propagate(
        graph,
        seeds,
        classes=classes,
        max_labels=14,
        mu=mu,
        prior=prior,
        synchronous=synchronous,
        max_iter=1_000_000,
    )
    expected = solution(graph, seeds, classes, mu=mu, prior=prior)
    assert np.allclose(labels.dense(), expected, atol=1e-6, rtol=0)
    assert labels.converged
    reached = joined(graph, seeds)
    assert np.array_equal(labels.best >= 0, reached)
    assert (labels.reached, labels.unreached) == (reached.sum(), nodes - reached.sum())
    # the likeliest label is the solution's, wherever that has one by more than rounding
    first, second = np.sort(np.pad(expected, ((0, 0), (1, 0))), axis=1)[:, :-3:-1].T
    clear = reached & (first - second > 1e-6)
    assert np.array_equal(labels.best[clear], expected.argmax(axis=1)[clear])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), directed=st.booleans())
def test_the_residual_bounds_the_error(solution: Solution, seed: int, directed: bool):
    graph = some_graph(seed, 60, 150, directed=directed)
    seeds = some_seeds(seed, 60, 5, 4)
    expected = solution(graph, seeds, 4)
    for sweeps in (2, 5, 17, 60):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = propagate(graph, seeds, classes=4, max_iter=sweeps)
        # float32 shares are rounded by 6e-8
        assert abs(labels.dense() - expected).max() <= labels.residual + 1e-7


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_node_that_is_read_but_not_reached_changes_nothing(synchronous: bool):
    """Node 2 tells node 1, and nobody tells it: 1 learns from the seed 0 alone, (1 +
    0.005) / 1.01.
    """
    seeds = SeedLabels.of([0], [0])
    alone = WeightedGraph.of_edges([0], [1], [1.0], directed=True, nodes=3)
    beside = WeightedGraph.of_edges([0, 2], [1, 1], [1.0, 3.0], directed=True, nodes=3)
    for graph in (alone, beside):
        labels = propagate(graph, seeds, classes=2, synchronous=synchronous)
        assert labels.dense()[1] == pytest.approx([1.005 / 1.01, 0.005 / 1.01], abs=1e-6)
        assert labels.best.tolist() == [0, 0, -1]


def test_where_each_node_stores_a_few_labels_too():
    """Waves, which name labels first, do not count what no seed reaches either."""
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 200, (2, 800))
    seeds = SeedLabels.of(rng.choice(200, 100, replace=False), rng.integers(0, 90, 100))
    usual = propagate(WeightedGraph.of_edges(*ends, directed=True, nodes=300), seeds, max_labels=4)
    sources = np.concatenate([ends[0], rng.integers(200, 300, 400)])
    targets = np.concatenate([ends[1], rng.integers(0, 200, 400)])
    beside = propagate(
        WeightedGraph.of_edges(sources, targets, directed=True, nodes=300), seeds, max_labels=4
    )
    assert np.array_equal(beside.names, usual.names)
    assert beside.shares == pytest.approx(usual.shares, abs=1e-6)


@pytest.mark.parametrize("isolated", [0, 989, 19_989])
def test_nodes_that_nothing_joins_change_nothing(isolated: int):
    seeds = SeedLabels.of([0], [0])
    labels = propagate(chain(11, isolated), seeds, classes=2)
    alone = propagate(chain(11), seeds, classes=2)
    assert labels.best[:11].tolist() == [0] * 11
    assert (labels.best[11:] == -1).all()
    assert np.array_equal(labels.shares[:11], alone.shares)
    assert (labels.reached, labels.unreached, labels.n_iter) == (11, isolated, alone.n_iter)


def test_another_component_changes_no_share_by_more_than_the_tolerance():
    two = WeightedGraph.of_edges(
        [*range(10), 20, 21], [*range(1, 11), 21, 22], [*[1.0] * 10, 50.0, 50.0]
    )
    alone = propagate(chain(11), SeedLabels.of([0], [0]), classes=2)
    beside = propagate(two, SeedLabels.of([0, 20], [0, 1]), classes=2)
    assert np.allclose(alone.dense(), beside.dense()[:11], atol=1e-6, rtol=0)


@pytest.mark.parametrize("nodes", [100, 1000, 10_000])
def test_a_chain_is_labelled_to_its_middle_from_both_ends(solution: Solution, nodes: int):
    """At 10,000 nodes what arrives in the middle is 1e-217: no share tells the labels apart."""
    seeds = SeedLabels.of([0, nodes - 1], [0, 1])
    labels = propagate(chain(nodes), seeds)
    assert labels.best.tolist() == [0] * (nodes // 2) + [1] * (nodes // 2)
    assert np.allclose(labels.dense(), solution(chain(nodes), seeds, 2), atol=1e-6)
    assert labels.converged


def test_a_chain_is_labelled_from_one_end():
    labels = propagate(chain(3000), SeedLabels.of([0], [1]), classes=3)
    assert set(labels.best.tolist()) == {1}


@pytest.mark.parametrize("side", [60, 150])
def test_a_grid_with_two_seeds_is_labelled_whole(solution: Solution, side: int):
    seeds = SeedLabels.of([0, side * side - 1], [0, 1])
    labels = propagate(grid(side), seeds)
    row, column = np.indices((side, side))
    nearer = np.where(row + column < side - 1, 0, 1)
    off_the_diagonal = row + column != side - 1
    assert np.array_equal(
        labels.best.reshape(side, side)[off_the_diagonal], nearer[off_the_diagonal]
    )
    assert np.allclose(labels.dense(), solution(grid(side), seeds, 2), atol=1e-6)


def test_a_directed_ring_is_labelled_whole(solution: Solution):
    """Its eigenvalues lie on a circle, where Chebyshev's steps diverge: they must become plain."""
    ring = WeightedGraph.of_edges([*range(60), 5, 17], [*range(1, 60), 0, 3, 2], directed=True)
    seeds = SeedLabels.of([0], [1])
    labels = propagate(ring, seeds, classes=2)
    assert labels.converged
    assert np.allclose(labels.dense(), solution(ring, seeds, 2), atol=1e-6)
    no_seed_inside = WeightedGraph.of_edges(
        [0, *range(1, 40), 40], [1, *range(2, 41), 1], directed=True
    )
    labels = propagate(no_seed_inside, seeds, classes=2)
    assert np.allclose(labels.dense(), solution(no_seed_inside, seeds, 2), atol=1e-6)


def test_seeds_keep_their_labels_exactly():
    seeds = SeedLabels.of([0, 0, 4], [1, 2, 0], [3.0, 1.0, 5.0])
    labels = propagate(CHAIN, seeds, classes=5, prior=10.0)
    assert labels.dense()[0].tolist() == [0, 0.75, 0.25, 0, 0]
    assert labels.dense()[4].tolist() == [1, 0, 0, 0, 0]
    assert labels.best.tolist() == [1, 1, labels.best[2], 0, 0]


def test_trees_are_solved_without_a_sweep(solution: Solution):
    """A seed with a chain of three, and a star of which one leaf is a seed."""
    tree = WeightedGraph.of_edges(
        [0, 1, 2, 4, 4, 4, 4], [1, 2, 3, 5, 6, 7, 8], [1, 2, 0.5, 1, 3, 1, 9]
    )
    seeds = SeedLabels.of([0, 5], [1, 0])
    labels = propagate(tree, seeds, prior=0.3)
    assert np.allclose(labels.dense(), solution(tree, seeds, 2, prior=0.3), atol=1e-7)
    assert (labels.n_iter, labels.residual, labels.reached) == (0, 0.0, 9)


def test_a_node_between_two_seeds_by_hand():
    labels = propagate(
        WeightedGraph.of_edges([0, 1], [1, 2], [3.0, 1.0]), SeedLabels.of([0, 2], [0, 1]), prior=1.0
    )
    assert labels.dense()[1].tolist() == pytest.approx([(3 + 0.5) / 5, (1 + 0.5) / 5])


def test_where_all_nodes_are_seeds_there_is_nothing_to_sweep():
    labels = propagate(WeightedGraph.of_edges([0], [1], nodes=3), SeedLabels.of([0, 1], [1, 0]))
    assert labels.best.tolist() == [1, 0, -1]
    assert (labels.converged, labels.n_iter, labels.residual) == (True, 0, 0.0)


def test_fewer_labels_are_returned_than_are_solved_for(solution: Solution):
    graph, seeds = some_graph(1, 200, 1200), some_seeds(1, 200, 90, 50)
    few = propagate(graph, seeds, classes=50, max_labels=5)
    assert few.names.shape == few.shares.shape == (200, 5)
    assert np.allclose(few.dense().sum(axis=1), 1, atol=1e-4)
    assert (np.diff(few.shares, axis=1) <= 0).all()
    expected = solution(graph, seeds, 50)
    assert np.allclose(few.shares[few.names[:, 0] >= 0, 0], expected.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("synchronous", [True, False])
def test_of_very_many_labels_each_node_stores_a_few(solution: Solution, synchronous: bool):
    graph, seeds = some_graph(2, 600, 4000), some_seeds(2, 600, 250, 120)
    few = propagate(graph, seeds, classes=120, max_labels=10, synchronous=synchronous)
    assert few.converged
    assert np.allclose(few.dense().sum(axis=1), 1, atol=1e-4)
    expected = solution(graph, seeds, 120)
    assert (few.best == expected.argmax(axis=1)).mean() > 0.9
    assert abs(few.dense() - expected).max() < 0.05


def test_many_labels_reach_the_end_of_a_long_chain():
    graph = WeightedGraph.of_edges(range(1499), range(1, 1500))
    labels = propagate(graph, SeedLabels.of(range(100), range(100)), max_labels=2)
    assert (labels.best[100:] == 99).all()
    assert labels.converged


def test_what_nothing_reaches_has_no_label():
    graph = WeightedGraph.of_edges([0, 3], [1, 4], nodes=6)
    labels = propagate(graph, SeedLabels.of([0], [1]), classes=3)
    assert labels.best.tolist() == [1, 1, -1, -1, -1, -1]
    assert np.allclose(labels.dense()[5], 1 / 3)


def test_edges_that_lead_the_other_way_reach_nothing():
    graph = WeightedGraph.of_edges([0, 2], [1, 1], directed=True)
    assert propagate(graph, SeedLabels.of([1], [0])).best.tolist() == [-1, 0, -1]
    assert propagate(graph, SeedLabels.of([0], [0])).best.tolist() == [0, 0, -1]


def test_when_sweeps_run_out_it_is_said_and_all_are_labelled():
    with pytest.warns(ConvergenceWarning, match=r"still change after 5 sweeps.*raise max_iter"):
        labels = propagate(grid(40), SeedLabels.of([0], [1]), classes=2, max_iter=5)
    assert not labels.converged
    assert labels.n_iter == 5
    assert labels.residual > 1e-3
    assert set(labels.best.tolist()) == {1}


def test_a_tolerance_of_0_ends_at_the_last_bits():
    labels = propagate(grid(10), SeedLabels.of([0], [1]), classes=2, tolerance=0)
    assert labels.converged
    assert labels.residual < 1e-12


@pytest.mark.parametrize("weight", [1e-35, 1e-6, 1e4])
def test_weights_of_all_sizes(solution: Solution, weight: float):
    graph = WeightedGraph.of_edges([0, 1, 2, 3], [1, 2, 3, 4], [1.0, weight, weight, 3.0])
    seeds = SeedLabels.of([0, 4], [1, 0])
    labels = propagate(graph, seeds)
    assert (labels.best >= 0).all()
    assert np.allclose(labels.dense(), solution(graph, seeds, 2), atol=1e-6)


def test_weights_beyond_what_can_be_solved_are_said_to_be():
    graph = WeightedGraph.of_edges([0, 1, 2, 3], [1, 2, 3, 4], [1.0, 1e30, 1e30, 3.0])
    with pytest.warns(
        ConvergenceWarning, match="or the prior, against which weights are very large"
    ):
        labels = propagate(graph, SeedLabels.of([0, 4], [1, 0]))
    assert not labels.converged
    assert np.isfinite(labels.shares).all()
    assert labels.residual > 0.1


@pytest.mark.parametrize("threads", [2, 3, 7, 10**20])
@pytest.mark.parametrize("classes", [9, 80])
def test_any_number_of_threads_gives_the_same_labels(threads: int, classes: int):
    graph, seeds = some_graph(2, 300, 2000), some_seeds(2, 300, 120, classes)
    told: list[list[float]] = [[], []]
    one, several = (
        propagate(
            graph,
            seeds,
            max_labels=4,
            threads=count,
            report=lambda *numbers, to=to: to.extend(numbers),
        )
        for count, to in zip((1, threads), told, strict=True)
    )
    assert np.array_equal(one.names, several.names)
    assert np.array_equal(one.shares, several.shares)
    assert told[0] == told[1]


def test_asynchronous_sweeps_come_to_the_same():
    one, other = (
        propagate(chain(21), SeedLabels.of([0], [0]), classes=2, synchronous=synchronous).dense()
        for synchronous in (True, False)
    )
    assert np.allclose(one, other, atol=1e-6)


def test_a_strong_prior_holds_back_what_comes_from_far():
    near, far = (
        propagate(CHAIN, SeedLabels.of([0], [0]), classes=2, prior=prior).dense()[4, 0]
        for prior in (2.0, 0.01)
    )
    assert 0.5 < near < 0.55 < 0.9 < far


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_labels": 0}, "max_labels: expected a whole number of 1 or more, got 0"),
        ({"max_labels": 2.5}, r"max_labels: expected a .*number .*, got 2.5"),
        ({"mu": 0}, r"mu: expected a number in \(0, inf\), got 0"),
        ({"mu": float("inf")}, r"mu: expected a .*number .*, got inf"),
        ({"prior": 0}, r"prior: expected a .*number .*, got 0"),
        ({"prior": float("inf")}, r"prior: expected a number in \(0, inf\), got inf"),
        ({"prior": float("nan")}, r"prior: expected a .*number .*, got nan"),
        ({"prior": "much"}, r"prior: expected a .*number .*, got 'much'"),
        ({"max_iter": 0}, r"max_iter: expected a .*number .*, got 0"),
        ({"max_iter": 1.5}, r"max_iter: expected a .*number .*, got 1.5"),
        ({"max_iter": True}, r"max_iter: expected a .*number .*, got True"),
        ({"classes": 2.5}, r"classes: expected a .*number .*, got 2.5"),
        ({"tolerance": -1}, r"tolerance: expected a number in \[0, inf\), got -1"),
        ({"tolerance": float("nan")}, r"tolerance: expected a .*number .*, got nan"),
        ({"threads": 0}, r"threads: expected a .*number .*, got 0"),
        ({"threads": 2, "synchronous": False}, "one thread"),
        ({"workers": 0}, r"workers: expected a .*number .*, got 0"),
        ({"backend": "ray", "synchronous": False}, "one thread"),
        ({"backend": "spark"}, "no backend 'spark'"),
        ({"address": "10.0.0.1:6379"}, "needs the backend ray"),
    ],
)
def test_what_cannot_be_asked_for(wrong: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        propagate(CHAIN, SeedLabels.of([0], [0]), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "one seed or more"),
        (([0, 1], [0]), "as many shares"),
        (([-1], [0]), "seed 0 has the node -1; expected finite numbers of 0 to"),
        (([0, 1], [0, -2]), "seed 1 has the label -2"),
        (([0], [1 << 40]), "seed 0 has the label 1099511627776"),
        (([0], [0], [0.0]), "seed 0 has the share 0.0; expected finite numbers of 1e-30 to 1e"),
        (([0], [0], [float("inf")]), "seed 0 has the share inf"),
        (([0], [0], [1e39]), r"seed 0 has the share 1e\+39"),
        (([0.5], [0]), "whole numbers"),
        (([0], [0], ["much"]), "expected shares that are numbers, got <U4"),
        (([0], [0], [None]), "expected shares that are numbers, got object"),
        (([2, 1, 2], [0, 0, 0]), "node 2 has the label 0 twice"),
    ],
)
def test_what_no_seed_can_be(arguments: tuple[list[float], ...], message: str):
    with pytest.raises(InputError, match=message):
        SeedLabels.of(*arguments)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (SeedLabels.of([9], [0]), "a seed is node 9; there are 5 nodes"),
        (SeedLabels.of([0], [7]), "a seed has label 7; there are 3 labels"),
        (SeedLabels.of([0, 0, 0], [0, 1, 2]), "node 0 has 3 labels; 2 are kept"),
    ],
)
def test_seeds_that_do_not_fit(seeds: SeedLabels, message: str):
    with pytest.raises(InputError, match=message):
        propagate(CHAIN, seeds, classes=3, max_labels=2)


def test_dense_shares_by_hand():
    labels = Labels(
        np.array([[2, -1], [-1, -1]], np.int32), np.array([[0.4, 0], [0, 0]], np.float32), 4
    )
    assert labels.dense().tolist() == [
        pytest.approx([0.2, 0.2, 0.4, 0.2]),
        pytest.approx([0.25] * 4),
    ]
    assert labels.rest.tolist() == pytest.approx([0.6, 1.0])
