import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import prune

from handheld._copies import copied
from handheld.data.users.partitions import by_quantity
from handheld.errors import InputError
from handheld.federated.algorithms import FedProx, Scaffold, ServerState
from handheld.federated.learning import ClientTask, ClientWork, Examples, Users, parallel_descent
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.vectors import Vector, load
from handheld.federated.simulator import Plan, simulate


def learner(module=None, at_once=0, count=60, users=5):
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    examples = Examples(rng.normal(size=(count, 5)).astype(np.float32), rng.integers(3, size=count))
    module = module or nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    return ModuleLearner(
        module, Users(examples, by_quantity(count, users, seed=0)), examples, at_once=at_once
    )


@pytest.mark.parametrize(
    "work",
    [
        ClientWork(epochs=2, batch=4),
        ClientWork(batch=None, rate=1.0),
        ClientWork(epochs=3, batch=7, steps=5, decay=0.9),
    ],
)
@pytest.mark.parametrize("algorithm", [FedProx(mu=0.5), Scaffold(population=5)])
def test_side_by_side_is_what_each_learns_alone(work, algorithm):
    together, alone = learner(at_once=5), learner(at_once=1)
    state = algorithm.init(together.start())
    state = state.after(
        state.weights, **{name: array + np.float32(0.1) for name, array in state.kept.items()}
    )
    own = [
        np.full(len(state.weights), 0.01 * user, np.float32) if algorithm.corrects else None
        for user in range(5)
    ]
    task = ClientTask(state, algorithm, work, seed=4)
    one, other = (
        together.learn(task, range(5), own),
        [each for u in range(5) for each in alone.learn(task, [u], own[u : u + 1])],
    )
    for a, b in zip(one, other, strict=True):
        assert a.change == pytest.approx(b.change, abs=1e-5)
        assert (a.weight, a.distance, a.loss) == (
            b.weight,
            pytest.approx(b.distance),
            pytest.approx(b.loss, rel=1e-4),
        )
    assert len({each.weight for each in one}) > 2


class Tied(nn.Module):
    """Two layers with one weight, as embeddings and decoders have, and one with a weight twice."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(5, 5)
        self.other = nn.Linear(5, 5)
        self.other.weight = self.one.weight
        self.last = nn.Linear(5, 3)
        self.last.again = self.last.weight

    def forward(self, inputs):
        return self.last(self.other(self.one(inputs).relu())) + inputs @ self.last.again.T


def twice():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(5, 3))


def nested():
    inner = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
    return nn.Sequential(inner, inner, nn.Linear(5, 3))


@pytest.mark.parametrize("factory", [twice, nested, Tied])
def test_layers_and_weights_that_are_used_twice_learn_side_by_side(factory):
    """The layer held vmap's tensors afterwards, and could not be evaluated."""
    torch.manual_seed(0)
    module = factory()
    plan = Plan(rounds=3, cohort=5, work=ClientWork(epochs=2, batch=4))
    together, alone = learner(module), learner(module, at_once=1)
    assert together.at_once > 1
    beside, one_by_one = simulate(plan, together), simulate(plan, alone)
    assert beside.state.weights == pytest.approx(one_by_one.state.weights, abs=1e-5)
    for name in ("loss", "test_loss", "test_accuracy"):
        assert beside.rows[-1][name] == pytest.approx(one_by_one.rows[-1][name], abs=1e-5)
    losses = [made.evaluate_users(beside.state).figures["loss"] for made in (together, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert not np.array_equal(beside.state.weights, together.start())


def test_a_module_that_side_by_side_would_leave_broken_learns_alone(monkeypatch):
    """Torch's own way of tied weights leaves vmap's tensors in a layer that is used twice."""

    def leaving(module, views, inputs, tie_weights):
        return functional_call(module, views, inputs)

    monkeypatch.setattr(parallel_descent, "functional_call", leaving)
    assert learner(twice()).at_once == 1
    assert learner().at_once > 1
    made = learner(twice())
    assert "test_loss" in simulate(Plan(rounds=2, cohort=5), made).rows[-1]


def test_small_modules_go_side_by_side_and_others_alone():
    assert learner().at_once > 1
    assert learner(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))).at_once == 1
    assert learner(nn.Sequential(nn.Linear(5, 8), nn.Dropout(), nn.Linear(8, 3))).at_once == 1
    assert learner(nn.Sequential(nn.Linear(5, 20_000), nn.Linear(20_000, 3))).at_once == 1


def test_learning_depends_on_the_task_alone():
    made = learner(nn.Sequential(nn.Linear(5, 8), nn.Dropout(), nn.Linear(8, 3)))
    before = made.start()
    task = ClientTask(FedProx().init(before), FedProx(), ClientWork(epochs=2, batch=4), seed=1)
    first = made.learn(task, [1], [None])[0].change
    made.learn(task, [2], [None])
    made.evaluate(ServerState(first))
    assert (made.learn(task, [1], [None])[0].change == first).all()
    assert (pickle.loads(pickle.dumps(made)).learn(task, [1], [None])[0].change == first).all()
    assert (made.start() == before).all()


