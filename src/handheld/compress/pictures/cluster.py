"""Members that learn on a Ray cluster: the one file that knows its tasks.

Each member learns for itself from the same lesson, which the object store holds once. What comes
back, weights and numbers and no code, is kept in the run's folder on this machine, so that a driver
that is killed does not repeat it. Where a worker dies, its member begins again elsewhere.

The search for candidates stays with the driver: each step of its bisection waits for a latency,
which counts only if it is measured in turns with the teacher on one machine, and compiling is the
smaller part of a step.

A cluster runs what its drivers tell it: whoever may connect to one owns its machines. All of them
need the same version of this package, and the modules that the networks are made of.
"""

import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import fx

from handheld.cluster import connected, ray_module, saying_most
from handheld.compress.pictures.candidates import Candidate
from handheld.compress.pictures.lesson import Finished, MemberLesson, finish
from handheld.compress.pictures.members import Backend
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.training.failure import Failure
from handheld.errors import HandheldError, TrainingError
from handheld.networks.state import read_packed
from handheld.training import device, save_state

_RETRIES = 3  # of a member whose worker died

Started = Mapping[Candidate, fx.GraphModule]


def on_cluster(address: str | None = None) -> Backend:
    """Return a backend whose members learn on a Ray cluster.

    Each learns on as many cores as torch uses here, or on one GPU.

    Args:
        address: of the cluster, such as ``10.0.0.1:6379``; without one a cluster on this machine
            is started and stopped. In a process that is connected already, that connection is
            used.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    ray_module()
    if address is not None:
        with connected(address):  # told now, and not after the joint training
            pass

    def finish_there(
        run: PictureRun, lesson: MemberLesson, started: Started
    ) -> dict[Candidate, Finished]:
        kept = {candidate: run.member_file(candidate) for candidate in started}
        missing = {
            candidate: network
            for candidate, network in started.items()
            if not kept[candidate].exists()
        }
        if missing:
            with connected(address) as ray:
                for candidate, state in _learned(ray, lesson, missing):
                    save_state(kept[candidate], state)
                    run.clock.share(sum(path.exists() for path in kept.values()) / len(kept))
        return {
            candidate: read_packed(kept[candidate], partial(Finished.unpacked, network))
            for candidate, network in started.items()
        }

    return finish_there


def _learned(
    ray: Any, lesson: MemberLesson, started: Started
) -> Iterator[tuple[Candidate, dict[str, Any]]]:
    """Give each member to a worker, and yield them as they come back."""
    threads = torch.get_num_threads()
    # A task that asks for more cores than any machine has would wait for ever.
    cores = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    gpus = int(ray.cluster_resources().get("GPU", 0) >= 1)
    task = ray.remote(num_cpus=min(threads, cores), num_gpus=gpus, max_retries=_RETRIES)(_learn)
    shared = ray.put(_portable(lesson))
    waiting = {
        task.remote(candidate, deepcopy(network).cpu(), shared, threads): candidate
        for candidate, network in started.items()
    }
    while waiting:
        (done, *_), _ = ray.wait(list(waiting))
        candidate = waiting.pop(done)
        yield candidate, _result(ray, done, candidate)


def _result(ray: Any, task: Any, candidate: Candidate) -> dict[str, Any]:
    """Return what a worker made of a member, or raise what went wrong there."""
    try:
        state = ray.get(task)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        if not isinstance(cause, ray.exceptions.RayError):
            raise  # a bug of ours, with its trace: what a person can cause comes as a value
        raise TrainingError(
            f"member {candidate.name}: the cluster gave up on it "
            f"({type(cause).__name__}: {saying_most(str(cause))}). "
            "Members that came back are kept: run again to go on"
        ) from error
    if isinstance(state, Failure):
        raise state.error()
    packed: dict[str, Any] = state
    return packed


def _portable(lesson: MemberLesson) -> MemberLesson:
    """Return a lesson that can be sent; with the teacher only if members look at its features."""
    if lesson.teacher is None or not lesson.student.teaches_features:
        return replace(lesson, teacher=None)
    return replace(lesson, teacher=deepcopy(lesson.teacher).cpu())


def _learn(
    candidate: Candidate, network: fx.GraphModule, lesson: MemberLesson, threads: int
) -> dict[str, Any] | Failure:
    """Run in a worker."""
    torch.set_num_threads(threads)
    # The lesson's arrays lie in the object store, read-only; nothing here writes into the tensors
    # made of them.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    lesson.batches.device = device()
    if lesson.teacher is not None:
        lesson.teacher.to(device())
    try:
        # A graph that was sent knows no shapes.
        network = lesson.preparation.reshaped(network, candidate.side)
        learned = finish(candidate, network.to(device()), lesson)
        return learned.packed(network)
    except HandheldError as error:
        return Failure.of(error)
