import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_learners import Steady, points

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import (
    FedAdam,
    FedAvg,
    FedSGD,
    Krum,
    Median,
    Scaffold,
    TrimmedMean,
)
from handheld.federated.learning import ClientWork
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.learning.subspaces import LowRank, RandomMask
from handheld.federated.simulator import Devices, Plan, simulate
from handheld.federated.simulator import rounds as simulating
from handheld.federated.simulator.checkpoint import kept_noise
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    Structured,
    TreeNoise,
    WholeNumbers,
)
from handheld.federated.updates import Eden, Largest, Stochastic

WORK = ClientWork(epochs=2, batch=8, rate=0.1)
NOISY = Plan(
    rounds=6,
    cohort=6,
    algorithm=FedAdam(rate=0.1),
    work=WORK,
    uniform=True,
    stages=(AdaptiveClip(), CentralNoise(0.1)),
)
PLANS = {
    "compressed": Plan(
        rounds=6, cohort=6, work=WORK, stages=(Compressed(Eden(4)),), download=Stochastic(8)
    ),
    "corrected": Plan(rounds=6, cohort=6, work=WORK, algorithm=Scaffold(population=12)),
    "noisy": NOISY,
    "whole": replace(
        NOISY, algorithm=FedAvg(), stages=(Clip(1.0), TreeNoise(0.1), WholeNumbers(6))
    ),
    "fed back": Plan(
        rounds=6, cohort=6, work=WORK, stages=(Compressed(Largest(0.2)),), error_feedback=True
    ),
    "structured": Plan(rounds=6, cohort=6, work=WORK, stages=(Structured(LowRank(1), Eden(8)),)),
    "without rounds": Plan(
        rounds=6,
        cohort=5,
        buffer_size=3,
        work=WORK,
        devices=Devices(ready=0.7, dropout_rate=0.2, spread=1),
    ),
    "poisson": replace(
        NOISY,
        sampling="poisson",
        devices=Devices(dropout_rate=0.2, ready=0.7, night=0.5, deadline=600),
    ),
    "devices": Plan(
        rounds=6,
        cohort=6,
        work=WORK,
        devices=Devices(ready=0.7, night=0.5, dropout_rate=0.2, spread=1, over_selection=1.3),
    ),
}


def learner(at_once=2):
    torch.manual_seed(3)
    users, test = points()
    return ModuleLearner(torch.nn.Linear(5, 3), users, test, at_once=at_once)


def same(one, other):
    assert (one.state.weights == other.state.weights).all()
    assert one.rows == other.rows


@pytest.mark.parametrize("name", PLANS)
def test_a_run_that_stopped_goes_on_to_the_same_bits(name, tmp_path, monkeypatch):
    monkeypatch.setattr(simulating, "_SAVE_SECONDS", -1)
    plan, whole = PLANS[name], simulate(PLANS[name], learner())

    def stop(done, rounds, row):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(plan, learner(), out=tmp_path, progress=stop)
    seen = []
    same(
        simulate(
            plan, learner(), out=tmp_path, progress=lambda done, rounds, row: seen.append(done)
        ),
        whole,
    )
    assert seen == [5, 6]  # Ctrl-C after round 4 kept it
    same(simulate(plan, learner(), out=tmp_path), whole)


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_gives_the_same_bits(workers):
    for name in (
        ("compressed", "corrected", "noisy", "structured")
        if workers == 2
        else ("whole", "without rounds", "fed back", "poisson")
    ):
        same(simulate(PLANS[name], learner(), workers=workers), simulate(PLANS[name], learner()))


def test_a_cluster_gives_the_same_bits():
    pytest.importorskip("ray")
    same(
        simulate(PLANS["corrected"], learner(), backend="ray"),
        simulate(PLANS["corrected"], learner()),
    )


