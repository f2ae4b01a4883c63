"""What modules keep in plain Python attributes begins anew with each device."""

import numpy as np
import pytest
import torch
from torch import nn

from handheld.data.users.partitions import evenly
from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, ServerState
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.learner import ClientTask
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.plain_state import PlainState


class Keeps(nn.Module):
    """Takes off a running mean that it keeps for itself, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.mean = torch.zeros(4)
        self.calls = {"forward": 0}

    def forward(self, x):
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.mean(0).detach()
            self.calls["forward"] += 1
            self.last = x.detach()
        return self.layer(x - self.mean) * (1 + 0.1 * self.calls["forward"])


class Options(nn.Module):
    """Has plain attributes that never change."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.scale = torch.tensor([2.0])
        self.names = ["a", ("b", np.arange(3))]

    def forward(self, x):
        return self.layer(x) * self.scale


def learner_of(module, **options):
    rng = np.random.default_rng(0)
    examples = Examples(rng.normal(size=(60, 4)).astype(np.float32) * 3, rng.integers(0, 3, 60))
    return ModuleLearner(module, Users(examples, evenly(60, 6, seed=0)), **options)


def task_of(learner):
    state = ServerState(learner.start(), statistics=learner.statistics())
    return ClientTask(state, FedAvg(), ClientWork(epochs=2, batch=5, rate=0.1), seed=0)


def changes(learner, users):
    return {
        user: learned.change
        for user, learned in zip(
            users, learner.learn(task_of(learner), users, [None] * len(users)), strict=True
        )
    }


def test_a_devices_update_does_not_depend_on_who_learned_before():
    torch.manual_seed(0)
    module = Keeps()
    alone = {user: changes(learner_of(module), [user])[user] for user in range(6)}
    together = changes(learner_of(module), range(6))
    backwards = changes(learner_of(module), range(5, -1, -1))
    for user in range(6):
        assert np.array_equal(alone[user], together[user])
        assert np.array_equal(alone[user], backwards[user])


def test_what_changes_is_found_and_put_back():
    module = Keeps()
    state = PlainState.of(module, lambda tried: tried(torch.ones(2, 4)))
    assert state
    module.train()
    module(torch.ones(3, 4))
    state.restore(module)
    assert torch.equal(module.mean, torch.zeros(4))
    assert module.calls == {"forward": 0}
    assert not hasattr(module, "last")


def test_what_does_not_change_costs_nothing():
    learner = learner_of(Options())
    assert not PlainState.of(Options(), lambda tried: tried(torch.ones(2, 4)))
    assert learner.at_once > 1


def test_side_by_side_is_refused_and_never_chosen():
    assert learner_of(Keeps()).at_once == 1
    with pytest.raises(InputError, match="keeps state in plain attributes"):
        learner_of(Keeps(), at_once=4).check()
