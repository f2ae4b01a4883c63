"""What a server makes of a round: the same as a simulation, and nothing of what makes no sense."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handheld.data.users.partitions import by_quantity
from handheld.errors import InputError, TrainingError
from handheld.federated import privacy
from handheld.federated.algorithms import FedAdam, FedAvg, Median
from handheld.federated.client import ClientRound, secret_seeds, seeds
from handheld.federated.client.messages import answer_bytes
from handheld.federated.device import ClientDemands
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.evaluation import ExampleScores
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.subspaces import RandomMask
from handheld.federated.rounds import FederationState
from handheld.federated.server.task import PlainUpload, Received, SecureUpload
from handheld.federated.simulator import Plan, simulate
from handheld.federated.stages import (
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    Structured,
    WholeNumbers,
)
from handheld.federated.tasks import DevicePlan, EvaluationTask, TrainingTask, evaluation, training
from handheld.federated.tasks.evaluation import evaluation_numbers
from handheld.federated.updates import Coded, Eden, Largest, Subsample

USERS = 8
WORK = ClientWork(epochs=2, batch=5, rate=0.2)


def learner():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=200)
    inputs = (np.eye(3, 5)[targets] * 3 + rng.normal(size=(200, 5))).astype(np.float32)
    examples = Examples(inputs, targets)
    torch.manual_seed(0)
    module = torch.nn.Linear(5, 3)
    return ModuleLearner(module, Users(examples, by_quantity(200, USERS, skew=1, seed=0)), examples)


def task_of(made, *stages, **options):
    plan = DevicePlan(
        shapes=tuple(map(tuple, made.shapes)),
        work=WORK,
        stages=stages,
        equal=options.pop("equal", bool(stages)),
        clients=float(USERS),
        seed=3,
    )
    return TrainingTask(
        name="points", plan=plan, weights=made.start(), first_statistics=np.empty(0), **options
    )


def answers(made, task, state, drawn=seeds):
    """Return each device's answer, and its number."""
    shared = FederationState.from_bytes(task.public(state), 1 << 20)
    client_task = task.plan.task(shared.server)
    round_ = ClientRound(client_task, task.plan.chain, shared.memory)
    for user in range(USERS):
        one = made.learn(client_task, [user], [None])[0]
        yield round_.answer(one, None, drawn(client_task, user)), user


def simulated(made, rounds, *stages, **options):
    plan = Plan(rounds=rounds, cohort=USERS, work=WORK, stages=stages, seed=3, **options)
    return simulate(plan, made).state.weights


@pytest.mark.parametrize(
    ("stages", "options", "plan_options"),
    [
        ((), {}, {}),
        ((Compressed(Eden(4)),), {"equal": False}, {}),
        ((Clip(0.5), Compressed(Eden(4))), {}, {"uniform": True}),
        ((), {"robust": Median()}, {"robust": Median()}),
    ],
    ids=str,
)
def test_plain_rounds_give_what_a_simulation_gives(stages, options, plan_options):
    made = learner()
    task = task_of(made, *stages, **options)
    state = task.start()
    for _ in range(3):
        uploads = [answer_bytes(*answer) for answer in answers(made, task, state)]
        most_bytes = task.upload(state).most_bytes
        assert max(map(len, uploads)) <= most_bytes
        closed = task.close(state, Received(clients=USERS, uploads=uploads))
        assert closed.figures["rejected"] == 0
        state = closed.state
    weights = FederationState.from_bytes(state, 1 << 20).server.weights
    expected = simulated(made, 3, *stages, **plan_options)
    # The order of additions alone is another.
    assert weights == pytest.approx(expected, abs=2e-6)
    assert np.abs(weights - task.weights).max() > 0.1


def test_secure_rounds_give_what_a_simulation_gives():
    made = learner()
    stages = (Clip(1.0), WholeNumbers(USERS, bits=16))
    task = task_of(made, *stages)
    state = task.start()
    for _ in range(3):
        terms = task.upload(state)
        total = np.zeros(terms.count, np.uint32)
        for answer, _ in answers(made, task, state, drawn=secret_seeds):
            total += answer.upload.content
        total &= np.uint32((1 << terms.bits) - 1)
        state = task.close(state, Received(clients=USERS, total=total)).state
    weights = FederationState.from_bytes(state, 1 << 20).server.weights
    expected = simulated(made, 3, *stages, uniform=True)
    # Each side rounds by random numbers of its own, to steps of 1 / 2^15.
    assert weights == pytest.approx(expected, abs=1e-3)


def test_what_a_secure_task_asks_for():
    task = task_of(learner(), Clip(1.0), WholeNumbers(100, bits=8))
    upload = task.upload(task.start())
    # 18 weights, in blocks of powers of two; 100 clients of 8 bits.
    assert isinstance(upload, SecureUpload)
    assert (upload.bits, upload.most_clients) == (15, 100)
    plain = task_of(learner())
    assert isinstance(plain.upload(plain.start()), PlainUpload)


