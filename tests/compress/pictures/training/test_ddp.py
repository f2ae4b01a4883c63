"""Several processes train one family: the same weights as one process, no orphans, and a state to
go on from.
"""

import multiprocessing
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from made_steps import SCHEDULE, STEPS, Dies, joint_step, not_a_number

from handheld.compress.pictures.training.ddp import fit_on
from handheld.compress.pictures.training.joint import JointStep
from handheld.compress.pictures.training.share import Share
from handheld.errors import InputError, TrainingError
from handheld.training import FitRun, fit


def weights(step: JointStep) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in step.together.state_dict().items()}


@pytest.fixture(scope="module")
def alone() -> tuple[dict[str, torch.Tensor], list[tuple[int, float]]]:
    """What one process learns."""
    step = joint_step(4)
    return weights(step), fit_on(1, step, SCHEDULE, STEPS, FitRun(3)), weights(step)


def test_two_processes_learn_what_one_does(alone) -> None:
    start, curve, end = alone
    step, told = joint_step(2), []
    found = fit_on(2, step, SCHEDULE, STEPS, FitRun(3, report=lambda *done: told.append(done)))
    assert [step for step, _ in found] == [step for step, _ in curve]
    np.testing.assert_allclose(
        [loss for _, loss in found[:1]], [loss for _, loss in curve[:1]], atol=2e-5
    )
    for name, tensor in weights(step).items():
        np.testing.assert_allclose(tensor, end[name], atol=1e-5, err_msg=name)
        if (
            tensor.ndim > 1 and "members.nested" not in name
        ):  # a nested member's own copies are not what it learns
            assert not np.allclose(tensor, start[name], rtol=0, atol=1e-4), name
    assert [done[:2] for done in told] == [(number, STEPS) for number in range(1, STEPS + 1)]
    assert multiprocessing.active_children() == []


class StoppedError(Exception):
    """A run's user has had enough."""


def test_a_run_goes_on_where_it_was(alone, tmp_path: Path) -> None:
    """One process begins it, two go on."""
    save, hours = tmp_path / "joint.pt", count(0, 3600)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 4:
            raise StoppedError

    first = joint_step(4)
    with pytest.raises(StoppedError):
        fit(
            first.together,
            first,
            SCHEDULE,
            STEPS,
            save=save,
            seed=3,
            report=stop,
            clock=lambda: next(hours),
        )
    step, told = joint_step(2), []
    found = fit_on(2, step, SCHEDULE, STEPS, FitRun(3, save, lambda *done: told.append(done[0])))
    assert told == [3, 4, 5, 6]  # three were saved
    assert [number for number, _ in found] == [number for number, _ in alone[1]]
    for name, tensor in weights(step).items():
        np.testing.assert_allclose(tensor, alone[2][name], atol=1e-5, err_msg=name)
    again = joint_step(4)
    fit_on(1, again, SCHEDULE, STEPS, FitRun(3, save))  # all is done: the state is read
    for name, tensor in weights(again).items():
        np.testing.assert_array_equal(tensor, weights(step)[name])


def test_a_run_that_is_stopped_leaves_no_process() -> None:
    def stop(step: int, steps: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_on(2, joint_step(2), SCHEDULE, STEPS, FitRun(report=stop))
    assert multiprocessing.active_children() == []


def test_a_killed_process_ends_the_run_and_all_others() -> None:
    step = joint_step(2)
    with pytest.raises(TrainingError, match=r"one of 2 processes ended: .*run again to go on"):
        fit_on(2, replace(step, batches=Dies(step.batches)), SCHEDULE, STEPS)
    assert multiprocessing.active_children() == []


def test_a_loss_that_is_no_number_is_told_as_in_one_process() -> None:
    with pytest.raises(TrainingError, match="the loss is nan in step 0 of 6"):
        fit_on(2, joint_step(2, answerer=not_a_number), SCHEDULE, STEPS)


@pytest.mark.parametrize("processes", [0, 9])
def test_a_number_of_processes_that_cannot_be(processes: int) -> None:
    with pytest.raises(InputError, match=r"^processes: expected a whole number in \[1, 8\], got "):
        fit_on(processes, joint_step(2), SCHEDULE, STEPS)


def test_shares_are_the_batch() -> None:
    whole = joint_step(2).batches
    parts = [Share(whole, rank, 3).at(1) for rank in range(3)]
    assert [len(part.labels) for part in parts] == [2, 2, 2]  # of 8 rows two cannot be shared out
    together = torch.stack([part.inputs for part in parts], dim=1).flatten(0, 1)
    torch.testing.assert_close(together, whole.at(1).inputs[:6])
