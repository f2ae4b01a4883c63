import numpy as np
import pytest
import torch

from handheld.data.users.partitions import evenly
from handheld.errors import InputError
from handheld.federated.algorithms import FedProx, Scaffold, ServerState
from handheld.federated.device import (
    ClientDevice,
    DeviceSituation,
    ExampleStore,
    LearningBudget,
    LearningGate,
    Personalisation,
)
from handheld.federated.learning import ClientTask, ClientWork, Examples, Users
from handheld.federated.learning.modules import ModuleLearner

GOOD = DeviceSituation(idle=True, charging=True, unmetered=True)
BUSY = DeviceSituation(idle=False, charging=True, unmetered=True)
WORK = ClientWork(epochs=2, batch=5, rate=0.1)  # 16 steps


class UsedAfter:
    def __init__(self, looks):
        self.looks = looks

    def read(self):
        self.looks -= 1
        return GOOD if self.looks >= 0 else BUSY


def module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(1)
    found = ExampleStore(tmp_path / "own.sqlite")
    for _ in range(40):
        target = int(rng.integers(2))
        found.add((rng.normal(size=4) + 3 * target).astype(np.float32), target)
    return found


def task(algorithm=None, weights=None):
    algorithm = algorithm or FedProx()
    first = ModuleLearner(
        module(),
        Users(Examples(np.zeros((2, 4), np.float32), np.zeros(2, int)), evenly(2, 1, seed=0)),
    ).start()
    return ClientTask(
        algorithm.init(first if weights is None else weights), algorithm, WORK, seed=3
    )


def test_a_device_learns_what_it_would_in_a_simulation(store):
    outcome = ClientDevice(module(), store, gate=LearningGate(UsedAfter(99), every=0)).learn(
        task(), number=0
    )
    users = Users(store.examples(), evenly(40, 1, seed=0))
    users.partition.indices[:] = np.arange(40)
    expected = ModuleLearner(module(), users, at_once=1).learn(task(), [0], [None])[0]
    assert (outcome.learned.change == expected.change).all()
    assert (outcome.learned.weight, outcome.done, outcome.stopped) == (40, pytest.approx(1), ())


def test_a_device_in_use_does_not_begin(store):
    outcome = ClientDevice(module(), store, gate=LearningGate(UsedAfter(0))).learn(task())
    assert (outcome.learned, outcome.done, outcome.stopped) == (None, 0, ("not idle",))


@pytest.mark.parametrize(("keep", "kept"), [(0.5, True), (0.0, True), (0.9, False), (1.0, False)])
def test_a_device_that_is_used_stops_at_once_and_keeps_or_drops_its_work(store, keep, kept):
    device = ClientDevice(
        module(), store, gate=LearningGate(UsedAfter(13), every=0), budget=LearningBudget(keep=keep)
    )
    outcome = device.learn(task())
    assert outcome.stopped == ("not idle",)
    assert outcome.done == pytest.approx(12 / 16)
    assert (outcome.learned is not None) == kept
    if kept:
        assert outcome.learned.weight == pytest.approx(40 * 12 / 16)
        assert np.abs(outcome.learned.change).max() > 0


def test_time_is_over(store):
    seconds = iter(range(100))
    outcome = ClientDevice(
        module(), store, budget=LearningBudget(seconds=7.5, keep=0), clock=lambda: next(seconds)
    ).learn(task())
    assert outcome.stopped == ("7.5 seconds are over",)
    assert 0 < outcome.done < 1


def test_memory_is_used_up(store):
    outcome = ClientDevice(module(), store, budget=LearningBudget(megabytes=1.0)).learn(task())
    assert (outcome.learned, outcome.stopped) == (None, ("more than 1 MB are in use",))
    assert (
        not ClientDevice(module(), store, budget=LearningBudget(megabytes=1e6))
        .learn(task())
        .stopped
    )


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(InputError, match="no examples"):
        ClientDevice(module(), ExampleStore(tmp_path / "empty.sqlite")).learn(task())


