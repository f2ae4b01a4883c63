"""The stages of a run; each keeps what it found in the run's folder, and takes it from there when it is called again."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import fx, nn

from handheld.compress.candidates import SHARING, Builder, Candidate, require_found, search
from handheld.compress.exporting import Exported, Exporter, FileLimits, FilePurpose
from handheld.compress.finishing import Finished, Lesson, finish
from handheld.compress.measuring import Probe
from handheld.compress.settings import Settings
from handheld.compress.targets import Target
from handheld.compress.teacher_file import ReadOnly
from handheld.compress.teachers import Teacher
from handheld.compress.training.answers import Answers
from handheld.compress.training.batches import Batches
from handheld.compress.training.ddp import fit_on
from handheld.compress.training.joint import JointStep, Together, recalibrate, sandwich, time_ratio
from handheld.compress.training.pictures import Preparation
from handheld.compress.training.student import AtSide, accuracy
from handheld.compress.training.supernet import Nested
from handheld.config import from_table
from handheld.data import Splits
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.networks.state import read_packed
from handheld.networks.structure import Slim, macs, shape_of, with_shapes
from handheld.training import device, save_state
from handheld.training.runs import RunFolder, StageClock, damaged, made_by, read_kept

_VALUE = (
    2000  # training time of one value that a convolution gives, in multiply-accumulates (measured)
)
_NORM_BATCHES = 20
_READINGS = 3  # of a file's latency: a slow moment of the machine is outvoted
_PAIRS = 5  # of steps, to see what members cost in the joint run


@dataclass(frozen=True, eq=False)
class Run:
    """What the stages share.

    Attributes:
        data: to learn from.
        settings: of everything.
        targets: of the members.
        space: folder and state.
        clock: of the stages.
        preparation: of the pictures.
        large: the traced network that becomes the teacher.
        trains_large: whether it learns along.
        source: where the large network is from.
        answerer: a read-only teacher above it.
        notes: what a person should know of the run.
        curves: losses of shared trainings.
        tried: what was a candidate, and how good it was.
    """

    data: Splits
    settings: Settings
    targets: tuple[Target, ...]
    space: RunFolder
    clock: StageClock
    preparation: Preparation
    large: fx.GraphModule
    trains_large: bool
    source: Teacher
    answerer: ReadOnly | None = None
    notes: list[str] = field(default_factory=list)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tried: list[dict[str, Any]] = field(default_factory=list)

    @property
    def side(self) -> int:
        """Shorter side of the data's pictures."""
        return min(self.preparation.shape.height, self.preparation.shape.width)

    @property
    def card(self) -> dict[str, Any]:
        """What every file says of itself."""
        return {
            "labels": list(self.data.classes),
            "image": self.preparation.card(),
            "output": "logits",
            "made_by": made_by("compress"),
            "training": {
                "data": self.data.train.digest,
                "examples": len(self.data.train),
                "seed": self.settings.seed,
            },
        }

    def batches(self, *, views: int = 0) -> Batches:
        """Return the training split in batches."""
        schedule = self.settings.training
        return Batches(
            self.data.train,
            self.preparation,
            schedule.batch,
            self.settings.augmentation,
            views=views,
            seed=self.settings.seed,
            device=device(),
        )


def plan(run: Run, builder: Builder, measured: Callable[[], Probe]) -> tuple[Candidate, ...]:
    """Find the candidates for each target; a target has several, of different depths and resolutions.

    Only that needs the converter and the runtime before the files do: what is planned can learn on a machine without them.
    """
    path = run.space.file("candidates.json")
    if path.exists():
        return planned(
            path, run.targets, min(run.preparation.shape.height, run.preparation.shape.width)
        )
    found: list[Candidate] = []
    probe = measured()
    for number, target in enumerate(run.targets):
        name = f"{target.kind}_{number + 1}"
        found += search(
            builder, probe, probe.reference, target, name, variants=run.settings.variants
        )
        run.clock.share((number + 1) / len(run.targets))
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps([asdict(candidate) for candidate in found]))
    return tuple(found)