def test_uploads_that_make_no_sense_are_left_out():
    made = learner()
    task = task_of(made)
    state = task.start()
    good = [answer_bytes(*answer) for answer in answers(made, task, state)]
    nan = good[0][:5] + np.full(1, np.nan, "<f4").tobytes() + good[0][9:]
    bad = [b"", b"\xc1" * 40, good[0][:-3], nan]
    closed = task.close(state, Received(clients=USERS + 4, uploads=[*good, *bad]))
    assert closed.figures["rejected"] == 4
    assert closed.state == task.close(state, Received(clients=USERS, uploads=good)).state


def test_one_device_cannot_set_the_mean_by_its_weight():
    made = learner()
    task = task_of(made, max_weight=2.0)
    state = task.start()
    all_answers = [answer for answer, _ in answers(made, task, state)]
    sent = [answer_bytes(answer, user) for user, answer in enumerate(all_answers)]
    median = float(np.median([answer.weight for answer in all_answers]))
    weights = [min(answer.weight, 2 * median) for answer in all_answers]
    assert max(weights) < max(answer.weight for answer in all_answers)
    mean = sum(
        weight * np.frombuffer(answer.upload.content, "<f4").astype(float)
        for weight, answer in zip(weights, all_answers, strict=True)
    ) / sum(weights)
    closed = task.close(state, Received(clients=USERS, uploads=sent))
    got = FederationState.from_bytes(closed.state, 1 << 20).server.weights
    assert got == pytest.approx(task.weights + mean, abs=1e-6)


def test_a_round_without_any_use_is_given_up():
    task = task_of(learner())
    with pytest.raises(InputError, match="too few"):
        task.close(task.start(), Received(clients=2, uploads=[b"", b"x"]))


def test_weights_that_overflow_end_the_round():
    made = learner()
    task = task_of(made)
    state = task.start()
    answer, user = next(iter(answers(made, task, state)))
    huge = np.full(18, 3e38, np.float32)
    upload = replace(answer.upload, content=huge.tobytes())
    sent = answer_bytes(replace(answer, upload=upload), user)
    first = task.close(state, Received(clients=1, uploads=[sent])).state
    with pytest.raises(TrainingError, match="not finite"):
        task.close(first, Received(clients=1, uploads=[sent]))


def test_noise_promises_and_is_counted_for_who_takes_part_each_round():
    made = learner()
    task = task_of(made, Clip(1.0), CentralNoise(2.0), WholeNumbers(USERS), population=1000)
    terms = task.upload(task.start())
    received = Received(clients=USERS, total=np.zeros(terms.count, np.uint32))
    closed = task.close(task.start(), received)
    expected = privacy.central(2.0, 1, USERS, 1000, 1 / 1001, sampling="unknown").epsilon
    assert closed.figures["epsilon"] == pytest.approx(expected)
    after = task.close(closed.state, received)
    assert after.figures["epsilon"] > closed.figures["epsilon"]
    assert "loss" not in after.figures
    # Noise is another each time the round is closed, as a server does that died meanwhile.
    assert task.close(task.start(), received).state != closed.state


def test_an_optimiser_of_the_server_is_nothing_to_devices():
    made = learner()
    task = task_of(made)
    adam = replace(task, plan=replace(task.plan, algorithm=FedAdam()))
    sent = [answer_bytes(*answer) for answer in answers(made, adam, adam.start())]
    state = adam.close(adam.start(), Received(clients=USERS, uploads=sent)).state
    assert FederationState.from_bytes(state, 1 << 20).server.kept
    assert not FederationState.from_bytes(adam.public(state), 1 << 20).server.kept


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "no name"}, "name"),
        ({"weights": np.zeros(3, np.float32)}, "weights"),
        ({"weights": np.full(18, np.inf, np.float32)}, "weights"),
        ({"first_statistics": np.zeros(2)}, "statistics"),
        ({"max_weight": 0.5}, "max_weight"),
        ({"population": 0}, "population"),
    ],
    ids=str,
)
def test_tasks_that_make_no_sense(changes, why):
    with pytest.raises(InputError, match=why):
        replace(task_of(learner()), **changes)


def test_what_would_be_seen_beside_a_secure_sum_is_refused():
    made = learner()
    with pytest.raises(InputError, match="robust"):
        task_of(made, Clip(1.0), WholeNumbers(8), robust=Median())
    plan = DevicePlan(shapes=((2,),), statistics=2, stages=(Clip(1.0), WholeNumbers(8)), equal=True)
    zeros = np.zeros(2, np.float32)
    with pytest.raises(InputError, match="statistics"):
        TrainingTask(name="a", plan=plan, weights=zeros, first_statistics=np.zeros(2))
    with pytest.raises(InputError, match="population"):
        task_of(made, Clip(1.0), LocalNoise(1.0))