def test_a_device_without_examples_learns_nothing():
    made = learner(at_once=2)
    made.users.partition.offsets[1] = made.users.partition.offsets[0]
    task = ClientTask(FedProx().init(made.start()), FedProx(), ClientWork(), seed=1)
    for users in ([0], [0, 3]):
        nothing = made.learn(task, users, [None] * len(users))[0]
        assert (nothing.weight, nothing.distance, np.abs(nothing.change).max()) == (0, 0, 0)


def with_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def task_of(made, **work):
    state = ServerState(made.start(), statistics=made.statistics())
    return ClientTask(state, FedProx(), ClientWork(**work), seed=1)


def test_means_that_layers_keep_are_apart_from_the_weights():
    made = learner(with_norm())
    assert len(made.start()) == 5 * 8 + 8 + 16 + 8 * 3 + 3
    assert made.statistics().tolist() == [0.0] * 8 + [1.0] * 8 + [0.0]
    learned = made.learn(task_of(made, batch=6), [1], [None])[0]
    assert learned.change.shape == made.start().shape
    assert np.abs(learned.statistics - made.statistics()).min() > 0


def test_a_batch_of_one_is_normalised_by_the_means_that_are_kept():
    made = learner(with_norm())
    learned = made.learn(task_of(made, batch=1), [1], [None])[0]
    assert np.abs(learned.change).max() > 0
    assert (learned.statistics == made.statistics()).all()


def test_pictures_one_by_one_have_statistics_of_their_own():
    """As torch does: a channel of a picture has a mean and a variance; a channel of one number has
    none.
    """
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    examples = Examples(np.random.default_rng(0).normal(size=(6, 1, 4, 4)), np.arange(6) % 3)
    made = ModuleLearner(module, Users(examples, by_quantity(6, 1, seed=0)))
    learned = made.learn(task_of(made, batch=1, rate=1e-9), [0], [None])[0]
    expected = nn.Sequential(module[0], module[1]).train()
    order = made.users.partition.of(0)[
        next(ClientWork(batch=6).batches(6, task_of(made).random(0)))
    ]
    with torch.no_grad():
        for row in order:
            expected(torch.from_numpy(examples.inputs[row : row + 1]).float())
    assert learned.statistics[:2] == pytest.approx(module[1].running_mean.numpy(), abs=1e-6)
    assert learned.statistics[2:4] == pytest.approx(module[1].running_var.numpy(), abs=1e-6)
    assert learned.statistics[4] == 6
    made.check_work(ClientWork(batch=1))


@pytest.mark.parametrize("work", [ClientWork(batch=1), ClientWork(batch=1, steps=3)])
def test_batches_that_would_never_have_statistics_are_refused_by_the_layer(work):
    why = (
        r"1 \(BatchNorm1d\) is given one number a channel in batches of one example, which has "
        r"no variance: .*GroupNorm"
    )
    with pytest.raises(InputError, match=why):
        learner(with_norm()).check_work(work)
    with pytest.raises(InputError, match=why):
        simulate(Plan(rounds=1, cohort=2, work=work), learner(with_norm()))
    learner(with_norm()).check_work(ClientWork(batch=2))
    learner().check_work(work)


def test_devices_of_one_example_each_would_never_have_statistics_either():
    made = learner(with_norm(), count=5, users=5)
    with pytest.raises(InputError, match=r"BatchNorm1d.*one example"):
        made.check_work(ClientWork(batch=None))
    fixed = ModuleLearner(with_norm(), made.users, freeze_statistics=True)
    fixed.check_work(ClientWork(batch=None))


def test_sequences_are_asked_at_each_place_but_where_nothing_is():
    class Next(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, 7)

        def forward(self, x):
            return self.table(x)

    texts = np.arange(40).reshape(8, 5) % 7
    targets = (texts + 1) % 7
    targets[:, -1] = -1
    examples = Examples(texts, targets)
    users = Users(examples, by_quantity(8, 2, seed=0))
    one, other = (ModuleLearner(Next(), users, examples, at_once=n) for n in (1, 2))
    other.first = one.first
    task = ClientTask(
        FedProx().init(one.start()), FedProx(), ClientWork(epochs=60, batch=2, rate=2.0), seed=0
    )
    changes = [one.learn(task, [user], [None])[0].change for user in (0, 1)]
    beside = [each.change for each in other.learn(task, [0, 1], [None, None])]
    assert np.stack(beside) == pytest.approx(np.stack(changes), abs=1e-4)
    assert (
        one.evaluate(ServerState(one.start() + changes[int(np.argmax(one.examples))]))["accuracy"]
        > 0.9
    )