@pytest.mark.parametrize("label", [3, -5])
def test_a_label_that_is_no_class_does_not_stop_the_device(store, label, caplog):
    expected = ClientDevice(module(), store).learn(task())
    store.add(np.zeros(4, np.float32), label)
    device = ClientDevice(module(), store)
    outcome = device.learn(task())
    assert (outcome.learned.change == expected.learned.change).all()
    assert (outcome.learned.weight, outcome.done, outcome.left_out) == (40, pytest.approx(1), 1)
    assert "1 of 41 examples left out, the first: IndexError: Target" in caplog.text
    found = device.personalise(task().state.weights, Personalisation(work=WORK))
    assert np.isfinite(found.before["loss"])


def test_a_target_that_is_too_large_does_not_stop_the_device(tmp_path):
    def squared(outputs, targets):
        return (outputs - targets).square().mean(dim=1)

    made = ExampleStore(tmp_path / "own.sqlite")
    for number in range(10):
        made.add(
            np.full(4, number / 10, np.float32),
            np.full(3, 1e25 if number == 7 else 1.0, np.float32),
        )
    outcome = ClientDevice(module(), made, loss=squared).learn(
        task()
    )  # the square of 1e25 is no float32
    assert outcome.left_out == 1
    assert np.isfinite(outcome.learned.change).all()


def test_where_no_example_fits_it_is_said(tmp_path):
    made = ExampleStore(tmp_path / "own.sqlite")
    for _ in range(3):
        made.add(np.zeros(4, np.float32), 9)
    with pytest.raises(
        InputError,
        match=r"none of the 3 examples of .*own\.sqlite fits the model .IndexError.*forget\(\)",
    ):
        ClientDevice(module(), made).learn(task())


def test_a_loss_that_raises_on_examples_that_fit_is_not_hidden(store):
    calls = []

    def loss(outputs, targets):
        calls.append(len(targets))
        if len(targets) == WORK.batch:
            raise RuntimeError("its own mistake")
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

    with pytest.raises(RuntimeError, match="its own mistake"):
        ClientDevice(module(), store, loss=loss).learn(task())
    assert sum(calls) == WORK.batch + 40


@pytest.mark.parametrize(
    "wrong", [task(weights=np.zeros(7, np.float32)), task(Scaffold(population=3))]
)
def test_tasks_that_do_not_fit(store, wrong):
    with pytest.raises(InputError, match="expected a task"):
        ClientDevice(module(), store).learn(wrong)


@pytest.mark.parametrize(
    "values", [{"seconds": 0}, {"megabytes": np.nan}, {"keep": -0.1}, {"keep": 1.1}]
)
def test_budgets_that_make_no_sense(values):
    with pytest.raises(InputError, match="expected"):
        LearningBudget(**values)


def test_the_own_model_serves_at_once_and_outlives_the_process(store):
    shared = task().state.weights
    device = ClientDevice(module(), store)
    found = device.personalise(
        shared, Personalisation(work=ClientWork(epochs=20, batch=5, rate=0.1))
    )
    assert found.kept
    assert found.after["accuracy"] > found.before["accuracy"]
    x = torch.from_numpy(store.examples().inputs)

    def accuracy(served):
        return float((served(x).argmax(dim=1).numpy() == store.examples().targets).mean())

    assert accuracy(ClientDevice(module(), store).model(shared)) > 0.9 > accuracy(module())
    newer = shared + np.float32(0.1)  # a newer shared model waits for its own fitting
    assert torch.allclose(
        ClientDevice(module(), store).model(newer)[0].weight, module()[0].weight + 0.1
    )


def test_an_own_model_outlives_a_fitting_that_was_stopped(store):
    shared, how = (
        task().state.weights,
        Personalisation(work=ClientWork(epochs=20, batch=5, rate=0.1)),
    )
    assert ClientDevice(module(), store).personalise(shared, how).kept
    before = ClientDevice(module(), store).model(shared)[0].weight
    assert (
        not ClientDevice(module(), store, gate=LearningGate(UsedAfter(0)))
        .personalise(shared, how)
        .kept
    )
    assert torch.equal(ClientDevice(module(), store).model(shared)[0].weight, before)


