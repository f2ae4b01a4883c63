"""What a folder's run is told from others by: plan, data and network, by content."""

import functools
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_learners import Steady, points
from torch import nn

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.simulator import Plan, simulate
from handheld.federated.stages import Compressed, PlainStage

PLAN = Plan(rounds=2, cohort=6, work=ClientWork(epochs=1, batch=8))


def linear(users=None, test=None, layers=None, **options):
    everybody, judges = points()
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(5, 8), *(layers or [nn.ReLU()]), nn.Linear(8, 3))
    return ModuleLearner(module, users or everybody, test or judges, **options)


def relabelled():
    users, _ = points()
    return Users(Examples(users.examples.inputs, (users.examples.targets + 1) % 3), users.partition)


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        torch.manual_seed(3)
        self.head = nn.Linear(5, 3)
        self.later = function.__name__ == "tanh"

    def forward(self, x):
        return self.head(torch.tanh(x) if self.later else torch.relu(x))


def functional(function):
    users, test = points()
    made = Functional(function)
    learner = ModuleLearner(made, users, test)
    learner._structure = "the same"  # as of a forward method that was edited
    return learner


def by_square(outputs, targets):
    return ((outputs - targets[:, None]) ** 2).mean(dim=1)


OTHERS = {
    "data.targets": (linear, lambda: linear(relabelled())),
    "test": (linear, lambda: linear(test=relabelled().examples)),
    "network": (linear, lambda: linear(layers=[nn.Tanh()])),
    "about": (lambda: functional(torch.relu), lambda: functional(torch.tanh)),
    "made": (lambda: linear(layers=[nn.Dropout(0.1)]), lambda: linear(layers=[nn.Dropout(0.2)])),
    "loss": (linear, lambda: linear(loss=by_square)),
    "freeze_statistics": (linear, lambda: linear(freeze_statistics=True)),
    "at_once": (linear, lambda: linear(at_once=2)),
    "sizes": (Steady, lambda: Steady(sizes={3: 4})),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_data_or_another_network_is_refused_and_named(name, tmp_path):
    one, other = OTHERS[name]
    simulate(PLAN, one(), out=tmp_path)
    with pytest.raises(InputError, match=rf"another plan, data or model \(.*{name}"):
        simulate(replace(PLAN, rounds=4), other(), out=tmp_path)
    before = simulate(replace(PLAN, rounds=4), one(), out=tmp_path)
    assert [row["round"] for row in before.rows] == [1, 2, 3, 4]


class Doubled(FedAvg):
    """A subclass without fields of its own."""

    def apply(self, state, total):
        return state.after((state.weights + 2 * total.mean).astype(np.float32))


class Halved:
    """A plain class after the protocol."""

    corrects = False

    def __init__(self, share=0.5):
        self.share = share

    def init(self, weights):
        return FedAvg().init(weights)

    def adjust(self, gradient, here, state, own):
        return gradient

    def keep(self, change, distance, state, own):
        return own

    def apply(self, state, total):
        return state.after((state.weights + self.share * total.mean).astype(np.float32))


class ToldHalved(Halved):
    def fingerprint(self):
        return {"share": self.share}


class ConfiguredHalved(Halved):
    def config(self):
        return {"share": self.share}


@dataclass(frozen=True)
class Shifted(PlainStage):
    by: float = 0.25

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        return update.with_values(update.values + np.float32(self.by))


@dataclass(frozen=True)
class Doubles:
    factor: int = 1
    unbiased = True

    def encode(self, x, seed):
        return x.astype("<f8").tobytes()

    def decode(self, content, count, seed):
        return np.frombuffer(content, "<f8").astype(np.float32)


@pytest.mark.parametrize(
    ("entry", "made"),
    [
        ("algorithm", Doubled),
        ("algorithm", ToldHalved),
        ("algorithm", ConfiguredHalved),
        ("stages", lambda value: (Shifted(value),)),
        ("stages", lambda value: (Compressed(Doubles(value)),)),
        ("download", Doubles),
    ],
)
def test_own_classes_go_on_and_are_told_from_others_by_their_values(entry, made, tmp_path):
    def plan(rounds, value=0.5):  # made anew each time, as in another process
        return replace(PLAN, rounds=rounds, **{entry: made(value)})

    simulate(plan(3), Steady(), out=tmp_path)
    longer = simulate(plan(5), Steady(), out=tmp_path)
    assert (longer.state.weights == simulate(plan(5), Steady()).state.weights).all()
    with pytest.raises(InputError, match="another plan"):
        simulate(plan(6, 0.25), Steady(), out=tmp_path)


def test_an_own_class_without_content_is_refused_at_the_start(tmp_path):
    with pytest.raises(InputError, match=r"plan\.algorithm: .*Halved .* fingerprint\(\)"):
        simulate(replace(PLAN, algorithm=Halved()), Steady(), out=tmp_path)
    assert not list(tmp_path.iterdir())
    assert (
        len(simulate(replace(PLAN, algorithm=Halved()), Steady()).rows) == 2
    )  # nothing is kept: nothing is asked


def test_a_learner_goes_on_as_another_process_would(tmp_path):
    plan = replace(PLAN, rounds=4)
    made = linear()
    simulate(PLAN, made, out=tmp_path)
    whole = simulate(plan, linear())
    assert (simulate(plan, made, out=tmp_path).state.weights == whole.state.weights).all()


def test_the_examples_of_the_documentation_learn_and_go_on(tmp_path):
    sys.path.append(str(Path(__file__).parents[3] / "examples" / "federated"))
    try:
        import own
    finally:
        sys.path.pop()
    plan = Plan(
        rounds=30,
        cohort=20,
        algorithm=own.Fading(half_life=10.0),
        work=ClientWork(epochs=2, batch=5, rate=0.2),
        stages=(own.Forget(1e-5), Compressed(own.Halves())),
    )
    whole = simulate(plan, own.Lines())
    assert whole.state.weights == pytest.approx([3, 1], abs=0.05)
    simulate(replace(plan, rounds=10), own.Lines(), out=tmp_path)
    assert (simulate(plan, own.Lines(), out=tmp_path).state.weights == whole.state.weights).all()
    with pytest.raises(InputError, match=r"learner\.values\.slope was 3, is 4 now"):
        simulate(replace(plan, rounds=40), own.Lines(slope=4.0), out=tmp_path)


def test_a_loss_made_on_the_spot_is_told_by_what_it_does(tmp_path):
    def scaled(factor):
        return lambda outputs, targets: (
            factor * nn.functional.cross_entropy(outputs, targets, reduction="none")
        )

    simulate(PLAN, linear(loss=scaled(1.0)), out=tmp_path)
    simulate(PLAN, linear(loss=scaled(1.0)), out=tmp_path)
    with pytest.raises(InputError, match="loss"):
        simulate(PLAN, linear(loss=scaled(2.0)), out=tmp_path)
    module = functools.partial(nn.functional.cross_entropy, reduction="none")
    simulate(PLAN, linear(loss=module), out=tmp_path / "partial")
    simulate(PLAN, linear(loss=nn.CrossEntropyLoss(reduction="none")), out=tmp_path / "module")


def test_a_folder_is_one_runs_at_a_time(tmp_path):
    def second(done, rounds, row):
        with pytest.raises(
            InputError, match=r"another run uses .*: wait for it, stop it, or name another folder"
        ):
            simulate(PLAN, Steady(), out=tmp_path)

    simulate(PLAN, Steady(), out=tmp_path, progress=second)
    assert (
        len(simulate(replace(PLAN, rounds=4), Steady(), out=tmp_path).rows) == 4
    )  # it is free again


@pytest.mark.parametrize("within", ["file", "file/run"])
def test_a_folder_that_cannot_be_written_is_told_before_anybody_learns(within, tmp_path):
    (tmp_path / "file").write_text("")
    learner = Steady()
    with pytest.raises(InputError, match="cannot be written"):
        simulate(PLAN, learner, out=tmp_path / within)
    assert not learner.learned


def test_a_run_that_was_killed_goes_on(tmp_path):
    """By SIGKILL, so that nothing can be done at the end: the lock is free, and the newest whole
    state is taken.
    """
    script = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from made_learners import Steady\n"
        "from handheld.federated.simulator import Plan, rounds, simulate\n"
        "rounds._SAVE_SECONDS = -1\n"
        "def kill(done, of, row):\n"
        "    if done == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"simulate(Plan(rounds=5, cohort=4), Steady(), out={str(tmp_path)!r}, progress=kill)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    seen = []
    plan = Plan(rounds=5, cohort=4)
    run = simulate(plan, Steady(), out=tmp_path, progress=lambda done, of, row: seen.append(done))
    assert seen == [3, 4, 5]
    assert (run.state.weights == simulate(plan, Steady()).state.weights).all()
