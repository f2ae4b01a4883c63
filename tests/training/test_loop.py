import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from handheld.errors import InputError, TrainingError
from handheld.training import Schedule, fit, load_state, save_state


class Problem:
    """Learn y = 2 x, with dropout, so that what is random inside matters."""

    def __init__(self, stop_at: int | None = None):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 4))
        self.stop_at = stop_at

    def step(self, number: int) -> float:
        if number == self.stop_at:
            raise KeyboardInterrupt
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(number))
        loss = (self.network(x) - 2 * x).square().mean()
        loss.backward()
        return float(loss.detach())

    def weights(self) -> list[torch.Tensor]:
        return [parameter.detach() for parameter in self.network.parameters()]


SCHEDULE = Schedule(1, rate=0.05)
BOTH = pytest.mark.parametrize(
    "schedule", [SCHEDULE, Schedule(1, rate=0.01, optimiser="adam")], ids=["sgd", "adam"]
)


def every_step() -> float:
    every_step.now += 100.0  # type: ignore[attr-defined]
    return every_step.now  # type: ignore[attr-defined]


every_step.now = 0.0  # type: ignore[attr-defined]


@BOTH
def test_it_learns(schedule: Schedule):
    problem = Problem()
    curve = fit(problem.network, problem.step, schedule, 200)
    assert curve[-1][1] < 0.6 * curve[0][1]


@BOTH
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path, schedule: Schedule):
    whole, save = Problem(), tmp_path / "run" / "state.pt"
    expected = fit(whole.network, whole.step, schedule, 40, seed=3)
    for stop in (7, 8, 31):
        with pytest.raises(KeyboardInterrupt):
            fit(
                (broken := Problem(stop)).network,
                broken.step,
                schedule,
                40,
                seed=3,
                save=save,
                clock=every_step,
            )
    resumed = Problem()
    steps: list[int] = []
    curve = fit(
        resumed.network,
        resumed.step,
        schedule,
        40,
        seed=3,
        save=save,
        report=lambda step, *_: steps.append(step),
        clock=every_step,
    )
    assert steps[:2] == [31, 32]
    assert curve == expected
    for one, other in zip(whole.weights(), resumed.weights(), strict=True):
        assert torch.equal(one, other)