def test_a_damaged_own_model_is_not_used(store, tmp_path):
    shared, device = task().state.weights, ClientDevice(module(), store)
    assert device.personalise(
        shared, Personalisation(work=ClientWork(epochs=20, batch=5, rate=0.1))
    ).kept
    own = tmp_path / "own.own.npz"
    own.write_bytes(own.read_bytes()[:-50])
    assert torch.equal(device.model(shared)[0].weight, module()[0].weight)


def test_forgetting(store, tmp_path):
    shared, device = task().state.weights, ClientDevice(module(), store)
    device.personalise(shared, Personalisation(work=ClientWork(epochs=20, batch=5, rate=0.1)))
    device.forget()
    assert len(store) == 0
    assert torch.equal(device.model(shared)[0].weight, module()[0].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["own.sqlite"]


def normed():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    )


def normed_task(statistics=None):
    users = Users(Examples(np.zeros((2, 4), np.float32), np.zeros(2, int)), evenly(2, 1, seed=0))
    made = ModuleLearner(normed(), users)
    values = made.statistics() if statistics is None else statistics
    return ClientTask(ServerState(made.start(), statistics=values), FedProx(), WORK, seed=3)


def test_statistics_come_with_the_task_and_go_back_beside_the_change(store):
    device = ClientDevice(normed(), store)
    asked = normed_task(np.array([1.0] * 6 + [4.0] * 6 + [7.0]))
    learned = device.learn(asked).learned
    assert learned.change.shape == asked.state.weights.shape
    assert learned.statistics.shape == (13,)
    assert learned.statistics[-1] == 7 + 16
    assert learned.statistics[6:12].min() > 0
    again = device.learn(asked).learned  # what it learned before is not there any more
    assert (again.statistics == learned.statistics).all()
    assert (again.change == learned.change).all()
    with pytest.raises(InputError, match="13 statistics of the model, got 2"):
        device.learn(normed_task(np.zeros(2)))


def test_the_own_model_keeps_its_statistics(store):
    shared = normed_task().state
    statistics = np.array([0.5] * 6 + [2.0] * 6 + [3.0])
    device = ClientDevice(normed(), store)
    how = Personalisation(
        layers=("whole",), shares=(0.5,), work=ClientWork(epochs=20, batch=5, rate=0.1)
    )
    personal = device.personalise(shared.weights, how, statistics=statistics)
    assert personal.kept
    assert personal.statistics[6:12].min() > 0
    served = ClientDevice(normed(), store).model(shared.weights, statistics=statistics)
    assert served[1].running_var.double().numpy() == pytest.approx(personal.statistics[6:12])
    newer = ClientDevice(normed(), store).model(
        shared.weights + np.float32(1), statistics=statistics
    )
    assert newer[1].running_var.tolist() == [2.0] * 6
    device.forget()
    assert device.model(shared.weights, statistics=statistics)[1].running_mean.tolist() == [0.5] * 6
    assert device.model(shared.weights)[1].running_mean.tolist() == [0.0] * 6


def test_a_fitted_head_keeps_the_shared_statistics(store):
    shared = normed_task().state
    how = Personalisation(layers=("head",), work=ClientWork(epochs=20, batch=5, rate=0.1))
    personal = ClientDevice(normed(), store).personalise(shared.weights, how)
    assert personal.kept
    assert (personal.statistics == shared.statistics).all()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda weights: weights * np.float32(np.nan), "weights: expected finite numbers, got nan"),
        (lambda weights: weights.astype(float), "weights: expected float32, got float64"),
    ],
)
def test_a_broken_model_of_the_server_is_not_blamed_on_the_examples(store, change, why):
    device = ClientDevice(module(), store)
    weights = task().state.weights
    # Once it said that no example fits, and that forget() removes them.
    with pytest.raises(InputError, match=why):
        device.learn(task(weights=change(weights)))
    with pytest.raises(InputError, match=why):
        device.personalise(change(weights))
    assert len(store) == 40


def test_broken_statistics_of_the_server_are_named(store):
    device = ClientDevice(
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)), store
    )
    weights = np.zeros(len(device.vector), np.float32)
    with pytest.raises(InputError, match="statistics: expected finite numbers, got inf at 0"):
        device.personalise(weights, statistics=np.full(7, np.inf))