def planned(path: Path, targets: Sequence[Target], side: int) -> tuple[Candidate, ...]:
    """Read the candidates that a run found for its targets and for pictures of a shorter side.

    Raises :class:`InputError` for a file that is damaged, or that no such run wrote.
    """
    entries = read_kept(path)
    try:
        candidates = tuple(
            from_table(Candidate, entry, f"$[{place}]") for place, entry in enumerate(entries)
        )
        require_found(candidates, targets, side)
    except (TypeError, InputError) as error:
        raise damaged(path, error) from error
    return candidates


def joint_ratio(space: RunFolder) -> float | None:
    """Return what a step of the joint run takes over one of the teacher alone; None where it was not measured."""
    try:
        ratio = float(read_kept(space.file("joint.json"))["ratio"])
    except (InputError, KeyError, TypeError, ValueError):
        return None
    return ratio if 0 < ratio < math.inf else None


def together(
    run: Run, builder: Builder, candidates: Sequence[Candidate]
) -> dict[Candidate, fx.GraphModule]:
    """Train the large network with all candidates in one run; return the best candidate of each target, with its weights.

    Where no weights are shared and the large network stays as it is, there is nothing to learn together: each member learns for
    itself, from answers that are asked once.
    """
    settings, batches = run.settings, run.batches()
    steps = round(settings.training.epochs * batches.per_epoch)
    step = joint_run(run, builder, candidates, batches, steps)
    if not run.trains_large and not any(one.kind in SHARING for one in candidates):
        return _best(run, candidates, step.together, batches)
    save = run.space.file("joint.pt")
    if run.trains_large and joint_ratio(run.space) is None:
        with atomic_path(run.space.file("joint.json")) as temporary:
            temporary.write_text(json.dumps({"ratio": round(time_ratio(step, _PAIRS), 3)}))
    run.curves["joint training"] = fit_on(
        settings.processes,
        step,
        settings.training,
        steps,
        save=save,
        report=run.clock.steps,
        seed=settings.seed,
    )
    return _best(run, candidates, step.together, batches)


