"""Whole runs beside algorithms that were written from their papers.

Devices fit linear regressions by gradient descent on all of their data. Of the simulator the
references know who took part in each round, and nothing else.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.algorithms import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Scaffold,
)
from handheld.federated.learning import ClientWork, Learned
from handheld.federated.simulator import Devices, Plan, simulate

USERS, SIZE, STEPS, RATE = 20, 4, 5, 0.05
SIZES = 5 * 2 ** (np.arange(USERS) % 4)  # 5 to 40 examples
WORK = ClientWork(epochs=STEPS, batch=None, rate=RATE)


def data(user):
    rng = np.random.default_rng(user)
    x = rng.normal(size=(SIZES[user], SIZE))
    return x, x @ (np.ones(SIZE) + rng.normal(size=SIZE)) + 0.1 * rng.normal(size=SIZES[user])


def gradient(user, w):
    x, y = data(user)
    return x.T @ (x @ w - y) / len(y)


def objective(w, weights):
    losses = [np.mean((x @ w - y) ** 2) / 2 for x, y in map(data, range(USERS))]
    return float(np.average(losses, weights=weights))


@dataclass
class Regression:
    """Devices as the simulator wants them."""

    at_once: int = 3
    log: list = field(default_factory=list)
    examples = SIZES.astype(np.int64)
    shapes = ((SIZE,),)

    def start(self):
        return np.zeros(SIZE, np.float32)

    def learn(self, task, users, own):
        return [self.one(task, user, kept) for user, kept in zip(users, own, strict=True)]

    def one(self, task, user, kept):
        self.log.append((task.state.round, user))
        w = task.state.weights.astype(float)
        for _ in range(STEPS):
            w -= RATE * task.algorithm.adjust(gradient(user, w), w, task.state, kept)
        change = (w - task.state.weights).astype(np.float32)
        return Learned(change, float(SIZES[user]), STEPS * RATE, 0.0)

    def evaluate(self, state):
        return {}

    def cohorts(self):
        """Who took part, by the round whose model they got."""
        rounds = sorted({number for number, _ in self.log})
        return [sorted(user for number, user in self.log if number == wanted) for wanted in rounds]


def descend(user, w, correction=0.0, mu=0.0):
    here = w.copy()
    for _ in range(STEPS):
        here -= RATE * (gradient(user, here) + correction + mu * (here - w))
    return here - w


def fedopt(cohorts, update, mu=0.0):
    """Reddi et al., algorithm 2, with a server's step; McMahan et al.'s mean by examples."""
    w, kept = np.zeros(SIZE), {}
    for cohort in cohorts:
        changes = [descend(user, w, mu=mu) for user in cohort]
        w = w + update(np.average(changes, axis=0, weights=SIZES[cohort]), kept)
    return w


def momentum(rate, beta):
    """Hsu et al.: v <- beta v + mean; w <- w + rate v."""

    def update(mean, kept):
        kept["v"] = beta * kept.get("v", 0.0) + mean
        return rate * kept["v"]

    return update


def adaptive(rate, beta1, beta2, tau, *, yogi):
    """Reddi et al., algorithm 2: no bias correction, v_-1 = tau^2."""

    def update(mean, kept):
        kept["m"] = beta1 * kept.get("m", 0.0) + (1 - beta1) * mean
        v = kept.get("v", np.full(SIZE, tau**2))
        squares = mean**2
        towards = np.sign(v - squares) * squares if yogi else v - squares
        kept["v"] = v = v - (1 - beta2) * towards
        return rate * kept["m"] / (np.sqrt(v) + tau)

    return update


CASES = {
    "fedavg": (FedAvg(), lambda mean, kept: mean, 0.0),
    "fedavg, rate 0.5": (FedAvg(rate=0.5), lambda mean, kept: 0.5 * mean, 0.0),
    "fedprox": (FedProx(mu=0.7), lambda mean, kept: mean, 0.7),
    "fedavgm": (FedAvgM(rate=0.5, momentum=0.8), momentum(0.5, 0.8), 0.0),
    "fedadam": (FedAdam(rate=0.1, tau=1e-2), adaptive(0.1, 0.9, 0.99, 1e-2, yogi=False), 0.0),
    "fedyogi": (FedYogi(rate=0.1, tau=1e-2), adaptive(0.1, 0.9, 0.99, 1e-2, yogi=True), 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_reference_of_servers_with_an_optimiser(name):
    algorithm, update, mu = CASES[name]
    learner = Regression()
    run = simulate(Plan(rounds=15, cohort=6, algorithm=algorithm, work=WORK), learner)
    assert [len(cohort) for cohort in learner.cohorts()] == [6] * 15
    assert run.state.weights == pytest.approx(
        fedopt(learner.cohorts(), update, mu), rel=1e-5, abs=1e-6
    )


def scaffold(cohorts, rounds_dropped=()):
    """Karimireddy et al., algorithm 1, option II: plain means over devices, N of them in all."""
    w, c, own = np.zeros(SIZE), np.zeros(SIZE), np.zeros((USERS, SIZE))
    for cohort in cohorts:
        moves, corrections = [], []
        for user in cohort:
            move = descend(user, w, correction=c - own[user])
            after = own[user] - c - move / (STEPS * RATE)
            moves.append(move)
            corrections.append(after - own[user])
            own[user] = after
        w = w + np.mean(moves, axis=0)
        c = c + np.sum(corrections, axis=0) / USERS
    return w, c


@pytest.mark.parametrize(
    "algorithm", [Scaffold(), Scaffold(population=USERS)], ids=["unsaid", "said"]
)
def test_reference_of_scaffold(algorithm):
    learner = Regression()
    run = simulate(Plan(rounds=20, cohort=5, algorithm=algorithm, work=WORK), learner)
    w, c = scaffold(learner.cohorts())
    assert run.state.weights == pytest.approx(w, rel=1e-4, abs=1e-5)
    assert run.state.kept["correction"] == pytest.approx(c, rel=1e-4, abs=1e-5)


def test_reference_of_scaffold_where_devices_leave():
    learner = Regression()
    plan = Plan(
        rounds=20, cohort=8, algorithm=Scaffold(), work=WORK, devices=Devices(dropout_rate=0.4)
    )
    run = simulate(plan, learner)
    w, c = scaffold(learner.cohorts())
    assert run.state.weights == pytest.approx(w, rel=1e-4, abs=1e-5)
    assert run.state.kept["correction"] == pytest.approx(c, rel=1e-4, abs=1e-5)


def test_scaffold_comes_to_the_optimum_and_does_not_diverge():
    x, y = (np.concatenate(parts) for parts in zip(*map(data, range(USERS)), strict=True))
    each = np.repeat(1 / SIZES, SIZES)  # all devices count alike
    best = np.linalg.solve((x * each[:, None]).T @ x, (x * each[:, None]).T @ y)
    run = simulate(Plan(rounds=400, cohort=5, algorithm=Scaffold(), work=WORK), Regression())
    alike = np.ones(USERS)
    assert objective(run.state.weights, alike) < 1.002 * objective(best, alike)


@pytest.mark.parametrize("population", [1, 3, 21])
def test_another_population_than_there_is_is_refused_before_anybody_learns(population):
    learner = Regression()
    with pytest.raises(InputError, match=rf"algorithm\.population: expected 20.*got {population}"):
        simulate(Plan(rounds=3, cohort=5, algorithm=Scaffold(population=population)), learner)
    assert not learner.log


def fedbuff(arrivals, buffer):
    """Nguyen et al., algorithm 1: the sum of K changes over K, each times 1 / sqrt(1 +
    staleness).
    """
    models = [np.zeros(SIZE)]
    for number, start in enumerate(range(0, len(arrivals), buffer)):
        changes = []
        for version, user in arrivals[start : start + buffer]:
            changes.append(descend(user, models[version]) / np.sqrt(1 + number - version))
        models.append(models[-1] + np.sum(changes, axis=0) / buffer)
    return models[-1]


@pytest.mark.parametrize("buffer", [1, 3])
def test_reference_of_fedbuff(buffer):
    learner = Regression()
    devices = Devices(spread=1.0, examples_per_second=1.0)
    plan = Plan(rounds=30, cohort=8, buffer_size=buffer, uniform=True, work=WORK, devices=devices)
    run = simulate(plan, learner)
    assert len(set(learner.log)) == len(learner.log) == 30 * buffer  # no answer counts twice
    assert max(row["stale"] for row in run.rows) > 1
    assert run.state.weights == pytest.approx(fedbuff(learner.log, buffer), rel=1e-4, abs=1e-5)
