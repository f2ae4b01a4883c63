"""A plan on the wire: read alike by all, and nothing in it is run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.algorithms import FedAdam, FedAvg, FedProx, Scaffold
from handheld.federated.learning.learner import ClientWork
from handheld.federated.learning.subspaces import LowRank, RandomMask
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    PlainStage,
    Structured,
    TreeNoise,
    WholeNumbers,
)
from handheld.federated.tasks import DevicePlan
from handheld.federated.updates import Coded, Eden, Largest, Stochastic, Subsample, Whole

SHAPES = ((3, 4), (4,))

PLANS = [
    DevicePlan(shapes=SHAPES),
    DevicePlan(shapes=SHAPES, purpose="evaluation", statistics=4, seed=9),
    DevicePlan(shapes=SHAPES, algorithm=FedProx(0.1), work=ClientWork(2.0, 5, 0.5, 0.9, 7)),
    DevicePlan(shapes=SHAPES, algorithm=FedAdam(rate=0.01)),
    DevicePlan(shapes=SHAPES, algorithm=Scaffold(population=4), equal=True),
    DevicePlan(
        shapes=SHAPES,
        stages=(Clip(1.0), CentralNoise(0.5), WholeNumbers(10)),
        equal=True,
        clients=5,
    ),
    DevicePlan(shapes=SHAPES, stages=(Clip(1.0), LocalNoise(2.0), Compressed(Eden(2))), equal=True),
    DevicePlan(shapes=SHAPES, stages=(Clip(1.0), TreeNoise(0.5)), equal=True),
    DevicePlan(shapes=SHAPES, stages=(AdaptiveClip(),), equal=True),
    DevicePlan(shapes=SHAPES, stages=(Structured(LowRank(1), Eden(4)),)),
    DevicePlan(shapes=SHAPES, stages=(Structured(RandomMask(0.5)), Compressed(Whole()))),
    DevicePlan(shapes=SHAPES, stages=(Compressed(Subsample(0.5, Coded(Stochastic(4)))),)),
    DevicePlan(shapes=SHAPES, stages=(Compressed(Largest(0.5, Eden(4))),)),
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_a_plan_comes_back_from_its_bytes(plan):
    content = plan.to_bytes()
    back = DevicePlan.from_bytes(content)
    assert back == plan
    assert back.to_bytes() == content
    # What is added up is worked out alike on both sides.
    memory = plan.chain.start()
    assert back.chain.facts(memory) == plan.chain.facts(memory)


class Own(PlainStage):
    def after(self, facts, memory):
        return facts


def test_devices_know_our_classes_only():
    with pytest.raises(InputError, match="got a Own: where a plan travels"):
        DevicePlan(shapes=SHAPES, stages=(Own(),)).to_bytes()


def changed(**changes):
    table = json.loads(PLANS[0].to_bytes()) | changes
    return json.dumps(table).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 5000,
        PLANS[0].to_bytes()[:-1],
        changed(version=2),
        changed(version=None),
        changed(stages=[{"name": "os:system"}]),
        changed(stages=[{"name": "compressed", "encoder": {"name": "subprocess:Popen"}}]),
        changed(algorithm={"name": "builtins:eval"}),
        changed(algorithm="fedavg"),
        changed(stages={"name": "clip"}),
        changed(stages=[{"name": "clip", "length": -1}]),
        changed(stages=[{"name": "clip", "length": 1, "more": 1}]),
        changed(stages=[{"name": "central_noise", "multiplier": 1}]),
        changed(shapes=[]),
        changed(shapes=[[1 << 40]]),
        changed(shapes=[[-1]]),
        changed(shapes=[[0]]),
        changed(shapes=[[1]] * 10_001),
        changed(shapes=[[65_536, 65_536]]),
        changed(work={"rate": float("nan")}),
        changed(work={"epochs": "all"}),
        changed(purpose="mining"),
        changed(seed=-1),
        changed(clients=-1.0),
        changed(unknown=1),
        changed(equal="yes"),
        b" " * 70_000 + PLANS[0].to_bytes(),
    ],
    ids=lambda content: content[:60].decode(errors="replace"),
)
def test_what_is_no_plan_is_refused(content):
    with pytest.raises(InputError):
        DevicePlan.from_bytes(content)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_plan_is_a_plan_or_refused(place, value):
    content = bytearray(PLANS[5].to_bytes())
    content[place % len(content)] = value
    try:
        DevicePlan.from_bytes(bytes(content))
    except InputError:
        return


def test_what_it_asks_of_devices():
    plan = PLANS[9]
    state = FedAvg().init([0.0] * 16)
    task = plan.task(state)
    assert task.structure == LowRank(1)
    assert (task.work, task.seed, task.algorithm) == (plan.work, plan.seed, plan.algorithm)
    assert plan.count == 16
