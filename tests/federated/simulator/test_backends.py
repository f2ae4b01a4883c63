"""Processes that learn: what goes wrong with them is said in one line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_learners import Steady, points

from handheld.errors import HandheldError, InputError
from handheld.federated.algorithms import FedAvg, ServerState
from handheld.federated.learning import ClientTask, ClientWork
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.simulator import Plan, backends, ray_backend, simulate
from handheld.federated.simulator.jobs import ClientJob
from handheld.federated.stages import Compressed, StageChain
from handheld.federated.updates import Eden

PLAN = Plan(rounds=1, cohort=4, work=ClientWork(batch=8))
SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from made_learners import Steady
from handheld.federated.simulator import Plan, simulate
print(simulate(Plan(rounds=1, cohort=4), Steady(), workers=2).state.weights.tolist())
"""


def script(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(text)
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)


def test_a_script_without_a_guard_is_told_so_once(tmp_path):
    done = script(tmp_path, SCRIPT.format(folder=str(Path(__file__).parent)))
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert 'put what it does under  if __name__ == "__main__":' in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr
    assert "bootstrapping" not in done.stderr


def test_a_script_with_a_guard_runs(tmp_path):
    head, _, last = SCRIPT.format(folder=str(Path(__file__).parent)).rpartition("print(")
    done = script(tmp_path, f'{head}if __name__ == "__main__":\n    print({last}')
    assert (done.returncode, done.stdout.strip()) == (0, "[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]"), (
        done.stderr
    )


class Dying(Steady):
    def learn(self, task, users, own):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_keeps_its_message(tmp_path):
    with pytest.raises(
        HandheldError, match="died, perhaps for want of memory; the same command goes on"
    ):
        simulate(PLAN, Dying(), workers=2)


class Local:
    pass


@pytest.mark.parametrize(
    ("learner", "stages", "why"),
    [
        (
            lambda: ModuleLearner(
                torch.nn.Linear(5, 3), points()[0], loss=lambda outputs, targets: outputs.sum(dim=1)
            ),
            (),
            r"learner\.loss: .*<lambda> cannot go to another process .* top level of a module",
        ),
        (lambda: Steady(broken={3: lambda: 0}), (), r"learner\.broken\.3: .*<lambda> cannot go"),
        (Steady, "local", r"stages\.stages\.0\.encoder: a .*Inner cannot go to another process"),
    ],
)
def test_what_cannot_go_to_another_process_is_named(learner, stages, why):
    class Inner(Eden):
        pass

    plan = Plan(rounds=1, cohort=4, stages=(Compressed(Inner(1)),) if stages else ())
    with pytest.raises(InputError, match=why):
        simulate(plan, learner(), workers=2)


def test_a_learner_that_another_process_cannot_make_is_told(monkeypatch):
    class Vanishing(Steady):
        def __reduce__(self):
            return (int, ("no number",))

    with pytest.raises(
        InputError, match=r"another process cannot make the learner again \(ValueError"
    ):
        simulate(PLAN, Vanishing(), workers=2)


def test_this_process_was_not_started_to_learn():
    backends.refuse_in_a_started_process(workers=2)


class AtOnce:
    """Ray, as far as it is used, in this process: what is put is told by its number."""

    exceptions = ray_backend

    def __init__(self):
        self.held = []

    def put(self, value):
        self.held.append(value)
        return len(self.held) - 1

    def get(self, result):
        return result

    def remote(self, population, state, job):
        return ray_backend._work(self.held[population], self.held[state], job)


class Echo(Steady):
    """Devices whose change is the model that they got."""

    def learn(self, task, users, own):
        return [
            replace(learned, change=task.state.weights)
            for learned in super().learn(task, users, own)
        ]


def test_devices_on_a_cluster_learn_from_the_model_of_their_own_round():
    ray = AtOnce()
    learner = Echo(size=1)
    stages = StageChain((), FedAvg(), learner.shapes)
    cluster = ray_backend.RayBackend(ray, ray.put((learner, stages)), ray)
    models = [ServerState(np.full(1, number, np.float32)) for number in (3.0, 5.0)]
    jobs = [
        ClientJob(ClientTask(models[number], FedAvg(), ClientWork()), (), [0], {})
        for number in (0, 1, 0)
    ]
    changes = [result.total.mean.tolist() for result in cluster.results(jobs)]
    assert changes == [[3.0], [5.0], [3.0]]
    assert len(ray.held) == 3  # the population, and each model once
