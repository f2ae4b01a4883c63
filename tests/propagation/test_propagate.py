import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation import Graph, Labels, Seeds, propagate

CHAIN = Graph.of_edges([0, 1, 2, 3], [1, 2, 3, 4])


def definition(graph: Graph, seeds: Seeds, classes: int, *, smooth: float, prior: float, sweeps: int) -> NDArray[np.float64]:
    """All labels of all nodes, as the paper's equation says."""
    start, fixed = seeds.start(graph.nodes, classes, classes)
    now = start.dense().astype(np.float64)
    for _ in range(sweeps):
        new = now.copy()
        for node in np.flatnonzero(~fixed):
            others = slice(graph.offsets[node], graph.offsets[node + 1])
            weights = graph.weights[others].astype(np.float64)
            sums = weights @ now[graph.neighbours[others]]
            new[node] = (smooth * sums + prior / classes) / (smooth * weights.sum() + prior)
        now = new
    return now


def some_graph(seed: int, nodes: int = 30, edges: int = 60) -> Graph:
    rng = np.random.default_rng(seed)
    return Graph.of_edges(*rng.integers(0, nodes, (2, edges)), rng.random(edges).astype(np.float32), nodes=nodes)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([(1.0, 0.01), (0.5, 1.0)]))
def test_with_all_labels_kept_it_is_the_papers_equation(seed: int, sweeps: int, weights: tuple[float, float]):
    graph, rng = some_graph(seed), np.random.default_rng(seed)
    seeds = Seeds.of(rng.choice(30, 6, replace=False), rng.integers(0, 4, 6))
    found = propagate(graph, seeds, classes=4, smooth=weights[0], prior=weights[1], sweeps=sweeps, tolerance=0)
    expected = definition(graph, seeds, 4, smooth=weights[0], prior=weights[1], sweeps=sweeps)
    assert np.allclose(found.dense(), expected, atol=1e-5)


def test_seeds_keep_their_labels_exactly():
    seeds = Seeds.of([0, 0, 4], [1, 2, 0], [3.0, 1.0, 5.0])
    found = propagate(CHAIN, seeds, classes=5, prior=10.0, sweeps=50)
    assert found.dense()[0].tolist() == [0, 0.75, 0.25, 0, 0]
    assert found.dense()[4].tolist() == [1, 0, 0, 0, 0]
    assert found.best.tolist() == [1, 1, found.best[2], 0, 0]


def test_shares_of_many_labels_stay_few_and_add_up_to_one():
    graph, rng = some_graph(1, 200, 1200), np.random.default_rng(1)
    seeds = Seeds.of(rng.choice(200, 90, replace=False), rng.integers(0, 50, 90))
    few = propagate(graph, seeds, classes=50, kept=5, sweeps=10)
    assert few.names.shape == few.shares.shape == (200, 5)
    assert np.allclose(few.dense().sum(axis=1), 1, atol=1e-4)
    assert (np.diff(few.shares, axis=1) <= 0).all()
    whole = propagate(graph, seeds, classes=50, kept=50, sweeps=10)
    assert (few.best == whole.best).mean() > 0.9


def test_what_nothing_reaches_has_no_label():
    graph = Graph.of_edges([0, 3], [1, 4], nodes=6)
    found = propagate(graph, Seeds.of([0], [1]), classes=3)
    assert found.best.tolist() == [1, 1, -1, -1, -1, -1]
    assert np.allclose(found.dense()[5], 1 / 3)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_any_number_of_threads_gives_the_same_labels(threads: int):
    graph, rng = some_graph(2, 300, 2000), np.random.default_rng(2)
    seeds = Seeds.of(rng.choice(300, 40, replace=False), rng.integers(0, 9, 40))
    told: list[list[float]] = [[], []]
    one, several = (
        propagate(graph, seeds, kept=4, threads=count, report=lambda *numbers, to=to: to.extend(numbers))
        for count, to in zip((1, threads), told, strict=True)
    )
    assert np.array_equal(one.names, several.names)
    assert np.array_equal(one.shares, several.shares)
    assert told[0] == told[1]


def test_asynchronous_sweeps_come_to_the_same_sooner():
    chain, sweeps, found = Graph.of_edges(range(20), range(1, 21)), {True: 0, False: 0}, []
    for synchronous in sweeps:
        labels = propagate(
            chain, Seeds.of([0], [0]), classes=2, synchronous=synchronous, sweeps=2000, tolerance=1e-7,
            report=lambda sweep, *_, kind=synchronous: sweeps.update({kind: sweep}),
        )  # fmt: skip
        found.append(labels.dense())
    assert np.allclose(*found, atol=1e-3)
    assert sweeps[False] < 0.75 * sweeps[True] < 0.75 * 2000


def test_a_strong_prior_holds_back_what_comes_from_far():
    near, far = (
        propagate(CHAIN, Seeds.of([0], [0]), classes=2, prior=prior, sweeps=100).dense()[4, 0] for prior in (2.0, 0.01)
    )
    assert 0.5 < near < 0.55 < 0.9 < far


@pytest.mark.parametrize(
    "wrong",
    [
        {"kept": 0},
        {"smooth": 0},
        {"prior": 0},
        {"sweeps": 0},
        {"tolerance": -1},
        {"threads": 0},
        {"threads": 2, "synchronous": False},
        {"workers": 0},
        {"engine": "ray", "synchronous": False},
        {"engine": "spark"},
        {"address": "10.0.0.1:6379"},
    ],
)
def test_what_cannot_be_asked_for(wrong: dict[str, object]):
    with pytest.raises(InputError):
        propagate(CHAIN, Seeds.of([0], [0]), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "one seed or more"),
        (([0, 1], [0]), "as many shares"),
        (([-1], [0]), "0 or more"),
        (([0], [0], [0.0]), "above 0"),
        (([0], [0], [float("inf")]), "finite"),
        (([0.5], [0]), "whole numbers"),
        (([2, 1, 2], [0, 0, 0]), "node 2 has the label 0 twice"),
    ],
)
def test_what_no_seed_can_be(arguments: tuple[list[float], ...], message: str):
    with pytest.raises(InputError, match=message):
        Seeds.of(*arguments)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (Seeds.of([9], [0]), "node 9 .* there are 5 nodes"),
        (Seeds.of([0], [7]), "label 7; there are 5 nodes, 3 labels"),
        (Seeds.of([0, 0, 0], [0, 1, 2]), "node 0 has 3 labels; 2 are kept"),
    ],
)
def test_seeds_that_do_not_fit(seeds: Seeds, message: str):
    with pytest.raises(InputError, match=message):
        propagate(CHAIN, seeds, classes=3, kept=2)


def test_dense_shares_by_hand():
    labels = Labels(np.array([[2, -1], [-1, -1]], np.int32), np.array([[0.4, 0], [0, 0]], np.float32), 4)
    assert labels.dense().tolist() == [pytest.approx([0.2, 0.2, 0.4, 0.2]), pytest.approx([0.25] * 4)]
    assert labels.rest.tolist() == pytest.approx([0.6, 1.0])
