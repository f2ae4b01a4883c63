import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handheld.errors import InputError
from handheld.propagation import WeightedGraph
from handheld.propagation.training import (
    EdgeSampler,
    EdgeWeights,
    GraphStep,
    cross_entropy,
    squared,
)
from handheld.training import Schedule, fit

# 0 and 1 have labels: 0-1 joins two that have, 1-2 one, 2-3 none
PATH = WeightedGraph.of_edges([0, 1, 2], [1, 2, 3], [1.0, 2.0, 5.0])
LABELLED = np.array([True, True, False, False])


def test_distances_by_hand():
    one, other = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]])
    assert squared(one, other).tolist() == [5.0, 0.0]
    alike = cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2))
    assert alike.tolist() == pytest.approx([math.log(2)])
    sure, unsure = torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2)  # 3/4 and 1/4; 1/2 and 1/2
    expected = (math.log(2) - (math.log(3 / 4) + math.log(1 / 4)) / 2) / 2
    assert cross_entropy(sure, unsure).tolist() == pytest.approx([expected])
    assert torch.equal(cross_entropy(sure, unsure), cross_entropy(unsure, sure))


@pytest.mark.parametrize(
    ("kinds", "share"),
    [
        (EdgeWeights(), 1.0),
        (EdgeWeights(2.0, 0.0, 0.0), 2 * 1 / 8),
        (EdgeWeights(0.0, 3.0, 0.0), 3 * 2 / 8),
        (EdgeWeights(0.0, 0.0, 4.0), 4 * 5 / 8),
        (EdgeWeights(0.0, 0.0, 0.0), 0.0),
    ],
)
def test_edges_count_by_which_ends_have_labels(kinds: EdgeWeights, share: float):
    assert EdgeSampler.of(PATH, LABELLED, kinds).share == pytest.approx(share)


def test_edges_are_drawn_as_often_as_they_count():
    one, other = EdgeSampler.of(PATH, LABELLED, EdgeWeights(3.0, 1.0, 0.0)).draw(
        50_000, np.random.default_rng(0)
    )
    drawn = {
        (a, b): int(((one == a) & (other == b)).sum()) / 50_000 for a in range(4) for b in range(4)
    }
    assert drawn[2, 3] == drawn[3, 2] == 0
    for pair, expected in {(0, 1): 0.3, (1, 0): 0.3, (1, 2): 0.2, (2, 1): 0.2}.items():
        assert drawn[pair] == pytest.approx(expected, abs=0.01)


class Fixed(nn.Module):
    """Gives the rows of a table: what it answers is known."""

    def __init__(self, rows: list[list[float]]):
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(rows))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.rows[numbers]


def numbers(nodes: np.ndarray) -> tuple[torch.Tensor, ...]:
    return (torch.from_numpy(nodes),)


def test_the_loss_by_hand():
    labels = np.array([0, 1, -1, -1])
    network = Fixed([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    loss = GraphStep(
        network,
        numbers,
        labels,
        EdgeSampler.of(PATH, LABELLED, EdgeWeights(0, 0, 2.0)),
        batch=2,
        pairs=4,
    )(0)
    assert loss == pytest.approx(math.log(2) + 2 * 5 / 8 * 9)
    slope = network.rows.grad
    assert slope is not None
    assert slope[3].tolist() == pytest.approx([2 * 5 / 8 * 6, 0])
    assert slope[0].tolist() == pytest.approx([-0.25, 0.25])


def test_what_is_compared_can_be_hidden():
    labels, network = np.array([0, 1, -1, -1]), Fixed([[0.0, 0.0]] * 4)
    hidden = Fixed([[1.0], [1.0], [1.0], [5.0]])
    edges = EdgeSampler.of(PATH, LABELLED, EdgeWeights(0, 0, 1.0))
    assert GraphStep(network, numbers, labels, edges, hidden=hidden)(0) == pytest.approx(
        math.log(2) + 5 / 8 * 16
    )


def clouds(seed: int = 0) -> tuple[torch.Tensor, np.ndarray, WeightedGraph]:
    """Two classes whose vectors hardly differ, and a graph that joins nodes mostly
    within a class.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(200) % 2
    vectors = rng.normal(size=(200, 20)).astype(np.float32)
    vectors[:, 0] += np.where(labels, 1.0, -1.0)
    sources, targets = rng.integers(0, 200, (2, 3000))
    alike = (labels[sources] == labels[targets]) | (rng.random(3000) < 0.1)
    return (
        torch.from_numpy(vectors),
        labels,
        WeightedGraph.of_edges(sources[alike], targets[alike], nodes=200),
    )


def learned(kinds: EdgeWeights, **fit_arguments) -> tuple[nn.Module, float]:
    vectors, labels, graph = clouds()
    known = np.where(np.arange(200) < 8, labels, -1)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 2))
    step = GraphStep(
        network,
        lambda nodes: (vectors[nodes],),
        known,
        EdgeSampler.of(graph, known >= 0, kinds),
        batch=8,
    )
    fit(network, step, Schedule(1, rate=0.05), 300, **fit_arguments)
    right = network(vectors).argmax(1).numpy()[8:] == labels[8:]
    return network, float(right.mean())


def test_the_graph_helps_where_labels_are_few():
    alone, together = learned(EdgeWeights(0, 0, 0))[1], learned(EdgeWeights())[1]
    assert alone < 0.7 < 0.9 < together


def test_a_run_that_was_stopped_ends_the_same(tmp_path: Path):
    def stop(step: int, steps: int, loss: float) -> None:
        if step == 60:
            raise KeyboardInterrupt

    whole, _ = learned(EdgeWeights())
    clock = iter(range(0, 100_000, 100)).__next__  # saves after each step
    with pytest.raises(KeyboardInterrupt):
        learned(EdgeWeights(), save=tmp_path / "state.pt", report=stop, clock=clock)
    resumed, _ = learned(EdgeWeights(), save=tmp_path / "state.pt")
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )


@pytest.mark.parametrize("weights", [(-1, 0, 0), (0, float("nan"), 0), (0, 0, float("inf"))])
def test_what_no_weight_can_be(weights: tuple[float, float, float]):
    with pytest.raises(
        InputError, match=r"^(labelled|mixed|unlabelled): expected a number in \[0, inf\), got "
    ):
        EdgeWeights(*weights)


def test_what_does_not_fit_the_graph():
    with pytest.raises(InputError, match="expected 4 nodes"):
        EdgeSampler.of(PATH, np.zeros(3, bool))
    with pytest.raises(InputError, match="0 edges"):
        EdgeSampler.of(WeightedGraph.of_edges([], [], nodes=2), np.zeros(2, bool))
    edges = EdgeSampler.of(PATH, LABELLED)
    for labels in (np.array([0, 1]), np.full(4, -1)):
        with pytest.raises(InputError, match="labels of 4 nodes"):
            GraphStep(Fixed([[0.0]]), numbers, labels, edges)
    with pytest.raises(InputError, match="1 or more"):
        GraphStep(Fixed([[0.0]]), numbers, np.zeros(4, np.int64), edges, pairs=0)
