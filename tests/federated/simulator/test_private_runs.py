"""What a run with noise promises, and what it must not tell."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from made_learners import Steady

pytest.importorskip("dp_accounting")

from handheld.errors import InputError, TrainingError
from handheld.federated import privacy
from handheld.federated.algorithms import FedAvg
from handheld.federated.simulator import Devices, Plan, simulate
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    PlainStage,
    TreeNoise,
    WholeNumbers,
)
from handheld.federated.stages.clip import shortened
from handheld.federated.updates import Eden

NOISE = (Clip(1.0), CentralNoise(1.0))
ALL = Plan(rounds=1, cohort=20, uniform=True, stages=NOISE)
WIDE = 20_000


@dataclass(frozen=True)
class Unit(PlainStage):
    """x / |x|: of the zeros that a device without data sends, what is not finite."""

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        with np.errstate(invalid="ignore"):
            return update.with_values(update.values / np.linalg.norm(update.values))


@dataclass(frozen=True)
class Twice(PlainStage):
    """Updates twice as long as it says, of devices whose first number is negative."""

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        return update.with_values(update.values * np.float32(2 if update.values[0] < 0 else 1))


@pytest.mark.parametrize(
    "stages", [NOISE, (AdaptiveClip(), CentralNoise(1.0)), (Clip(1.0), TreeNoise(1.0))], ids=str
)
@pytest.mark.parametrize(
    "odd", [{"sizes": {0: 0}}, {"broken": {0: np.full(WIDE, np.nan, np.float32)}}], ids=str
)
def test_whether_a_device_has_data_does_not_change_the_denominator(stages, odd):
    """Noise of the same deviation: 1 or 19 / 20 of it would be 5 % apart."""
    plan = replace(ALL, stages=stages)
    zeros = {user: np.zeros(WIDE, np.float32) for user in range(20)}
    usual = simulate(plan, Steady(size=WIDE, broken=zeros))
    without = simulate(
        plan,
        Steady(
            size=WIDE,
            **{"broken": zeros, **odd} if "sizes" in odd else {"broken": zeros | odd["broken"]},
        ),
    )
    assert without.state.weights == pytest.approx(usual.state.weights, abs=1e-12)
    assert [row["answered"] for row in without.rows] == [20]
    assert 0 in without.rejected


def test_the_denominator_is_the_number_that_is_expected():
    plan = Plan(
        rounds=30,
        cohort=20,
        uniform=True,
        stages=(Clip(100.0), CentralNoise(1e-9)),
        devices=Devices(dropout_rate=0.5),
    )
    run = simulate(plan, Steady(users=40))
    answered = np.array([row["answered"] for row in run.rows])
    assert len(set(answered.tolist())) > 3
    assert run.state.weights == pytest.approx([answered.sum() / 10] * 6, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 10),
        ({"cohort": 100}, 50),
        ({"devices": Devices(dropout_rate=0.2)}, 8),
        ({"devices": Devices(dropout_rate=0.2, over_selection=1.2)}, 9.6),
        ({"devices": Devices(dropout_rate=0.2, over_selection=2.0)}, 10),
        ({"devices": Devices(ready=0.1)}, 5),
        ({"sampling": "poisson"}, 10),
        ({"sampling": "poisson", "devices": Devices(dropout_rate=0.2, ready=0.5)}, 4),
    ],
)
def test_how_many_are_expected_to_answer(values, expected):
    assert Plan(**({"cohort": 10} | values)).expected(50) == pytest.approx(expected)


def test_losses_of_devices_are_left_out_and_nothing_else():
    loud, silent = (
        simulate(replace(ALL, stages=stages), Steady()).rows[0] for stages in ((Clip(1.0),), NOISE)
    )
    assert set(loud) - set(silent) == {"loss"}
    assert set(silent) - set(loud) == {"epsilon", "participations"}
    assert (
        "loss" not in simulate(replace(ALL, stages=(Clip(1.0), LocalNoise(1.0))), Steady()).rows[0]
    )


def test_epsilon_rises_round_by_round_to_what_is_promised():
    plan = Plan(rounds=12, cohort=5, uniform=True, sampling="poisson", stages=NOISE, delta=1e-4)
    rows = simulate(plan, Steady(users=100)).rows
    assert [row["epsilon"] for row in rows] == sorted(row["epsilon"] for row in rows)
    for row in rows:
        promised = privacy.central(1.0, int(row["round"]), 5, 100, 1e-4, sampling="poisson")
        assert row["epsilon"] == promised.epsilon
    assert rows[-1]["clip_length"] == rows[-1]["bound"] == 1.0


def test_of_two_kinds_of_noise_both_are_told():
    plan = replace(ALL, rounds=3, stages=(Clip(1.0), LocalNoise(4.0), Clip(2.0), CentralNoise(3.0)))
    row = simulate(plan, Steady()).rows[-1]
    assert row["local_epsilon"] == pytest.approx(privacy.local(4.0, 1 / 21, times=3).epsilon)
    assert row["epsilon"] == pytest.approx(privacy.central(3.0, 3, 20, 20, 1 / 21).epsilon)


def test_the_length_that_adaptive_clipping_takes_is_told():
    plan = replace(ALL, rounds=8, stages=(AdaptiveClip(length=1.0), CentralNoise(0.1)))
    lengths = [row["clip_length"] for row in simulate(plan, Steady()).rows]
    assert lengths[0] == 1.0
    assert np.diff(lengths).min() > 0  # updates are sqrt(6) long
    assert all(row["bound"] >= row["clip_length"] for row in simulate(plan, Steady()).rows)


def test_poisson_cohorts_have_the_size_on_average_and_spread():
    run = simulate(Plan(rounds=300, cohort=20, sampling="poisson"), Steady(users=100))
    sizes = np.array([row["asked"] for row in run.rows])
    assert sizes.mean() == pytest.approx(20, abs=1)
    assert sizes.var() == pytest.approx(16, rel=0.3)  # 100 * 0.2 * 0.8
    assert run.times.mean() == pytest.approx(60, rel=0.05)


def test_an_empty_poisson_cohort_is_hidden_by_noise_too():
    plan = Plan(rounds=40, cohort=1, uniform=True, sampling="poisson", stages=NOISE)
    run = simulate(
        plan,
        Steady(
            users=100, size=500, broken={user: np.zeros(500, np.float32) for user in range(100)}
        ),
    )
    assert min(row["answered"] for row in run.rows) == 0
    assert sum(row["given_up"] for row in run.rows) == 0
    assert np.std(run.state.weights) == pytest.approx(math.sqrt(40), rel=0.1)
    without = simulate(replace(plan, stages=()), Steady(users=100))
    assert sum(row["given_up"] for row in without.rows) == sum(
        row["answered"] == 0 for row in run.rows
    )


@pytest.mark.parametrize(
    ("devices", "drawn", "sampling"),
    [
        (Devices(), 20, "fixed"),
        (Devices(dropout_rate=0.5, spread=1.0, deadline=60), 20, "fixed"),
        (Devices(over_selection=2, spread=0.8), 40, "fixed"),
        (Devices(ready=0.1), 20, "fixed"),
        (Devices(ready=0.1, night=1, deadline=60), 20, "unknown"),
        (Devices(ready=0.1, night=1, deadline=60, over_selection=1.3), 26, "unknown"),
    ],
)
def test_what_devices_do_to_the_chance_of_being_drawn_is_in_the_promise(devices, drawn, sampling):
    plan = Plan(rounds=200, cohort=20, uniform=True, stages=NOISE, devices=devices, delta=0.001)
    (found,) = plan.promised(1000, 200, 18)
    expected = privacy.central(1.0, 200, drawn, 1000, 0.001, sampling=sampling, times=18)
    assert found == expected
    assert ("drawn at random, all alike" in found.words) == (sampling == "fixed")
    if sampling == "fixed":
        assert f"{drawn} of 1000" in found.words
        assert found.epsilon == pytest.approx({20: 14.1, 40: 37.7}[drawn], rel=0.01)


def test_of_poisson_cohorts_too_hours_of_their_own_promise_nothing_by_drawing():
    plan = replace(ALL, sampling="poisson", devices=Devices(ready=0.5, night=0.5, deadline=60))
    assert plan.drawing == "unknown"
    assert (
        replace(plan, devices=Devices(ready=0.5, dropout_rate=0.5, deadline=60)).drawing
        == "poisson"
    )


def test_in_poisson_cohorts_nobody_waits_for_others():
    """Each device answers by its own chance, 0.2 * 0.1, alone or not: with waiting it would be
    more.
    """
    plan = Plan(
        rounds=2000, cohort=1, sampling="poisson", devices=Devices(ready=0.1), eval_every=2000
    )
    run = simulate(plan, Steady(users=5))
    assert run.times.sum() == pytest.approx(2000 * 5 * 0.02, rel=0.25)
    assert run.rows[-1]["seconds"] > 1000 * 60


def test_who_sends_an_update_too_late_took_part():
    plan = replace(
        ALL,
        cohort=10,
        devices=Devices(over_selection=2.0, spread=1.0),
        stages=(Clip(1.0), LocalNoise(1.0)),
    )
    run = simulate(plan, Steady(users=20))
    assert run.times.tolist() == [1] * 20
    assert run.rows[0]["answered"] == 10


@pytest.mark.parametrize(
    "devices",
    [
        Devices(over_selection=2, spread=0.8),
        Devices(ready=0.1),
        Devices(dropout_rate=0.3, spread=1),
    ],
)
def test_no_device_is_drawn_more_often_than_the_promise_counts_on(devices):
    """Of 100 devices the chance of the luckiest: in 400 rounds within five deviations of what the
    promise takes.
    """
    plan = Plan(rounds=400, cohort=10, uniform=True, stages=NOISE, devices=devices)
    times = simulate(plan, Steady(users=100)).times
    chance = plan.drawn(100) / 100
    assert times.max() <= 400 * chance + 5 * math.sqrt(400 * chance * (1 - chance))


@pytest.mark.parametrize("sampling", ["fixed", "poisson"])
def test_how_much_one_device_has_does_not_change_who_is_asked_at_night(sampling):
    """Else the clock, by it who is ready, and so how often devices take part and epsilon, would
    tell of it.
    """
    devices = Devices(ready=0.3, night=1, deadline=3600, spread=0.5)
    plan = replace(ALL, rounds=30, cohort=3, sampling=sampling, devices=devices)
    usual, large = (simulate(plan, Steady(sizes=sizes)) for sizes in ({}, {3: 1_000_000}))
    assert large.times.tolist() == usual.times.tolist()
    assert [row["epsilon"] for row in large.rows] == [row["epsilon"] for row in usual.rows]
    assert [row["seconds"] for row in large.rows] == [row["seconds"] for row in usual.rows]
    assert usual.rows[-1]["seconds"] >= 30 * 3600
    aloud = replace(plan, stages=())
    usual, large = (simulate(aloud, Steady(sizes=sizes)) for sizes in ({}, {3: 1_000_000}))
    assert large.times.tolist() != usual.times.tolist()  # without noise nothing is promised


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            {"sampling": "poisson", "devices": Devices(over_selection=1.5)},
            r"devices\.over_selection: expected 1 with poisson",
        ),
        (
            {"sampling": "poisson", "buffer_size": 3, "stages": ()},
            "poisson cohorts are those of rounds",
        ),
        ({"sampling": "half"}, "sampling: expected fixed or poisson, got 'half'"),
        ({"delta": 0.0}, r"delta: expected a number in \(0, 1\)"),
        (
            {"devices": Devices(min_report_fraction=0.5, deadline=60)},
            r"devices\.min_report_fraction: expected 0 with noise",
        ),
        (
            {"devices": Devices(min_report_fraction=0.5), "sampling": "poisson"},
            r"devices\.min_report_fraction: expected 0 with noise",
        ),
        (
            {"devices": Devices(dropout_rate=1.0)},
            r"devices\.dropout_rate: expected less than 1 with noise",
        ),
        (
            {"devices": Devices(ready=0.5, night=0.5)},
            r"devices\.deadline: expected one with noise and hours of their own",
        ),
    ],
)
def test_plans_whose_promise_would_not_hold_are_refused(values, why):
    with pytest.raises(InputError, match=why):
        replace(ALL, **values)


@pytest.mark.parametrize(("sampling", "most"), [("fixed", 20), ("poisson", 100)])
def test_whole_numbers_have_room_for_all_who_may_answer(sampling, most):
    plan = replace(
        ALL, sampling=sampling, stages=(Clip(1.0), CentralNoise(1.0), WholeNumbers(most - 1))
    )
    learner = Steady(users=100)
    with pytest.raises(
        InputError, match=rf"whole_numbers\.clients: expected {most} or more.* got {most - 1}"
    ):
        simulate(plan, learner)
    assert not learner.learned
    enough = replace(plan, stages=(Clip(1.0), CentralNoise(1.0), WholeNumbers(most)))
    assert len(simulate(enough, learner).rows) == 1


def test_a_target_becomes_a_multiplier():
    for sampling in ("fixed", "poisson"):
        plan = Plan(
            rounds=60, cohort=300, uniform=True, sampling=sampling, stages=NOISE
        ).for_epsilon(8.0, 6000)
        assert plan.promised(6000, 60, 60)[0].epsilon == pytest.approx(8.0, rel=1e-3)
        assert plan.promised(6000, 60, 60)[0].epsilon <= 8.0
    for stages in (
        (),
        (Clip(1.0), TreeNoise(1.0)),
        (Clip(1.0), LocalNoise(1.0), Clip(1.0), CentralNoise(1.0)),
    ):
        with pytest.raises(
            InputError, match="target_epsilon: expected one stage of noise, central_noise"
        ):
            replace(ALL, stages=stages).for_epsilon(8.0, 6000)


def test_another_delta_goes_on_with_the_same_run(tmp_path):
    plan = replace(ALL, rounds=2)
    simulate(plan, Steady(), out=tmp_path)
    longer = simulate(replace(plan, rounds=3, delta=1e-6), Steady(), out=tmp_path)
    expected = [privacy.central(1.0, number, 20, 20, 1e-6).epsilon for number in (1, 2, 3)]
    assert [row["epsilon"] for row in longer.rows] == pytest.approx(expected)


@pytest.mark.parametrize(
    "noise", [NOISE, (Clip(1.0), TreeNoise(1.0)), (Clip(1.0), LocalNoise(1.0))], ids=str
)
def test_a_delta_that_lets_one_device_be_published_is_refused_before_anybody_learns(noise):
    learner = Steady()
    with pytest.raises(
        InputError, match=r"delta: expected at most one over the 20 devices, 0\.05, got 0\.9"
    ):
        simulate(replace(ALL, stages=noise, delta=0.9), learner)
    assert not learner.learned
    assert simulate(replace(ALL, stages=noise, delta=0.05), learner).rows


TARGETED = Plan(rounds=4, cohort=5, uniform=True, sampling="poisson", stages=NOISE, delta=1e-3)


def test_a_kept_run_goes_on_with_its_noise_as_long_as_that_keeps_the_target(tmp_path):
    plan = TARGETED.for_epsilon(2.0, 20, out=tmp_path)
    simulate(plan, Steady(), out=tmp_path, until=lambda row: row["round"] == 2)
    for other in (replace(TARGETED, rounds=3), replace(TARGETED, delta=1e-2), TARGETED):
        again = other.for_epsilon(2.0, 20, out=tmp_path)
        assert again.stages == plan.stages
        assert simulate(again, Steady(), out=tmp_path).rows[-1]["epsilon"] <= 2.0


def test_a_longer_run_that_would_break_its_target_says_what_can_be_done(tmp_path):
    plan = TARGETED.for_epsilon(2.0, 20, out=tmp_path)
    simulate(plan, Steady(), out=tmp_path)
    promised = replace(plan, rounds=40).promised(20, 40, 40)[0].epsilon
    allowed = f"{math.ceil(promised * 100) / 100:g}"
    longer = replace(TARGETED, rounds=40)
    why = (
        r"goes on with the noise that it has, a multiplier of "
        rf"{plan.stages[1].multiplier:.4g}, which promises an epsilon of"
        rf" {promised:.3g} after 40 rounds, above 2: take 4 rounds, allow a target_epsilon "
        rf"of {allowed}, or name another folder"
    )
    with pytest.raises(InputError, match=why):
        longer.for_epsilon(2.0, 20, out=tmp_path)
    allowing = longer.for_epsilon(float(allowed), 20, out=tmp_path)
    assert len(simulate(allowing, Steady(), out=tmp_path).rows) == 40
    with pytest.raises(
        InputError, match=r"target_epsilon: expected a number in \(0, inf\), got -1"
    ):
        longer.for_epsilon(-1, 20, out=tmp_path)
    assert (
        longer.for_epsilon(2.0, 20, out=tmp_path / "other").stages[1].multiplier
        > plan.stages[1].multiplier
    )
    # 40 rounds are done: a smaller number takes nothing of that back
    with pytest.raises(
        InputError,
        match=rf"after 40 rounds, above 2: allow a target_epsilon of {allowed}, or name another",
    ):
        TARGETED.for_epsilon(2.0, 20, out=tmp_path)


def test_noise_of_a_tree_cancels_though_not_all_answer():
    """After 16 rounds one node covers all of them; with another denominator in each round the noise
    of 15 would stay.
    """
    stages = (Clip(1.0), TreeNoise(1.0))
    plan = Plan(
        rounds=16, cohort=10, uniform=True, stages=stages, devices=Devices(dropout_rate=0.3)
    )
    silent = {user: np.zeros(WIDE, np.float32) for user in range(20)}
    run = simulate(plan, Steady(size=WIDE, broken=silent))
    assert len({row["answered"] for row in run.rows}) > 2
    assert np.std(run.state.weights) == pytest.approx(1 / 7, rel=0.03)


def test_bytes_of_private_updates_do_not_tell_who_has_data():
    plan = replace(ALL, stages=(Clip(1.0), LocalNoise(1.0), Compressed(Eden(2))))
    usual, without = (simulate(plan, Steady(sizes=sizes)) for sizes in ({}, {3: 0}))
    assert without.rows[0]["bytes_up"] == usual.rows[0]["bytes_up"]
    assert without.rows[0]["answered"] == 20
    assert isinstance(plan.algorithm, FedAvg)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cohort", 1.49),
        ("rounds", 3.5),
        ("seed", 1.5),
        ("eval_every", 1.5),
        ("cohort", True),
        ("buffer_size", 2.5),
    ],
)
def test_what_is_counted_is_a_whole_number(name, value):
    with pytest.raises(InputError, match=f"{name}: expected a whole number"):
        Plan(**{name: value})


def test_a_short_length_clips_too():
    """Squares of such numbers are 0 in float32: a device could add a hundred times what was
    accounted.
    """
    for length, number in ((1e-25, 1e-24), (1e-22, 2e-23), (1e-30, 1e-15)):
        update, was_short = shortened(np.full(4000, number, np.float32), length)
        assert not was_short
        assert np.linalg.norm(update.astype(np.float64)) <= length


UNIT = (Unit(), Clip(1.0))


@pytest.mark.parametrize("noise", [CentralNoise(1.0), LocalNoise(1.0), TreeNoise(1.0)], ids=str)
@pytest.mark.parametrize(
    "odd", [{"sizes": {3: 0}}, {"broken": {3: np.zeros(6, np.float32)}}], ids=str
)
def test_a_device_of_which_a_stage_makes_no_number_does_not_end_a_run(noise, odd):
    """With noise its zeros count as any other's: the sum is that of the 19, and the noise."""
    plan = replace(ALL, rounds=3, stages=(*UNIT, noise))
    run = simulate(plan, Steady(**odd))
    assert [row["answered"] for row in run.rows] == [20, 20, 20]
    assert set(run.rejected) == {3}
    usual = simulate(plan, Steady())
    if not isinstance(noise, LocalNoise):
        missing = 3 / math.sqrt(6) / 20
        assert usual.state.weights - run.state.weights == pytest.approx([missing] * 6, rel=1e-4)


