import numpy as np
import pytest
import torch

from handheld.data.users.partitions import evenly
from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning import ClientTask, ClientWork, Examples, Users
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.subspaces import LowRank, RandomMask

SHAPES = ((8, 5), (8,), (3, 2, 2, 2), (3, 40))
COUNT = sum(int(np.prod(shape)) for shape in SHAPES)


@pytest.mark.parametrize(
    ("structure", "dimensions"),
    [(LowRank(2), 2 * 5 + 8 + 2 * 3 + 2 * 3), (RandomMask(0.25), COUNT / 4)],
)
def test_coordinates_are_those_of_the_nearest_vector_in_the_subspace(structure, dimensions):
    x = np.random.default_rng(0).standard_normal(COUNT).astype(np.float32)
    subspace = structure.subspace(SHAPES, seed=3)
    coordinates = subspace.coordinates(x)
    nearest = subspace.expand(coordinates)
    assert len(coordinates) == pytest.approx(
        dimensions, rel=0.35 if isinstance(structure, RandomMask) else 0
    )
    assert subspace.coordinates(nearest) == pytest.approx(coordinates, abs=1e-5)
    other = subspace.expand(
        np.random.default_rng(1).standard_normal(len(coordinates)).astype(np.float32)
    )
    assert float((x - nearest) @ other) == pytest.approx(
        0, abs=1e-4
    )  # what is left out is orthogonal to all that is in it
    again, fresh = structure.subspace(SHAPES, seed=3), structure.subspace(SHAPES, seed=4)
    assert (again.expand(again.coordinates(x)) == nearest).all()
    assert abs(fresh.expand(fresh.coordinates(x)) - nearest).max() > 0.1


def test_matrices_have_low_rank():
    x = np.random.default_rng(0).standard_normal(COUNT).astype(np.float32)
    subspace = LowRank(2).subspace(SHAPES, seed=0)
    found = subspace.expand(subspace.coordinates(x))
    assert np.linalg.matrix_rank(found[:40].reshape(8, 5), tol=1e-5) == 2
    assert np.linalg.matrix_rank(found[-120:].reshape(3, 40), tol=1e-5) == 2
    assert (found[40:48] == x[40:48]).all()


def test_a_rank_as_large_as_the_matrix_leaves_everything():
    x = np.random.default_rng(0).standard_normal(COUNT).astype(np.float32)
    subspace = LowRank(40).subspace(SHAPES, seed=0)
    assert (subspace.expand(subspace.coordinates(x)) == x).all()


def learner(at_once):
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    examples = Examples(rng.normal(size=(40, 5)).astype(np.float32), rng.integers(3, size=40))
    return ModuleLearner(
        torch.nn.Linear(5, 3), Users(examples, evenly(40, 4, seed=0)), at_once=at_once
    )


def test_devices_learn_one_factor_of_two():
    made, work = learner(1), ClientWork(epochs=3, batch=5, rate=0.3)
    task = ClientTask(FedAvg().init(made.start()), FedAvg(), work, seed=2, structure=LowRank(1))
    found = made.learn(task, [2], [None])[0].change
    basis = LowRank(1).subspace(made.shapes, task.subspace_seed(2)).parts[0][1]
    factor = torch.zeros(1, 3, requires_grad=True)
    bias = torch.zeros(3, requires_grad=True)
    places = made.users.partition.of(2)
    for rows in work.batches(len(places), task.random(2)):
        x, y = (
            torch.from_numpy(each[places[rows]])
            for each in (made.users.examples.inputs, made.users.examples.targets)
        )
        first = (
            made.module.weight.data.new_tensor(made.start()[:15]).view(3, 5),
            torch.from_numpy(made.start()[15:]),
        )
        loss = torch.nn.functional.cross_entropy(
            x @ (first[0] + (basis @ factor).T).T + first[1] + bias, y
        )
        slopes = torch.autograd.grad(loss, [factor, bias])
        with torch.no_grad():
            factor -= work.rate * slopes[0]
            bias -= work.rate * slopes[1]
    expected = torch.cat([(basis @ factor).T.flatten(), bias]).detach().numpy()
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("structure", [LowRank(1), RandomMask(0.4)])
def test_side_by_side_is_what_each_learns_alone(structure):
    work = ClientWork(epochs=2, batch=4)
    state = FedAvg().init(learner(1).start())
    task = ClientTask(state, FedAvg(), work, seed=2, structure=structure)
    together = learner(4).learn(task, range(4), [None] * 4)
    for user, one in enumerate(together):
        assert one.change == pytest.approx(
            learner(1).learn(task, [user], [None])[0].change, abs=1e-5
        )
        subspace = structure.subspace(learner(1).shapes, task.subspace_seed(user))
        assert subspace.expand(subspace.coordinates(one.change)) == pytest.approx(
            one.change, abs=1e-5
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: LowRank(0),
        lambda: RandomMask(0),
        lambda: RandomMask(1.5),
        lambda: RandomMask(np.nan),
    ],
)
def test_makes_no_sense(make):
    with pytest.raises(InputError):
        make()
