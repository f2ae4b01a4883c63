import numpy as np
import pytest
import torch
from torch import nn

from handheld.errors import InputError
from handheld.federated.device import Personalisation, personalise
from handheld.federated.learning import ClientWork, Examples
from handheld.federated.learning.vectors import Vector

WORK = ClientWork(epochs=10, batch=10, rate=0.1)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def some(count=100, seed=0, noise=False):
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=count)
    inputs = rng.normal(size=(count, 4)) + (0 if noise else 3) * np.eye(4)[targets]
    return Examples(inputs.astype(np.float32), targets)


def shared_weights():
    return Vector(network()).of(network())


def test_a_better_model_is_kept_and_the_same_seed_gives_the_same():
    found = personalise(network(), shared_weights(), some(), Personalisation(work=WORK))
    again = personalise(network(), shared_weights(), some(), Personalisation(work=WORK))
    assert found.kept
    assert found.after["accuracy"] > found.before["accuracy"] + 0.2
    assert (found.weights == again.weights).all()


def test_what_is_no_better_than_luck_is_not_kept():
    noise = [some(100, seed, noise=True) for seed in range(20)]
    kept = [
        personalise(network(), shared_weights(), each, Personalisation(work=WORK)) for each in noise
    ]
    assert sum(each.kept for each in kept) <= 3
    assert all((each.weights == shared_weights()).all() for each in kept if not each.kept)


def test_the_head_alone_is_changed():
    vector, shared = Vector(network()), shared_weights()
    found = personalise(
        network(), shared, some(), Personalisation(layers=("head",), shares=(1.0,), work=WORK)
    )
    changed = {
        name
        for name, array in vector.views(torch.from_numpy(found.weights - shared)).items()
        if array.any()
    }
    assert found.layers == "head"
    assert changed == {"3.weight", "3.bias"}


def test_the_own_model_may_lie_between():
    shared = shared_weights()
    whole = personalise(
        network(), shared, some(), Personalisation(layers=("whole",), shares=(1.0,), work=WORK)
    ).weights
    half = personalise(
        network(), shared, some(), Personalisation(layers=("whole",), shares=(0.5,), work=WORK)
    ).weights
    assert half - shared == pytest.approx((whole - shared) / 2, abs=1e-6)


def test_numbers_as_targets():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(80, 4)).astype(np.float32)
    examples = Examples(inputs, (inputs @ rng.normal(size=(4, 3)) + 2).astype(np.float32))
    torch.manual_seed(0)
    module = nn.Linear(4, 3)
    shared = Vector(module).of(module)
    found = personalise(
        module,
        shared,
        examples,
        Personalisation(work=WORK),
        loss=lambda a, b: ((a - b) ** 2).mean(dim=1),
    )
    assert found.kept
    assert found.after["loss"] < found.before["loss"] / 2
    assert "accuracy" not in found.after


def test_learning_that_goes_astray_keeps_the_shared_model():
    found = personalise(
        network(),
        shared_weights(),
        some(),
        Personalisation(work=ClientWork(epochs=5, batch=10, rate=1e30)),
    )
    assert not found.kept
    assert (found.weights == shared_weights()).all()


@pytest.mark.parametrize(
    "steps", [0, 100, 630]
)  # learning takes 2 ways * 4 folds * 10 passes * 8 steps
def test_work_that_is_stopped_is_dropped(steps):
    left = iter([True] * steps)
    found = personalise(
        network(),
        shared_weights(),
        some(),
        Personalisation(work=WORK),
        goes_on=lambda: next(left, False),
    )
    assert not found.kept
    assert (found.weights == shared_weights()).all()


def test_stopped_once_is_stopped():
    answered = iter([True, False])
    how = Personalisation(work=WORK)
    assert not personalise(
        network(), shared_weights(), some(), how, goes_on=lambda: next(answered, True)
    ).kept


def test_two_examples():
    assert not personalise(network(), shared_weights(), some(2), Personalisation(work=WORK)).kept


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_examples(count):
    with pytest.raises(InputError, match="2 examples"):
        personalise(network(), shared_weights(), some(count))


def test_weights_of_another_model():
    with pytest.raises(InputError, match="expected 83"):
        personalise(network(), np.zeros(5, np.float32), some())


@pytest.mark.parametrize(
    "values",
    [
        {"layers": ("tail",)},
        {"layers": ()},
        {"shares": (0.0,)},
        {"shares": ()},
        {"folds": 1},
        {"significance": 0},
    ],
)
def test_values_that_make_no_sense(values):
    with pytest.raises(InputError, match="expected"):
        Personalisation(**values)


def test_the_head_whose_weights_are_computed_from_others_is_changed_whole():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))
    )
    vector = Vector(module)
    shared = vector.of(module)
    found = personalise(
        module, shared, some(), Personalisation(layers=("head",), shares=(1.0,), work=WORK)
    )
    changed = {
        name
        for name, array in vector.views(torch.from_numpy(found.weights - shared)).items()
        if array.any()
    }
    weight = "2.parametrizations.weight.original"
    assert changed == {f"{weight}0", f"{weight}1", "2.bias"}
