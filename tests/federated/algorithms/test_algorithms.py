"""On quadratic bowls, whose answers are known: device i loses curvature_i / 2 * |w -
centre_i|^2.
"""

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.algorithms import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedSGD,
    FedYogi,
    Krum,
    Median,
    Scaffold,
    Total,
    TrimmedMean,
)

CENTRES = np.array([[0.0, 4.0], [2.0, 0.0], [10.0, 2.0]], np.float32)
CURVATURES = np.array([1.0, 4.0, 0.5], np.float32)
BEST = (CURVATURES[:, None] * CENTRES).sum(axis=0) / CURVATURES.sum()


def run(algorithm, rounds, *, steps=1, rate=0.1, weights=(1.0, 1.0, 1.0)):
    """Return the states after each round."""
    states, own = [algorithm.init(np.zeros(2, np.float32))], np.zeros((3, 2), np.float32)
    for _ in range(rounds):
        state, total = states[-1], None
        for client in range(3):
            here = state.weights.copy()
            for _ in range(steps):
                gradient = CURVATURES[client] * (here - CENTRES[client])
                here = here - np.float32(rate) * algorithm.adjust(
                    gradient, here, state, own[client]
                )
            change, extra = here - state.weights, None
            if algorithm.corrects:
                after = algorithm.keep(change, steps * rate, state, own[client])
                extra, own[client] = after - own[client], after
            told = Total.of(change, weights[client], extra)
            total = told if total is None else total + told
        states.append(algorithm.apply(state, total))
    return states


def test_the_mean_is_taken_by_weight():
    state = run(FedAvg(), 1, weights=(1.0, 2.0, 5.0))[-1]
    changes = 0.1 * CURVATURES[:, None] * CENTRES
    assert state.weights == pytest.approx((changes * np.array([[1], [2], [5]])).sum(axis=0) / 8)
    assert state.round == 1


def test_one_step_of_rate_1_is_gradient_descent():
    states = run(FedSGD(rate=0.3), 40, rate=1.0)
    w = np.zeros(2)
    for state in states[1:]:
        w -= 0.3 * (CURVATURES[:, None] * (w - CENTRES)).mean(axis=0)
        assert state.weights == pytest.approx(w, abs=1e-4)
    assert w == pytest.approx(BEST, abs=1e-4)


def test_averaging_drifts_where_devices_differ_and_scaffold_does_not():
    drifted, right = (
        run(algorithm, 300, steps=20)[-1].weights
        for algorithm in (FedAvg(), Scaffold(population=3))
    )
    assert np.abs(drifted - BEST).max() > 0.9
    assert right == pytest.approx(BEST, abs=1e-3)


def test_a_pull_keeps_devices_near():
    assert run(FedProx(mu=0.0), 3, steps=20)[-1].weights == pytest.approx(
        run(FedAvg(), 3, steps=20)[-1].weights
    )
    moved = [
        np.abs(run(FedProx(mu=pull), 1, steps=20)[-1].weights).sum() for pull in (0.0, 1.0, 5.0)
    ]
    assert moved[0] > moved[1] > moved[2]
    drifts = [
        np.abs(run(FedProx(mu=pull), 500, steps=20)[-1].weights - BEST).max() for pull in (0.0, 5.0)
    ]
    assert drifts[1] < drifts[0] / 2


def test_momentum_adds_up():
    first, second = run(FedAvgM(rate=0.5, momentum=0.8), 2)[1:]
    mean = 0.1 * (CURVATURES[:, None] * CENTRES).mean(axis=0)
    assert first.weights == pytest.approx(0.5 * mean)
    next_mean = 0.1 * (CURVATURES[:, None] * (CENTRES - first.weights)).mean(axis=0)
    assert second.weights == pytest.approx(first.weights + 0.5 * (next_mean + 0.8 * mean))


@pytest.mark.parametrize("kind", [FedAdam, FedYogi])
def test_rates_of_each_weight_by_hand(kind):
    algorithm = kind(rate=0.1, beta1=0.9, beta2=0.99, tau=0.01)
    states = run(algorithm, 3)
    moved, squares, w = np.zeros(2), np.full(2, 1e-4), np.zeros(2)
    for state in states[1:]:
        mean = 0.1 * (CURVATURES[:, None] * (CENTRES - w)).mean(axis=0)
        moved = 0.9 * moved + 0.1 * mean
        if kind is FedAdam:
            squares = 0.99 * squares + 0.01 * mean**2
        else:
            squares = squares - 0.01 * mean**2 * np.sign(squares - mean**2)
        w = w + 0.1 * moved / (np.sqrt(squares) + 0.01)
        assert state.weights == pytest.approx(w, rel=1e-4)


def test_order_of_devices_does_not_matter_beyond_rounding():
    rng = np.random.default_rng(0)
    told = [
        Total.of(rng.normal(size=50).astype(np.float32), float(rng.integers(1, 100)))
        for _ in range(30)
    ]
    forwards, backwards = sum(told[1:], told[0]), sum(told[-2::-1], told[-1])
    assert forwards.mean == pytest.approx(backwards.mean, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("mean", [TrimmedMean(0.2), Median(), Krum(2), Krum(2, kept=5)], ids=repr)
def test_broken_devices_move_a_robust_mean_little(mean):
    rng = np.random.default_rng(0)
    changes = rng.normal(1.0, 0.1, (12, 40)).astype(np.float32)
    changes[3], changes[7] = 1e6, -1e6 * rng.random(40)
    found = mean.mean(changes)
    assert np.abs(found.mean - 1).max() < 0.4
    assert (found.clients, found.weight) == (12, 1.0)


def test_a_trimmed_mean_of_none_is_the_mean():
    changes = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    assert TrimmedMean(0.0).mean(changes).mean == pytest.approx(changes.mean(axis=0), abs=1e-6)


def test_krum_keeps_one_that_is_there():
    changes = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    assert any((Krum(3).mean(changes).mean == row).all() for row in changes)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FedAvg(rate=0.0),
        lambda: FedProx(mu=-1.0),
        lambda: FedAvgM(momentum=1.0),
        lambda: FedAdam(tau=0.0),
        lambda: Scaffold(population=0),
        lambda: TrimmedMean(0.5),
        lambda: Krum(-1),
        lambda: Krum(2).mean(np.zeros((6, 3), np.float32)),
        lambda: Krum(1, kept=5).mean(np.zeros((5, 3), np.float32)),
        lambda: TrimmedMean(0.4).mean(np.zeros((2, 3), np.float32)),
        lambda: Median().mean(np.zeros(3, np.float32)),
        lambda: Total.of(np.zeros(3, np.float32), np.nan),
        lambda: Scaffold().apply(
            Scaffold().init(np.zeros(3, np.float32)), Total.of(np.zeros(3, np.float32))
        ),
    ],
)
def test_what_cannot_be(wrong):
    with pytest.raises(InputError, match=r"expected|at most|leaves none"):
        wrong()