def test_without_noise_such_a_device_is_left_out():
    plan = Plan(rounds=2, cohort=20, stages=UNIT)
    run = simulate(plan, Steady(broken={3: np.zeros(6, np.float32)}))
    assert [row["answered"] for row in run.rows] == [19, 19]
    assert [row["rejected_stages"] for row in run.rows] == [1, 1]
    assert run.rejected == {3: "Unit made an update that is not finite"}
    assert run.state.weights == pytest.approx([2 / math.sqrt(6)] * 6, rel=1e-4)


def test_a_run_that_a_stage_keeps_from_taking_anything_says_which():
    silent = {user: np.zeros(6, np.float32) for user in range(20)}
    with pytest.raises(TrainingError, match=r"20 could not pass .* \(Unit made an update that is"):
        simulate(Plan(rounds=1, cohort=20, stages=UNIT), Steady(broken=silent))


def test_a_stage_whose_updates_are_longer_than_was_accounted_ends_the_run(tmp_path):
    """The device, and how long its update was, are not told, nor is anything of it summed."""
    odd = Steady(broken={13: np.full(6, -9, np.float32)})
    plan = replace(ALL, rounds=40, cohort=1, stages=(Clip(1.0), CentralNoise(1.0), Twice()))
    with pytest.raises(TrainingError, match="Twice: an update is longer") as caught:
        simulate(plan, odd, out=tmp_path)
    assert "13" not in str(caught.value)
    asked = [user for _, user in odd.learned]
    assert asked[-1] == 13
    kept = simulate(replace(plan, rounds=len(asked) - 1), odd, out=tmp_path)
    assert kept.rows[-1]["bound"] == 1.0
    assert kept.times[13] == 0