@pytest.mark.parametrize(
    "stage",
    [
        Compressed(Subsample(0.1)),
        Compressed(Largest(0.1)),
        Compressed(Coded(Subsample(0.5))),
        Structured(RandomMask(0.5)),
    ],
    ids=str,
)
def test_sums_to_which_few_add_at_a_place_are_refused_on_both_sides(stage):
    made = learner()
    stages = (stage, Clip(1.0), WholeNumbers(8))
    with pytest.raises(InputError, match="leaves numbers out"):
        task_of(made, *stages)
    plan = DevicePlan(shapes=((18,),), stages=stages, equal=True)
    with pytest.raises(InputError, match="leaves numbers out"):
        ClientDemands().require(plan, is_secure=True)
    # Plainly they may travel so, and all of the numbers under masks.
    task_of(made, stage)
    task_of(made, Compressed(Eden(2)), Clip(1.0), WholeNumbers(8))


OPTIONS = {
    "name": "digits",
    "shape": [1, 8, 8],
    "classes": 10,
    "model": {"network": "linear"},
    "work": {"epochs": 2, "batch": 10},
    "stages": [{"name": "clip", "length": 1.0}, {"name": "whole_numbers", "clients": 20}],
    "seed": 4,
}


def test_a_task_from_a_configuration():
    task = training(**OPTIONS)
    assert (task.name, task.purpose, task.plan.count) == ("digits", "training", 650)
    assert task.plan.equal
    assert isinstance(task.upload(task.start()), SecureUpload)
    # Each server process makes the same first model.
    assert training(**OPTIONS).start() == task.start()
    measured = evaluation(**OPTIONS | {"name": "digits-eval"})
    assert (measured.name, measured.purpose) == ("digits-eval", "evaluation")
    assert DevicePlan.from_bytes(measured.plans()[1]).purpose == "evaluation"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": {"network": "none"}}, "no network 'none'"),
        ({"classes": 0}, "classes"),
        ({"shape": [0]}, "shape"),
        ({"algorithm": {"name": "scaffold"}, "stages": []}, "keep no state"),
        ({"unknown": 1}, "unknown"),
        ({"stages": [{"name": "whole_numbers", "clients": 20}]}, "clip before"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_named(changes, why):
    with pytest.raises(InputError, match=why):
        training(**OPTIONS | changes)


def scores(right, losses):
    count = len(losses)
    return ExampleScores(np.array(losses, float), np.array(right), np.ones(count, int))


def test_an_evaluation_is_the_mean_over_examples():
    made = learner()
    task = EvaluationTask(name="eval", plan=task_of(made).plan)
    all_scores = [
        scores([1, 0, 1], [0.5, 1.5, 0.25]),
        scores([0], [2.0]),
        scores([1] * 5000, [0.125] * 5000),
    ]
    total = sum(evaluation_numbers(one) for one in all_scores).astype(np.uint32)
    state = task_of(made).start()
    closed = task.close(state, Received(clients=3, total=total))
    assert closed.state == state
    # A device counts for 1,000 examples at most.
    assert closed.figures["test_examples"] == 1004
    assert closed.figures["test_accuracy"] == pytest.approx(1002 / 1004, abs=1e-3)
    assert closed.figures["test_loss"] == pytest.approx((2.25 + 2.0 + 125) / 1004, abs=1e-3)


def test_sums_of_evaluations_fit_the_modulus():
    task = EvaluationTask(name="eval", plan=task_of(learner()).plan)
    upload = task.upload(b"")
    worst = evaluation_numbers(scores([1] * 2000, [np.inf] * 2000))
    assert int(worst.max()) * upload.most_clients < 1 << upload.bits
    assert int(worst.max()) * (upload.most_clients + 1) >= 1 << upload.bits


def test_an_evaluation_of_numbers_has_no_accuracy():
    regression = ExampleScores(np.ones(3), np.zeros(3, int), np.zeros(3, int))
    task = EvaluationTask(name="eval", plan=task_of(learner()).plan)
    closed = task.close(b"", Received(clients=1, total=evaluation_numbers(regression)))
    assert closed.figures == {"test_loss": 1.0, "test_examples": 3.0}


def test_nobody_had_an_example():
    task = EvaluationTask(name="eval", plan=task_of(learner()).plan)
    with pytest.raises(InputError, match="no device had an example"):
        task.close(b"", Received(clients=1, total=np.zeros(4, np.uint32)))


def test_the_plan_and_algorithm_are_those_of_the_paper_by_default():
    assert task_of(learner()).plan.algorithm == FedAvg()
