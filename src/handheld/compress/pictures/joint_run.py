"""The large network and all candidates learn in one run, and the best candidates are chosen."""

import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from handheld.compress.pictures.candidates import Builder, Candidate
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.pictures.training.ddp import fit_on
from handheld.compress.pictures.training.joint import (
    JointStep,
    Together,
    recalibrate,
    sandwich,
    time_ratio,
)
from handheld.compress.pictures.training.student import AtSide, Curve, accuracy
from handheld.compress.pictures.training.supernet import Nested
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.networks.structure import Slim, macs, shape_of
from handheld.training import FitRun, device
from handheld.training.runs import RunFolder, read_kept

# Training time of one value that a convolution gives, in multiply-accumulates (measured).
_VALUE = 2000
_NORM_BATCHES = 20  # that batch normalisation is measured on anew
_PAIRS = 5  # of steps, to see what members cost in the joint run


@dataclass(frozen=True, eq=False)
class JointResult:
    """What the joint run left.

    Attributes:
        started: the best candidate of each target, with the weights that it goes on from.
        tried: what was a candidate, and how good it was.
        curve: losses of the run; empty if nothing had to be learned together.
        ratio: time of a step over that of a step of the teacher alone; None: not measured.
    """

    started: Mapping[Candidate, fx.GraphModule]
    tried: Sequence[Mapping[str, Any]]
    curve: Curve
    ratio: float | None = None


def train_together(
    run: PictureRun, builder: Builder, candidates: Sequence[Candidate]
) -> JointResult:
    """Train the large network with all candidates in one run.

    Where no weights are shared and the large network stays as it is, there is nothing to learn
    together: each member learns for itself, from answers that are asked once.
    """
    schedule = run.settings.training
    batches = run.batches()
    steps = round(schedule.epochs * batches.per_epoch)
    step = joint_step_of(run, builder, candidates, batches, steps)
    if not run.trains_large and not any(candidate.shares_weights for candidate in candidates):
        return _chosen(run, candidates, step.together, batches)
    # once: a run that goes on has measured it already
    if run.trains_large and joint_ratio(run.space) is None:
        with atomic_path(run.space.file("joint.json")) as temporary:
            temporary.write_text(json.dumps({"ratio": round(time_ratio(step, _PAIRS), 3)}))
    curve = fit_on(
        run.settings.processes,
        step,
        schedule,
        steps,
        FitRun(run.settings.seed, run.space.file("joint.pt"), run.clock.steps),
    )
    result = _chosen(run, candidates, step.together, batches)
    return replace(result, curve=curve, ratio=joint_ratio(run.space))


def joint_ratio(space: RunFolder) -> float | None:
    """Return what a step of the joint run takes over one of the teacher alone.

    None where it was not measured, or the file that keeps it is damaged.
    """
    try:
        ratio = float(read_kept(space.file("joint.json"))["ratio"])
    except (InputError, KeyError, TypeError, ValueError):
        return None
    if not 0 < ratio < math.inf:
        return None
    return ratio


def joint_step_of(
    run: PictureRun,
    builder: Builder,
    candidates: Sequence[Candidate],
    batches: PictureBatches,
    steps: int,
) -> JointStep:
    """Put together what learns in the joint run, and how much of it in each step."""
    settings = run.settings
    built = {
        candidate: builder.build(candidate)
        for candidate in candidates
        if candidate.kind != "pruned"
    }
    shared = None
    if not run.trains_large:
        # What members learn changes the weights that they share, and a finished teacher's must
        # not change.
        shared = deepcopy(run.large)
    members = {}
    costs = {}
    for candidate, cut in built.items():
        members[candidate.name] = _learner(shared or run.large, candidate, cut)
        costs[candidate.name] = step_cost(cut.network)
    together = Together(run.large, members, shared=shared).to(device())
    # torch's stubs lack the argument.
    together.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    together.train()
    run.large.train(run.trains_large)
    rows = batches.size // settings.processes
    distillation = settings.distillation
    if not settings.uses("distillation"):
        distillation = replace(distillation, weight=0.0)
    return JointStep(
        together,
        batches,
        sandwich(costs, step_cost(run.large), rows, settings.budget),
        distillation,
        run.answerer,
        head_only=round(settings.frozen * steps),
    )


def _learner(shared: fx.GraphModule, candidate: Candidate, cut: Slim) -> nn.Module:
    if candidate.shares_weights:
        return Nested(shared, cut, candidate.side)
    return AtSide(cut.network, candidate.side)


def _chosen(
    run: PictureRun, candidates: Sequence[Candidate], together: Together, batches: PictureBatches
) -> JointResult:
    """Judge the candidates on the validation split, with batch normalisation measured anew."""
    scores: dict[str, float] = {}
    for name, member in together.members.items():
        recalibrate(member, batches, range(min(_NORM_BATCHES, batches.per_epoch)))
        scores[name] = accuracy(member, run.data.valid, run.preparation)
    run.large.eval()
    tried: list[dict[str, Any]] = []
    started: dict[Candidate, fx.GraphModule] = {}
    # Each target once, in their order: several candidates are of one.
    for target in dict.fromkeys(candidate.target for candidate in candidates):
        rivals = [candidate for candidate in candidates if candidate.target == target]
        best = max(rivals, key=lambda rival: (rival.met, scores.get(rival.name, 0.0)))
        tried += [
            {
                "name": rival.name,
                "how": rival.how,
                "valid": scores.get(rival.name),
                "kept": rival == best,
            }
            for rival in rivals
        ]
        if best.kind == "pruned":
            # it is cut when its turn comes to learn for itself
            started[best] = run.large
        else:
            started[best] = _standalone(together.members[best.name])
    return JointResult(started, tried, [])


def _standalone(member: nn.Module) -> fx.GraphModule:
    if isinstance(member, Nested):
        # with weights of its own from here on: those of the others must not change with it
        return member.standalone()
    assert isinstance(member.network, fx.GraphModule)
    return member.network


def step_cost(network: fx.GraphModule) -> float:
    """Return what a step of a network costs for one example, in multiply-accumulates."""
    layers = dict(network.named_modules())
    values = 0
    for node in network.graph.nodes:
        if node.op != "call_module":
            continue
        if isinstance(layers[str(node.target)], nn.Conv1d | nn.Conv2d):
            values += (shape_of(node) or torch.Size([1]))[1:].numel()
    return float(sum(macs(network).values()) + _VALUE * values)
