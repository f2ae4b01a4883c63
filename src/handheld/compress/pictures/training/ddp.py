"""One training run on several processes of this machine, one for each GPU, or a part of the cores
each.

Each process takes its rows of every batch, and gradients are averaged before each step (data
parallel training; Li et al., "PyTorch Distributed", arXiv 2006.15704), so that the weights are
those of one process up to rounding, and up to batch normalisation, whose statistics are those of a
process's own rows.

The averaging is done by hand. torch's ``DistributedDataParallel`` counts the gradients of one
forward call of the module that it wraps; here members read slices of the large network's weights
outside of such a call, each loss has a backward pass of its own into the same gradients, and which
members learn changes from step to step.
"""

import json
import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from handheld.compress.pictures.training.failure import Failure
from handheld.compress.pictures.training.joint import JointStep
from handheld.compress.pictures.training.share import Share
from handheld.errors import HandheldError, InputError, TrainingError
from handheld.ranges import whole_in_range
from handheld.training import FitRun, Report, Schedule, device, fit

_POLL = 0.2  # seconds between two looks at the processes: what a person sees as at once
_FAILURE = "failure"  # file in which a process says what went wrong


@dataclass(frozen=True)
class ProcessWork:
    """What each process is told.

    Attributes:
        content: the step as pickled bytes, since tensors would be shared and not copied.
        schedule: of the learning rate.
        steps: to take in all.
        processes: that train together.
        threads: that each of them takes.
        save: file to go on from.
        folder: in which they meet, and leave what went wrong.
        seed: of whatever is random inside the networks.
    """

    content: bytes
    schedule: Schedule
    steps: int
    processes: int
    threads: int
    save: Path
    folder: Path
    seed: int


def fit_on(
    processes: int,
    step: JointStep,
    schedule: Schedule,
    steps: int,
    run: FitRun = FitRun(),
) -> list[tuple[int, float]]:
    """Train everything in ``step.together`` as :func:`~handheld.training.loop.fit` does, on several
    processes.

    A script that calls this must guard its start with ``if __name__ == "__main__"``, since each
    process imports it.

    Args:
        processes: with one, ``fit`` itself is called. The rows that members learn from are those of
            each process.
        step: what is done in each step; the weights in it change in place.
        schedule: of the learning rate.
        steps: to take in all.
        run: how it is seeded, kept (by the first process) and told.

    Returns:
        The running mean of the loss, at a hundred steps or fewer.

    Raises:
        InputError: fewer rows in a batch, or fewer GPUs, than processes.
        TrainingError: the loss is no longer a number, or a process died; the last state that was
            saved stays.
    """
    if processes == 1:
        return fit(
            step.together,
            step,
            schedule,
            steps,
            save=run.save,
            report=run.report,
            seed=run.seed,
        )
    _check(processes, step.batches.size)
    home = next(step.together.parameters()).device
    with TemporaryDirectory(prefix="handheld-") as temporary:
        # a file in any case: it is how the weights come back
        kept = run.save or Path(temporary) / "state.pt"
        # each process takes it to its own device
        step.together.cpu()
        work = ProcessWork(
            pickle.dumps(step),
            schedule,
            steps,
            processes,
            max(1, torch.get_num_threads() // processes),
            kept,
            Path(temporary),
            run.seed,
        )
        _run(work, run.report)
        step.together.to(home)
        # Reads the last state: no step is left.
        return fit(step.together, step, schedule, steps, save=kept, seed=run.seed)


def _check(processes: int, rows: int) -> None:
    # Each takes one row of a batch or more.
    whole_in_range("processes", processes, low=1, high=rows)
    if torch.cuda.is_available() and processes > torch.cuda.device_count():
        raise InputError(
            f"expected at most one process for each GPU, got {processes} for "
            f"{torch.cuda.device_count()}"
        )
    if not distributed.is_available():
        raise InputError("this build of torch trains in one process only; set processes = 1")


def _run(work: ProcessWork, report: Report) -> None:
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    context: Any = spawn(  # type: ignore[no-untyped-call]  # torch leaves it untyped
        _train, (work, sender), nprocs=work.processes, join=False, daemon=True
    )
    sender.close()  # so that a process that dies while it writes ends the pipe
    try:
        while not context.join(timeout=_POLL):
            _pass_on(receiver, report)
        _pass_on(receiver, report)
    except (ProcessRaisedException, ProcessExitedException) as error:
        raise _explained(error, work) from error
    finally:
        for process in context.processes:
            process.kill()
            process.join()
        receiver.close()


def _pass_on(receiver: Connection, report: Report) -> None:
    try:
        while receiver.poll():
            report(*receiver.recv())
    except EOFError:
        # all senders are closed: the processes have ended, and are asked how
        pass


def _explained(error: Exception, work: ProcessWork) -> HandheldError:
    failure = work.folder / _FAILURE
    # an error of ours, which says more than how the process ended
    if failure.exists():
        return Failure(*json.loads(failure.read_text("utf-8"))).error()
    last = str(error).strip().splitlines()[-1]
    return TrainingError(
        f"one of {work.processes} processes ended: {last}. "
        "The others were stopped; run again to go on from the last state"
    )


def _train(rank: int, work: ProcessWork, sender: Connection) -> None:
    """Run in each process."""
    torch.set_num_threads(work.threads)
    _join_group(rank, work)
    try:
        # Safe: these are bytes that the process which started this one made in memory; they were
        # in no file and on no network.
        received: JointStep = pickle.loads(work.content)
        received.together.to(device())
        step = replace(received, batches=Share(received.batches, rank, work.processes))
        parameters = list(received.together.parameters())

        def take_step(number: int) -> float:
            return average(parameters, step(number), work.processes)

        def report(*done: float) -> None:
            if rank == 0:
                sender.send(done)

        fit(
            received.together,
            take_step,
            work.schedule,
            work.steps,
            save=work.save,
            writes=rank == 0,
            report=report,
            seed=work.seed,
        )
    except HandheldError as error:
        (work.folder / _FAILURE).write_text(json.dumps(Failure.of(error)))
        raise
    finally:
        distributed.destroy_process_group()


def _join_group(rank: int, work: ProcessWork) -> None:
    """Meet the other processes."""
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
        backend = "nccl"
    elif sys.platform == "linux":
        # This machine only, whatever its name resolves to.
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group(
        backend,
        init_method=f"file://{work.folder / 'meeting'}",
        rank=rank,
        world_size=work.processes,
    )


def average(parameters: Sequence[nn.Parameter], loss: float, processes: int) -> float:
    """Put the mean over all processes into the gradients that there are, the same ones in each;
    return the mean loss.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    # One tensor, so that there is one exchange and not one for each layer.
    first = torch.tensor([loss], device=device())
    flat = torch.cat([first, *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    flat /= processes
    means = torch.split(flat[1:], [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))
    return float(flat[0])