def test_a_vector_goes_back_into_a_module():
    module, other = (
        nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
        nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
    )
    load(other, Vector(module).of(module))
    assert all(
        torch.equal(a, b)
        for a, b in zip(module.state_dict().values(), other.state_dict().values(), strict=True)
    )
    with pytest.raises(InputError, match=r"expected \(12,\) weights, got \[3\]"):
        load(module, np.zeros(3, np.float32))


def test_what_cannot_learn_is_refused():
    with pytest.raises(InputError, match="parameters that may be trained"):
        learner(nn.ReLU())
    with pytest.raises(InputError, match="float32 weights, weight holds float64"):
        learner(nn.Linear(5, 3, dtype=torch.float64))
    with pytest.raises(InputError, match=r"^at_once: expected a whole number of 0 or more, got -1"):
        learner(at_once=-1)
    with pytest.raises(InputError, match="not finite"):
        Examples(np.array([[np.nan]]), np.zeros(1, np.int64))
    with pytest.raises(InputError, match="each example needs both"):
        Examples(np.zeros((2, 1)), np.zeros(1, np.int64))
    with pytest.raises(InputError, match="1 examples, but one has number"):
        Users(Examples(np.zeros((1, 1)), np.zeros(1)), by_quantity(4, 2, seed=0))


@pytest.mark.parametrize(
    "values", [{"epochs": 0}, {"rate": np.inf}, {"batch": 0}, {"steps": 0}, {"decay": 1.1}]
)
def test_work_that_makes_no_sense(values):
    with pytest.raises(InputError, match="expected"):
        ClientWork(**values)


def test_each_pass_takes_each_example_once():
    work = ClientWork(epochs=2.5, batch=4)
    batches = list(work.batches(10, np.random.default_rng(0)))
    assert [len(rows) for rows in batches] == [4, 4, 2, 4, 4, 2, 4, 4]
    assert (
        sorted(np.concatenate(batches[:3]))
        == sorted(np.concatenate(batches[3:6]))
        == list(range(10))
    )
    assert (work.steps_of(10), work.steps_of(0), ClientWork(steps=1, batch=1).steps_of(9)) == (
        8,
        0,
        1,
    )


def pruned(layer):
    return prune.l1_unstructured(layer, "weight", 0.4)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch says that its older norms are old
@pytest.mark.parametrize(
    "by_hooks", [torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm, pruned]
)
def test_modules_that_compute_weights_in_hooks_learn_and_can_be_copied_again(by_hooks):
    torch.manual_seed(0)
    module = nn.Sequential(by_hooks(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 3))
    made = learner(module)
    assert made.at_once == 1  # side by side, hooks would keep what they compute for all devices
    learned = made.learn(task_of(made, batch=4, epochs=3), [1], [None])[0]
    assert not learned.error
    assert np.abs(learned.change).max() > 0.01
    assert len(copied(made.module)[0].weight) == 8  # after it has learned
    moved = made.evaluate(ServerState(made.start() + learned.change, statistics=learned.statistics))
    assert (
        moved["loss"]
        < made.evaluate(ServerState(made.start(), statistics=made.statistics()))["loss"]
    )


def test_a_module_that_cannot_be_copied_is_refused_in_one_line():
    module = nn.Linear(5, 3)
    module.doubled = module.weight * 2
    with pytest.raises(
        InputError,
        match=r"the module cannot be copied .*: compute tensors that come of its weights",
    ):
        learner(module)


def test_whole_numbers_beyond_int64_are_refused():
    large = np.array([0, 2**63 + 1], np.uint64)
    for inputs, targets in ((large, np.zeros(2, int)), (np.zeros(2), large)):
        with pytest.raises(InputError, match="hold 9223372036854775809, more than int64 does"):
            Examples(inputs, targets)
    assert len(Examples(np.arange(2, dtype=np.uint64), np.arange(2))) == 2


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([[1.0], [2.0]], "inputs: expected an array of numpy, got list: np.asarray makes one"),
        (torch.zeros(2, 1), "inputs: expected an array of numpy, got Tensor"),
        (np.ma.masked_array(np.zeros((2, 1)), mask=[[0], [1]]), "inputs: .* got MaskedArray"),
        (np.float32(1), "inputs: expected an array of numpy, got float32"),
        (np.array(1.0), r"inputs: expected an array \(n, ...\), got a single float64"),
    ],
)
def test_examples_that_are_no_arrays_are_refused(inputs, why):
    with pytest.raises(InputError, match=why):
        Examples(inputs, np.zeros(2, np.int64))
    with pytest.raises(InputError, match=why.replace("inputs", "targets")):
        Examples(np.zeros((2, 1), np.float32), inputs)