def test_a_cluster_gives_the_same_statistics():
    pytest.importorskip("ray")
    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4, momentum=None), torch.nn.Linear(4, 3)
    )
    users, test = points()
    made = ModuleLearner(network, users, test)
    plan = Plan(rounds=3, cohort=6, work=WORK)
    one, other = simulate(plan, made, backend="ray"), simulate(plan, made)
    same(one, other)
    assert (one.state.statistics == other.state.statistics).all()
    assert len(one.state.statistics) == 9


@pytest.mark.parametrize("damage", [b"", b"PK nonsense", None])
def test_of_a_damaged_checkpoint_the_one_before_is_used(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(simulating, "_SAVE_SECONDS", -1)
    plan = PLANS["compressed"]
    whole = simulate(plan, learner(), out=tmp_path)
    newest = tmp_path / "state.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(bytes(content) if damage is None else damage)
    seen = []
    same(
        simulate(
            plan, learner(), out=tmp_path, progress=lambda done, rounds, row: seen.append(done)
        ),
        whole,
    )
    assert seen == [6]


def rewrite(path, change):
    """Change what a checkpoint says beside its arrays."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files}
    about = json.loads(arrays["about"].tobytes()) | change
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    "change",
    [{"flights": [[1]]}, {"versions": [3]}, {"stages": "none"}, {"stages": None}, {"flights": 5}],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_that_is_none_is_named(tmp_path, change):
    plan = PLANS["compressed"]
    simulate(plan, learner(), out=tmp_path)
    rewrite(tmp_path / "state.npz", change)
    with pytest.raises(InputError, match=r"its checkpoint is damaged .* delete it to begin again"):
        simulate(plan, learner(), out=tmp_path)


@pytest.mark.parametrize("identity", [5, "run", {"plan": {"stages": [5]}}, {"plan": 5}])
def test_a_checkpoint_of_nothing_known_is_another_run(tmp_path, identity):
    plan = PLANS["compressed"]
    simulate(plan, learner(), out=tmp_path)
    rewrite(tmp_path / "state.npz", {"identity": identity})
    assert kept_noise(tmp_path) is None
    with pytest.raises(
        InputError, match=r"another plan, data or model|no checkpoint in it is whole"
    ):
        simulate(plan, learner(), out=tmp_path)


def test_a_folder_without_a_whole_checkpoint_stays_as_it_is(tmp_path):
    (tmp_path / "state.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no checkpoint in it is whole"):
        simulate(PLANS["noisy"], learner(), out=tmp_path)
    assert (tmp_path / "state.npz").read_bytes() == b"nothing"


def test_a_folder_of_another_run_is_refused(tmp_path):
    simulate(PLANS["noisy"], learner(), out=tmp_path)
    with pytest.raises(InputError, match="another plan"):
        simulate(replace(PLANS["noisy"], seed=1), learner(), out=tmp_path)
    longer = replace(PLANS["noisy"], rounds=8)
    same(simulate(longer, learner(), out=tmp_path), simulate(longer, learner()))


def test_one_round_of_all_devices_is_a_step_along_the_gradient():
    plan = Plan(
        rounds=1, cohort=12, algorithm=FedSGD(rate=0.3), work=ClientWork(batch=None, rate=1.0)
    )
    made = learner()
    weights = simulate(plan, made).state.weights
    module = torch.nn.Linear(5, 3)
    made.vector.bind(module, torch.from_numpy(made.start()), torch.zeros(len(made.vector)))
    examples = made.users.examples
    loss = torch.nn.functional.cross_entropy(
        module(torch.from_numpy(examples.inputs)), torch.from_numpy(examples.targets)
    )
    loss.backward()
    slope = torch.cat([p.grad.ravel() for p in module.parameters()]).numpy()
    assert weights == pytest.approx(made.start() - 0.3 * slope, abs=1e-5)


@pytest.mark.parametrize(
    "work", [ClientWork(epochs=5, rate=1.0), ClientWork(batch=10), ClientWork(batch=10, steps=2)]
)
def test_federated_sgd_of_several_steps_is_refused_by_its_name(work):
    with pytest.raises(InputError, match=r"algorithm: FedSGD.*one step.*got epochs.*take FedAvg"):
        Plan(algorithm=FedSGD(), work=work)


@pytest.mark.parametrize(
    "work",
    [
        ClientWork(),
        ClientWork(epochs=5, steps=1),
        ClientWork(batch=10, steps=1),
        ClientWork(epochs=0.3),
    ],
)
def test_federated_sgd_of_one_step(work):
    assert Plan(algorithm=FedSGD(), work=work).work is work


def test_it_learns():
    run = simulate(
        Plan(rounds=30, cohort=4, work=WORK, eval_every=10),
        learner(64),
        until=lambda row: row["round"] == 20,
    )
    assert len(run.rows) == 20
    assert run.rows[-1]["test_accuracy"] > 0.9 > run.rows[-1]["test_loss"]
    assert run.first("test_accuracy", 0.9) in (10, 20)
    assert run.first("test_accuracy", 1.1) is None


BROKEN = {
    2: np.full(6, np.nan, np.float32),
    3: np.full(6, np.inf, np.float32),
    4: np.ones(7, np.float32),
    5: np.ones((2, 3), np.float32),
    6: np.ones(6),
}


@pytest.mark.parametrize("robust", [None, Median()])
def test_broken_updates_are_named_and_counted_and_the_round_survives(robust):
    run = simulate(Plan(rounds=2, cohort=20, robust=robust), Steady(broken=BROKEN, sizes={1: 0}))
    assert run.state.weights.tolist() == [2.0] * 6
    assert [(row["rejected"], row["answered"], row["given_up"]) for row in run.rows] == [
        (6, 14, 0)
    ] * 2
    assert sorted(run.rejected) == [1, 2, 3, 4, 5, 6]
    assert run.rejected[1] == "no examples"
    assert "got nan at 0 of 6" in run.rejected[2]
    assert "6 numbers in an update, got 7" in run.rejected[4]
    assert "float64" in run.rejected[6]


def test_a_round_in_which_nothing_counts_leaves_the_model():
    empty = dict.fromkeys(range(99), 0)  # the hundredth has examples, and is not asked
    run = simulate(Plan(rounds=2, cohort=3), Steady(users=100, sizes=empty))
    assert run.times[99] == 0
    assert run.state.weights.tolist() == [0.0] * 6
    assert [row["given_up"] for row in run.rows] == [1, 1]


def test_half_of_the_devices_leave():
    run = simulate(Plan(rounds=40, cohort=20, devices=Devices(dropout_rate=0.5)), Steady())
    assert run.state.weights.tolist() == [40.0] * 6
    assert 300 < sum(row["gone"] for row in run.rows) < 500
    assert all(row["gone"] + row["answered"] == row["asked"] == 20 for row in run.rows)


def test_too_few_answers_give_a_round_up():
    plan = Plan(
        rounds=10,
        cohort=10,
        devices=Devices(dropout_rate=0.9, min_report_fraction=0.8, deadline=60),
    )
    learner = Steady()
    run = simulate(plan, learner)
    assert run.state.weights.tolist() == [0.0] * 6
    assert not learner.learned
    assert [row["given_up"] for row in run.rows] == [1] * 10
    assert run.rows[-1]["seconds"] == 600


def test_a_device_of_a_million_examples_does_not_drown_the_others():
    heavy = {0: np.full(6, 100, np.float32)}
    plan = Plan(rounds=1, cohort=20, max_weight=2.0)
    run = simulate(plan, Steady(sizes={0: 10_000_000}, broken=heavy))
    assert run.state.weights == pytest.approx([(19 * 10 + 20 * 100) / 210] * 6)
    assert simulate(
        replace(plan, uniform=True), Steady(sizes={0: 10_000_000}, broken=heavy)
    ).state.weights == pytest.approx(5.95)
    assert (
        simulate(replace(plan, robust=Median()), Steady(broken=heavy)).state.weights.tolist()
        == [1.0] * 6
    )


def test_weights_that_are_not_finite_end_the_run_and_keep_what_was_before(tmp_path, monkeypatch):
    monkeypatch.setattr(simulating, "_SAVE_SECONDS", -1)
    broken = {user: np.full(6, 2e38, np.float32) for user in range(20)}
    with pytest.raises(TrainingError, match=r"after round 2 .* not finite"):
        simulate(Plan(rounds=9), Steady(broken=broken), out=tmp_path)
    with np.load(tmp_path / "state.npz") as file:
        assert np.isfinite(file["weights"]).all()


def test_more_are_asked_than_wanted_and_the_slowest_come_too_late():
    plan = Plan(rounds=5, cohort=10, devices=Devices(over_selection=1.5, spread=1.0))
    run = simulate(plan, Steady())
    assert [(row["asked"], row["answered"], row["late"]) for row in run.rows] == [(15, 10, 5)] * 5


def test_bytes_are_those_that_travel():
    run = simulate(Plan(rounds=1, cohort=5), Steady())
    assert (run.rows[0]["bytes_up"], run.rows[0]["bytes_down"]) == (5 * 24, 5 * 24)
    run = simulate(Plan(rounds=1, cohort=5, algorithm=Scaffold(population=20)), Steady())
    assert (run.rows[0]["bytes_up"], run.rows[0]["bytes_down"]) == (5 * 48, 5 * 48)
    small = simulate(Plan(rounds=1, cohort=5, stages=(Compressed(Eden(1)),)), Steady(size=8192))
    assert small.rows[0]["bytes_up"] < 5 * 8192 / 8 * 1.1


@pytest.mark.parametrize(
    "values", [{"rounds": 0}, {"cohort": 0}, {"eval_every": 0}, {"max_weight": 0.5}, {"seed": -1}]
)
def test_plans_that_make_no_sense(values):
    ((name, value),) = values.items()
    with pytest.raises(InputError, match=rf"^{name}: expected a .*number .*[01].*, got {value}"):
        Plan(**values)


def test_robust_means_need_to_see_updates():
    with pytest.raises(InputError, match="devices send more"):
        Plan(algorithm=Scaffold(), robust=Krum(1))
    for stages in (
        (Clip(1.0), WholeNumbers(10)),
        (Clip(1.0), CentralNoise(1.0)),
        (AdaptiveClip(),),
    ):
        with pytest.raises(InputError, match="takes the place of the sum"):
            simulate(Plan(robust=Median(), stages=stages), Steady())
    assert len(simulate(Plan(rounds=1, robust=Median(), stages=(Clip(1.0),)), Steady()).rows) == 1


@pytest.mark.parametrize(
    ("backend", "workers", "why"),
    [
        ("cloud", 1, "backend: expected local or ray"),
        ("local", 0, "workers: expected a whole number of 1 or more, got 0"),
    ],
)
def test_backends_that_are_none(backend, workers, why):
    with pytest.raises(InputError, match=why):
        simulate(Plan(), Steady(), backend=backend, workers=workers)


def test_without_rounds_nobody_waits_for_the_slowest():
    devices = Devices(spread=2.0, examples_per_second=1.0)
    waiting = simulate(Plan(rounds=20, cohort=10, devices=devices), Steady())
    going = simulate(Plan(rounds=20, cohort=10, buffer_size=10, devices=devices), Steady())
    assert going.rows[-1]["seconds"] < waiting.rows[-1]["seconds"] / 2
    assert [row["answered"] for row in going.rows] == [10] * 20
    assert going.rows[0]["stale"] == 0 < max(row["stale"] for row in going.rows)
    assert (
        10 < going.state.weights.mean() < 20
    )  # steps along what was learned from older models are shorter


def test_who_learns_from_an_older_model_makes_a_shorter_step():
    learner = Steady(users=2, sizes={0: 1000}, broken={0: np.full(6, 10, np.float32)})
    plan = Plan(
        rounds=150, cohort=2, buffer_size=1, devices=Devices(examples_per_second=1.0), uniform=True
    )
    run = simulate(plan, learner)
    steps = np.diff([0.0, *(row["test_mean"] for row in run.rows)])
    for step, row in zip(steps, run.rows, strict=True):
        change = 10 if row["stale"] > 1 else 1  # the slow device's, or the fast one's
        assert step == pytest.approx(change / np.sqrt(1 + row["stale"]), rel=1e-5)
    assert run.times[0] == 1
    assert max(row["stale"] for row in run.rows) > 50


@pytest.mark.parametrize("cohort", [5, 20])
def test_a_device_answers_once_from_each_model(cohort):
    learner = Steady()
    simulate(Plan(rounds=60, cohort=cohort, buffer_size=5, devices=Devices(spread=1.5)), learner)
    assert len(learner.learned) == len(set(learner.learned)) == 300


def test_a_buffer_larger_than_the_population_is_applied_when_all_have_answered():
    run = simulate(Plan(rounds=3, cohort=4, buffer_size=50), Steady(users=4))
    assert [row["answered"] for row in run.rows] == [4, 4, 4]


def test_half_of_the_devices_leave_without_rounds():
    run = simulate(
        Plan(rounds=40, cohort=10, buffer_size=5, devices=Devices(dropout_rate=0.5)), Steady()
    )
    assert [row["answered"] for row in run.rows] == [5] * 40
    assert 120 < sum(row["gone"] for row in run.rows) < 280


def test_a_buffer_that_nobody_fills_is_refused():
    with pytest.raises(InputError, match=r"devices\.dropout_rate: expected less than 1"):
        Plan(buffer_size=3, devices=Devices(dropout_rate=1.0))


def test_too_few_for_a_robust_mean_give_the_round_up():
    for robust in (TrimmedMean(0.1), Krum(2)):
        run = simulate(
            Plan(rounds=40, cohort=8, robust=robust, devices=Devices(dropout_rate=0.5)), Steady()
        )
        given_up = sum(row["given_up"] for row in run.rows)
        assert 0 < given_up < 40
        assert run.state.weights.tolist() == [40.0 - given_up] * 6
    for plan, users in ((Plan(cohort=6, robust=Krum(2)), 20), (Plan(cohort=20, robust=Krum(2)), 6)):
        with pytest.raises(
            InputError, match=r"robust: a round of 6 devices is too small for Krum: .*7 clients or"
        ):
            simulate(plan, Steady(users=users))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"ready": 0.0}, r"^ready: expected a number in \(0, 1\], got 0"),
        ({"night": 1.5}, r"^night: expected a number in \[0, 1\], got 1.5"),
        ({"dropout_rate": -0.1}, r"^dropout_rate: .* got -0.1"),
        ({"min_report_fraction": math.nan}, r"^min_report_fraction: .* got nan"),
        (
            {"examples_per_second": 0.0},
            r"^examples_per_second: expected a number in \(0, inf\), got 0",
        ),
        ({"upload_bytes_per_second": math.inf}, r"^upload_bytes_per_second: .* got inf"),
        ({"spread": -1.0}, r"^spread: .* got -1"),
        ({"deadline": 0.0}, r"^deadline: expected a number in \(0, inf\], got 0"),
        (
            {"over_selection": 0.5},
            r"^over_selection: expected a number in \[1, inf\), got 0.5",
        ),
    ],
)
def test_the_one_value_of_devices_that_is_wrong_is_named(values, why):
    with pytest.raises(InputError, match=why):
        Devices(**values)


def test_a_round_waits_until_somebody_is_ready():
    devices = Devices(ready=0.01)
    run = simulate(Plan(rounds=12, cohort=4, devices=devices), Steady(users=12))
    assert min(row["asked"] for row in run.rows) >= 1
    times = np.diff([0.0, *(row["seconds"] for row in run.rows)])
    assert np.median(times) > 60
    assert times.max() < 86_400


def test_who_is_too_late_has_sent_an_update_all_the_same():
    run = simulate(
        Plan(rounds=1, cohort=10, devices=Devices(over_selection=1.5, spread=1.0)), Steady()
    )
    assert run.rows[0]["bytes_up"] == 15 * 24
    slow = Devices(
        min_report_fraction=1.0,
        deadline=5e-5,
        examples_per_second=1e6,
        spread=1.0,
        upload_bytes_per_second=1e6,
    )
    row = simulate(Plan(rounds=1, cohort=20, devices=slow), Steady()).rows[0]
    assert (row["given_up"], row["bytes_up"]) == (1, 20 * 24)


def test_ctrl_c_keeps_the_last_round(tmp_path):
    def stop(done, rounds, row):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Plan(rounds=20), Steady(), out=tmp_path, progress=stop)
    seen = []
    simulate(
        Plan(rounds=20),
        Steady(),
        out=tmp_path,
        progress=lambda done, rounds, row: seen.append(done),
    )
    assert seen[0] == 8


@pytest.mark.parametrize(
    "values",
    [
        {"buffer_size": 0},
        {"buffer_size": 2, "robust": Median()},
        {"buffer_size": 2, "algorithm": Scaffold()},
    ],
)
def test_asynchronous_averaging_that_makes_no_sense(values):
    with pytest.raises(
        InputError, match=r"^buffer_size: (expected a whole|asynchronous averaging has)"
    ):
        Plan(**values)
    with pytest.raises(InputError, match="without rounds nobody is late"):
        Plan(buffer_size=2, devices=Devices(over_selection=1.5))
    with pytest.raises(InputError, match="weigh uniformly"):
        simulate(Plan(buffer_size=2, uniform=True, stages=(Clip(1.0), CentralNoise(1.0))), Steady())


def test_what_compression_leaves_out_is_sent_later():
    plan = Plan(rounds=12, cohort=20, stages=(Compressed(Largest(1 / 6)),))
    lost, sent = (
        simulate(replace(plan, error_feedback=on), Steady()).state.weights for on in (False, True)
    )
    assert np.sort(lost).tolist() == [
        0,
        0,
        0,
        0,
        0,
        12,
    ]  # the same one of six equal numbers each time
    assert sorted(12 - sent) == [0, 1, 2, 3, 4, 5]  # each in its turn, six rounds' worth at once


@pytest.mark.parametrize(
    "values",
    [
        {"stages": ()},
        {"stages": (Clip(1.0),)},
        {"algorithm": Scaffold(population=12)},
        {"buffer_size": 2},
    ],
)
def test_feedback_is_refused_where_it_makes_no_sense(values):
    with pytest.raises(InputError, match="feedback"):
        replace(PLANS["fed back"], **values)


def test_updates_within_a_subspace_take_fewer_bytes_and_still_learn():
    plan = Plan(rounds=30, cohort=12, work=WORK)
    few = replace(plan, stages=(Structured(RandomMask(0.3)),))
    whole, some = simulate(plan, learner()), simulate(few, learner())
    assert some.rows[0]["bytes_up"] < 0.5 * whole.rows[0]["bytes_up"]
    assert (
        whole.rows[-1]["test_loss"] < some.rows[-1]["test_loss"] < 0.25 * some.rows[0]["test_loss"]
    )


@pytest.mark.parametrize("users", [0, 4])
def test_devices_of_which_none_has_an_example_are_refused(users):
    with pytest.raises(
        InputError,
        match=f"expected a device or more with examples, got {users} devices and no example",
    ):
        simulate(
            Plan(rounds=1, cohort=2), Steady(users=users, sizes=dict.fromkeys(range(users), 0))
        )