@BOTH
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_in_a_step_keeps_that_step(
    tmp_path: Path, schedule: Schedule, number: signal.Signals
):
    """No minute is over, so nothing else has saved it."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    whole, save = Problem(), tmp_path / "state.pt"
    expected = fit(whole.network, whole.step, schedule, 20, seed=3)
    stopped = Problem()

    def step(index: int) -> float:
        if index == 6:
            signal.raise_signal(number)
        return stopped.step(index)

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(stopped.network, step, schedule, 20, seed=3, save=save)
    finally:
        signal.signal(number, before)
    assert load_state(save)["done"] == 7
    resumed = Problem()
    assert fit(resumed.network, resumed.step, schedule, 20, seed=3, save=save) == expected
    for one, other in zip(whole.weights(), resumed.weights(), strict=True):
        assert torch.equal(one, other)


def test_a_second_interrupt_ends_a_step_that_hangs_and_keeps_no_half_of_it(tmp_path: Path):
    problem, save = Problem(), tmp_path / "state.pt"

    def step(index: int) -> float:
        if index == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one did not come")
        return problem.step(index)

    with pytest.raises(KeyboardInterrupt):
        fit(problem.network, step, SCHEDULE, 10, save=save)
    assert not save.exists()


def test_what_an_interrupt_cut_off_after_a_step_is_done_when_the_run_goes_on(tmp_path: Path):
    problem, save, seen = Problem(), tmp_path / "state.pt", []

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(problem.network, problem.step, SCHEDULE, 6, save=save, report=stop)
    again = Problem()
    fit(
        again.network, again.step, SCHEDULE, 6, save=save, report=lambda *told: seen.append(told[0])
    )
    assert seen == [4, 5, 6]


def test_a_finished_run_is_taken_from_its_state(tmp_path: Path):
    save, problem = tmp_path / "state.pt", Problem()
    curve = fit(problem.network, problem.step, SCHEDULE, 10, save=save)
    again = Problem(stop_at=0)
    assert fit(again.network, again.step, SCHEDULE, 10, save=save) == curve
    assert torch.equal(problem.weights()[0], again.weights()[0])
    assert len(list(tmp_path.iterdir())) == 1  # one state, not one for each step


@pytest.mark.parametrize(("schedule", "steps"), [(Schedule(1, rate=0.01), 10), (SCHEDULE, 11)])
def test_the_state_of_another_schedule_is_refused_and_kept(
    tmp_path: Path, schedule: Schedule, steps: int
):
    save, problem, other = tmp_path / "state.pt", Problem(), Problem()
    fit(problem.network, problem.step, SCHEDULE, 10, save=save)
    before = save.read_bytes()
    with pytest.raises(InputError, match=r"state\.pt holds a run of another schedule or length"):
        fit(other.network, other.step, schedule, steps, save=save)
    assert save.read_bytes() == before


def test_a_damaged_state_is_named(tmp_path: Path):
    save, problem = tmp_path / "state.pt", Problem()
    save.write_bytes(b"no state at all")
    with pytest.raises(InputError, match=r"state\.pt cannot be read .*damaged.*delete it"):
        fit(problem.network, problem.step, SCHEDULE, 10, save=save)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("network"),
        lambda state: state.pop("done"),
        lambda state: state.update(done="many"),
        lambda state: state.update(curve=[1]),
        lambda state: state.update(network={"other": torch.zeros(3)}),
        lambda state: state.update(network=5),
        lambda state: state.update(optimiser={"state": {}}),
    ],
    ids=[
        "no network",
        "no number",
        "another number",
        "another curve",
        "another network",
        "none",
        "another optimiser",
    ],
)
def test_a_state_that_is_not_whole_is_named(
    tmp_path: Path, damage: Callable[[dict[str, object]], object]
):
    save, problem = tmp_path / "state.pt", Problem()
    fit(problem.network, problem.step, SCHEDULE, 10, save=save)
    state = load_state(save)
    damage(state)
    save_state(save, state)
    with pytest.raises(
        InputError,
        match=r"state\.pt is damaged, or the state of another network: delete it to begin again",
    ) as raised:
        fit(problem.network, problem.step, SCHEDULE, 10, save=save)
    # torch tells of each weight in a line of its own
    assert len(str(raised.value).splitlines()) == 1


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_state(tmp_path: Path):
    save, problem = tmp_path / "state.pt", Problem()

    def step(number: int) -> float:
        return float("nan") if number == 5 else problem.step(number)

    with pytest.raises(TrainingError, match="loss is nan in step 5 of 10; lower the rate"):
        fit(problem.network, step, SCHEDULE, 10, save=save, clock=every_step)
    assert save.exists()
    assert all(torch.isfinite(weight).all() for weight in problem.weights())


def test_the_rate_rises_and_falls():
    schedule = Schedule(1, rate=1.0, warmup=0.25)
    rates = [schedule.rate_at(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates.index(max(rates)) in range(20, 30)
    assert rates[0] < 0.2
    assert rates[-1] < 0.01


def test_biases_and_scales_do_not_decay():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = {name: value.clone() for name, value in network.named_parameters()}

    def still(step: int) -> float:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return 0.0

    fit(network, still, Schedule(1, rate=0.1, decay=0.5), 5)
    changed = {
        name for name, value in network.named_parameters() if not torch.equal(value, before[name])
    }
    assert changed == {"0.weight"}


def test_gradients_are_clipped():
    weight = nn.Linear(1, 1, bias=False)
    before = float(weight.weight.detach())

    def steep(step: int) -> float:
        weight.weight.grad = torch.full((1, 1), 1e6)
        return 0.0

    fit(weight, steep, Schedule(1, rate=0.1, clip=1.0, momentum=0.5, decay=0), 1)
    assert abs(float(weight.weight.detach()) - before) <= 0.15 + 1e-6


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("epochs", (-1, math.nan, math.inf), "a number in [0, inf)"),
        ("batch", (0, -3, 2.5, True), "a whole number of 1 or more"),
        ("rate", (0, -0.1, math.nan, math.inf), "a number in (0, inf)"),
        ("warmup", (1, -0.1, math.nan), "a number in [0, 1)"),
        ("momentum", (7, 1, -0.1, math.nan), "a number in [0, 1)"),
        ("decay", (-5, math.nan, math.inf), "a number in [0, inf)"),
        ("clip", (-1, math.nan, math.inf), "a number in [0, inf)"),
    ],
)
def test_a_schedule_names_the_value_that_is_wrong(
    name: str, values: tuple[float, ...], expected: str
):
    for value in values:
        with pytest.raises(InputError) as caught:
            Schedule(**{"epochs": 1, name: value})
        assert str(caught.value) == f"{name}: expected {expected}, got {value!r}"


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(InputError, match=r"^optimiser: expected sgd or adam, got 'lion'"):
        Schedule(1, optimiser="lion")


def test_without_momentum_a_step_is_the_plain_one():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)

    def step(number: int) -> float:
        network.weight.grad = torch.full((1, 1), 2.0)
        return 1.0

    schedule = Schedule(1, rate=0.5, momentum=0.0, decay=0.0)
    fit(network, step, schedule, 3)
    moved = 2.0 * sum(schedule.rate_at(number, 3) for number in range(3))
    assert network.weight.item() == pytest.approx(1.0 - moved)
