from itertools import islice

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("scipy")

from handheld.data.users.partitions import by_user, evenly
from handheld.data.users.sparse import clicks
from handheld.errors import InputError, TrainingError
from handheld.federated.convex import _steps
from handheld.federated.convex.fsvrg import FSVRG
from handheld.federated.convex.logistic import Logistic, examples_of
from handheld.federated.convex.simulation import rounds, until
from handheld.federated.convex.sparse_fedavg import SparseFedAvg


def problem(users=60, l2=1e-3, features=2000):
    data, owners, _ = clicks(users, features=features, seed=0)
    return Logistic(data, by_user(owners.tolist()), l2)


def dense(data):
    found = np.zeros((len(data), data.features))
    found[np.arange(len(data)).repeat(np.diff(data.offsets)), data.columns] = data.values
    return found


def test_loss_and_gradient_are_those_of_dense_examples():
    made = problem()
    weights = np.random.default_rng(0).normal(size=made.data.features)
    x, y = dense(made.data), made.data.labels.astype(float)
    margins = y * (x @ weights)
    gradient, loss = made.gradient(weights)
    assert loss == pytest.approx(np.logaddexp(0, -margins).mean() + made.l2 / 2 * weights @ weights)
    assert gradient == pytest.approx(-(y / (1 + np.exp(margins))) @ x / len(y) + made.l2 * weights)


def test_the_central_optimum_has_no_slope():
    made = problem()
    weights, loss = made.central()
    gradient, again = made.gradient(weights)
    assert np.abs(gradient).max() < 1e-4
    assert loss == again < made.loss(np.zeros_like(weights))


@pytest.mark.parametrize("reduced", [False, True])
def test_lazy_steps_are_those_that_touch_every_weight(reduced):
    rng = np.random.default_rng(1)
    data = clicks(3, features=100, seed=1)[0]
    weights, slopes, scale = rng.normal(size=(3, 100))
    scale, shrink, order, rate = (
        np.abs(scale),
        rng.uniform(0.9, 1, 100),
        rng.permutation(len(data)),
        0.2,
    )
    push, x = rate * slopes, dense(data)
    found = np.empty(100)
    _steps.descend(*examples_of(data), order, weights, push, scale, shrink, rate, reduced, found)
    change = np.zeros(100)
    for row in order:
        label, features = float(data.labels[row]), x[row]
        slope = -label / (1 + np.exp(label * (features @ (weights + change))))
        if reduced:
            slope += label / (1 + np.exp(label * (features @ weights)))
        present = features != 0
        change = shrink * (change - np.where(present, rate * scale * slope * features, 0)) - push
    assert found == pytest.approx(change, abs=1e-8)


@pytest.mark.parametrize(
    ("algorithm", "momentum", "most"),
    [
        (FSVRG(1.0), 0.9, 60),
        (FSVRG(2.0), 0.0, 100),
        (SparseFedAvg(0.3, steps=200, fade=2), 0.7, 200),
        (SparseFedAvg(0.3, fade=5), 0.7, 100),
    ],
)
def test_devices_together_reach_what_one_machine_would(algorithm, momentum, most):
    made = problem()
    _, best = made.central()
    step = until(
        rounds(made, algorithm, momentum=momentum),
        lambda weights: made.loss(weights) < 1.01 * best,
        max_rounds=most,
    )
    assert step is not None
    assert step.number > 1


@pytest.mark.parametrize("algorithm", [FSVRG(), SparseFedAvg()])
def test_only_touched_weights_travel_and_the_same_seed_gives_the_same_bits(algorithm):
    made = problem()
    first, again = (list(islice(rounds(made, algorithm), 3)) for _ in range(2))
    assert (first[-1].weights == again[-1].weights).all()
    touched = sum(
        len(np.unique(made.data.subset(made.partition.of(user)).columns))
        for user in range(len(made.partition))
    )
    assert first[0].traffic.up in (touched, 2 * touched)
    assert first[0].traffic.dense / first[0].traffic.up > 20
    never = np.bincount(made.data.columns, minlength=made.data.features) == 0
    assert never.any()
    assert not first[-1].weights[never].any()


def test_devices_without_examples_take_no_part():
    made = problem(users=5)
    partition = evenly(len(made.data), 7, seed=0)
    partition.offsets[1] = 0
    assert len(Logistic(made.data, partition).devices) == 6


def test_what_makes_no_sense_is_refused():
    made = problem(users=5)
    with pytest.raises(InputError, match=r"^momentum: expected a number in \[0, 1\), got "):
        next(rounds(made, FSVRG(), momentum=1.0))
    with pytest.raises(InputError, match=r"^rate: expected a number in \(0, inf\), got 0"):
        FSVRG(0)
    with pytest.raises(InputError, match=r"^steps: expected a whole number of 1 or more, got 0"):
        SparseFedAvg(steps=0)
    with pytest.raises(InputError, match=r"^l2: expected a number in \[0, inf\), got "):
        Logistic(made.data, made.partition, -1.0)
    with pytest.raises(TrainingError, match="not finite"), np.errstate(all="ignore"):
        until(rounds(made, FSVRG(1e9), momentum=0.99), lambda weights: False, max_rounds=500)
    assert until(rounds(made, FSVRG()), lambda weights: False, max_rounds=2) is None