def joint_run(
    run: Run, builder: Builder, candidates: Sequence[Candidate], batches: Batches, steps: int
) -> JointStep:
    """Put together what learns in the joint run, and how much of it in each step."""
    built = {one: builder.build(one) for one in candidates if one.kind != "pruned"}
    # What members learn changes the weights that they share: those of a teacher that is finished must not change.
    shared = None if run.trains_large else deepcopy(run.large)
    members = {one.name: _learner(shared or run.large, one, cut) for one, cut in built.items()}
    settings = run.settings
    how = (
        settings.distillation
        if settings.uses("distillation")
        else replace(settings.distillation, weight=0.0)
    )
    all_of_them = Together(run.large, members, shared=shared).to(device())
    all_of_them.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    costs = {one.name: cost(cut.network) for one, cut in built.items()}
    who = sandwich(costs, cost(run.large), batches.size // settings.processes, settings.budget)
    all_of_them.train()
    run.large.train(run.trains_large)
    return JointStep(
        all_of_them, batches, who, how, run.answerer, head_only=round(settings.frozen * steps)
    )


def _learner(shared: fx.GraphModule, candidate: Candidate, cut: Slim) -> nn.Module:
    if candidate.kind in SHARING:
        return Nested(shared, cut, candidate.side)
    return AtSide(cut.network, candidate.side)


def _best(
    run: Run, candidates: Sequence[Candidate], family: Together, batches: Batches
) -> dict[Candidate, fx.GraphModule]:
    """Judge the candidates on the validation split, with batch normalisation measured anew."""
    scores: dict[str, float] = {}
    for name, member in family.members.items():
        recalibrate(member, batches, range(min(_NORM_BATCHES, batches.per_epoch)))
        scores[name] = accuracy(member, run.data.valid, run.preparation)
    run.large.eval()
    chosen: dict[Candidate, fx.GraphModule] = {}
    for target in dict.fromkeys(one.target for one in candidates):
        rivals = [one for one in candidates if one.target == target]
        best = max(rivals, key=lambda one: (one.met, scores.get(one.name, 0.0)))
        run.tried.extend(
            {"name": one.name, "how": one.how, "valid": scores.get(one.name), "kept": one == best}
            for one in rivals
        )
        chosen[best] = (
            run.large if best.kind == "pruned" else _standalone(family.members[best.name])
        )
    return chosen


def _standalone(member: nn.Module) -> fx.GraphModule:
    network = member.standalone() if isinstance(member, Nested) else member.network
    assert isinstance(network, fx.GraphModule)
    return network


def cost(network: fx.GraphModule) -> float:
    """Return what a step of a network costs for one example, in multiply-accumulates."""
    layers = dict(network.named_modules())
    values = sum(
        (shape_of(node) or torch.Size([1]))[1:].numel()
        for node in network.graph.nodes
        if node.op == "call_module" and isinstance(layers[str(node.target)], nn.Conv1d | nn.Conv2d)
    )
    return float(sum(macs(network).values()) + _VALUE * values)


def teach(run: Run) -> Lesson:
    """Ask the teacher about every training picture, and keep what it says; without distillation each epoch varies them anew."""
    if not run.settings.uses("distillation"):
        return Lesson(run.batches(), None, run.data.valid, run.preparation, run.settings)
    batches, large = run.batches(views=run.settings.views), run.large.to(device()).eval()
    answers = Answers(
        run.answerer or large,
        batches,
        len(run.data.classes),
        save=run.space.state,
        report=run.clock.share,
    )
    return Lesson(batches, answers, run.data.valid, run.preparation, run.settings, large)


Engine = Callable[[Run, Lesson, Mapping[Candidate, fx.GraphModule]], dict[Candidate, Finished]]
"""Lets each member learn for itself, wherever that is; the members are independent of each other."""


def finish_members(
    run: Run, lesson: Lesson, started: Mapping[Candidate, fx.GraphModule]
) -> dict[Candidate, Finished]:
    """Let each member learn for itself, one after another: the engine of one process."""
    finished = {}
    for number, (candidate, network) in enumerate(started.items()):
        kept = kept_member(run, candidate)
        with run.clock.part(number, len(started), candidate.name):
            if not kept.exists():
                one = finish(
                    candidate, network, lesson, save=run.space.state, report=run.clock.steps
                )
                save_state(kept, one.packed())
            finished[candidate] = read_packed(kept, partial(Finished.unpacked, network))
    return finished


def kept_member(run: Run, candidate: Candidate) -> Path:
    """Return the file of a member that has learned for itself, wherever that was."""
    return run.space.file(f"member_{candidate.name}.pt")


def export_members(
    run: Run, exporter: Exporter, probe: Probe, finished: Mapping[Candidate, Finished]
) -> dict[Candidate, tuple[Finished, Exported]]:
    """Compile each member, and judge its files."""
    exported = {}
    for number, (candidate, one) in enumerate(finished.items()):
        purpose = FilePurpose(
            candidate.how,
            FileLimits.of(candidate.target, probe.reference),
            lambda content: median(probe.latency(content).median for _ in range(_READINGS)),
            packed=candidate.kind == "sparse",
            fastest=candidate.target.is_about_speed_alone,
        )
        int8 = run.settings.uses("quantisation")
        exported[candidate] = (
            one,
            exporter.export(one.network, one.aware, candidate.side, purpose, int8=int8),
        )
        run.clock.share((number + 1) / len(finished))
    return exported


def reshaped(network: fx.GraphModule, preparation: Preparation, side: int) -> fx.GraphModule:
    """Return a network whose nodes know their shapes for pictures of a side."""
    scale = side / min(preparation.shape.height, preparation.shape.width)
    size = (round(preparation.shape.height * scale), round(preparation.shape.width * scale))
    return with_shapes(network, torch.zeros(2, preparation.shape.channels, *size))
