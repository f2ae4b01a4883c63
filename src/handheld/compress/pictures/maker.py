"""A family for pictures: from the large network to drafts of all files, stage by stage."""

import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from torch import fx, nn

from handheld.compile import Precision
from handheld.compress.drafts import Draft, FamilyDrafts, FamilyRequest, GivenTeacher
from handheld.compress.pictures.candidates import Builder
from handheld.compress.pictures.exporter import Exporter
from handheld.compress.pictures.figures import (
    given_teacher,
    member_drafts,
    quantised_draft,
    teacher_draft,
    teacher_weights,
)
from handheld.compress.pictures.joint_run import JointResult, train_together
from handheld.compress.pictures.large_network import build, check, traced
from handheld.compress.pictures.members import Backend, finish_members, teach
from handheld.compress.pictures.preparation import Preparation, pixels
from handheld.compress.pictures.probe import Probe
from handheld.compress.pictures.run import PictureRun
from handheld.compress.pictures.search import plan
from handheld.compress.pictures.teacher_file import TeacherFile, file_notes
from handheld.compress.pictures.training.student import accuracy
from handheld.compress.settings import FamilySettings, TextEpochs
from handheld.compress.teacher import guess_notes, warn
from handheld.errors import InputError
from handheld.networks.quantisation import fold
from handheld.training.runs import RunFolder, StageClock, values_digest

# On how many cores a family was made, and what texts would learn, changes nothing of it.
_UNPLANNED = ("processes", "threads", "texts")


@dataclass(frozen=True, eq=False)
class PictureMaker:
    """A checked request for a family for pictures.

    Attributes:
        request: what was asked for.
        preparation: of the pictures.
        large: the traced network that becomes the teacher.
        answerer: a model file above it, which is only read.
        backend: where members learn for themselves.
        plan: what the run will do.
        settings: of the request, with class weights that are numbers.
    """

    request: FamilyRequest
    preparation: Preparation
    large: fx.GraphModule
    answerer: TeacherFile | None
    backend: Backend
    plan: dict[str, Any]
    settings: FamilySettings

    @classmethod
    def of(cls, request: FamilyRequest, backend: str, address: str | None) -> "PictureMaker":
        """Check a request, and get its large network.

        Raises:
            InputError: something of it cannot work.
            CompileError: the large network's structure cannot be read.
            MissingDependencyError: a package is missing.
        """
        _check(request)
        data = request.data
        preparation = Preparation.of(data.train)
        for split in (data.valid, data.test):
            pixels(split)  # of the training pictures' shape, and of their type too

        network = _network(request, preparation)
        answerer = None
        if request.source.file:
            answerer = TeacherFile.of(request.source, request.base, data.classes, preparation)
        plan = {**request.plan, "settings": _planned(request.settings)}
        if isinstance(request.model, nn.Module):
            plan["weights"] = _weights_digest(network)
        return cls(
            request,
            preparation,
            traced(network, preparation.shape, len(data.classes)),
            answerer,
            _backend(backend, address),
            # as it is read back from the folder: tuples have become lists
            json.loads(json.dumps(plan)),
            request.settings.weighted(data.train.counts.tolist()),
        )

    def drafts(self, space: RunFolder, clock: StageClock) -> FamilyDrafts:
        """Make all files, each stage going on from what the run's folder keeps."""
        run = self._run(space, clock)
        with clock.of("teacher's file"):
            exporter = _exporter(run)
            notes = self._notes(run)
            warn(notes)

        # Not made before it is asked: planned members learn on a machine without the converter.
        @cache
        def probe() -> Probe:
            return _probe(run, exporter)

        builder = _builder(run)
        with clock.of("candidates"):
            candidates = plan(run, builder, probe)
        with clock.of("joint training"):
            joint = train_together(run, builder, candidates)
        with clock.of("teacher's answers"):
            lesson = teach(run)
        with clock.of("members"):
            finished = self.backend(run, lesson, joint.started)
        with clock.of("files"):
            members = member_drafts(run, exporter, probe(), finished)
            teacher = teacher_draft(run, exporter, joint.curve)
            curves = {}
            if joint.curve:
                curves["joint training"] = joint.curve
            return FamilyDrafts(
                teacher,
                members,
                quantised=_quantised(run, exporter, teacher),
                teacher_file=_teacher_file(run),
                weights=teacher_weights(run),
                curves=curves,
                record=_record(run, notes, joint),
            )

    def _run(self, space: RunFolder, clock: StageClock) -> PictureRun:
        return PictureRun(
            self.request.data,
            self.settings,
            self.request.targets,
            space,
            clock,
            self.preparation,
            self.large,
            trains_large=not self.request.is_trained,
            answerer=self.answerer,
        )

    def _notes(self, run: PictureRun) -> list[str]:
        """Say what a person should know of a finished teacher, before anything learns from it."""
        valid = run.data.valid
        notes = []
        if not run.trains_large:
            right = round(accuracy(run.large.eval(), valid, run.preparation) * len(valid))
            mean = list(run.preparation.mean)
            std = list(run.preparation.std)
            notes += [
                f"{note}. Pictures come to it with mean {mean} and std {std}, "
                "which are those of the data"
                for note in guess_notes(self.request.source.network, right, valid.labels)
            ]
        if run.answerer is not None:
            notes += file_notes(run.answerer, valid)
        return notes


def _check(request: FamilyRequest) -> None:
    settings = request.settings
    if settings.texts != TextEpochs():
        raise InputError(
            "these are pictures: [settings.texts] says how long texts learn; "
            "set training, finish and quantise"
        )
    # a target whose technique is off would end as a member that nobody asked for
    for target in request.targets:
        if not settings.allows(target.kind):
            raise InputError(
                f"target {str(target)!r} needs a technique that is not among "
                f"{', '.join(settings.techniques)}"
            )


def _network(request: FamilyRequest, preparation: Preparation) -> nn.Module:
    classes = len(request.data.classes)
    if isinstance(request.model, nn.Module):
        return check(request.model, preparation.shape, classes)
    return build(
        request.model,
        preparation.shape,
        classes,
        seed=request.settings.seed,
        folder=request.base,
    )


def _weights_digest(network: nn.Module) -> str:
    """Return what tells a person's module from others: its weights' names, shapes and sums."""
    return values_digest(
        [
            (name, tuple(tensor.shape), float(tensor.double().sum()))
            for name, tensor in network.state_dict().items()
        ]
    )


def _planned(settings: FamilySettings) -> dict[str, Any]:
    """Return settings as a plan holds them.

    What was not said is left out, so that a folder outlives new options.
    """
    values = {name: value for name, value in asdict(settings).items() if name not in _UNPLANNED}
    # not in plans of before there were any
    if not settings.class_weights:
        del values["class_weights"]
    distillation = values["distillation"]
    values["distillation"] = {name: value for name, value in distillation.items() if value != ()}
    return values


def _backend(name: str, address: str | None) -> Backend:
    if name == "ray":
        from handheld.compress.pictures.cluster import on_cluster

        return on_cluster(address)
    return finish_members


def _builder(run: PictureRun) -> Builder:
    return Builder(
        run.large,
        run.preparation.shape,
        len(run.data.classes),
        run.settings.seed,
        run.settings.sparsity,
    )


def _quantised(run: PictureRun, exporter: Exporter, teacher: Draft) -> Draft | None:
    if not run.settings.uses("quantisation"):
        return None
    return quantised_draft(run, exporter, teacher)


def _teacher_file(run: PictureRun) -> GivenTeacher | None:
    if run.answerer is None:
        return None
    return given_teacher(run, run.answerer)


def _exporter(run: PictureRun) -> Exporter:
    return Exporter(
        run.data.train,
        run.data.valid,
        run.preparation,
        run.card,
        run.settings.max_loss,
        tested=len(run.data.test),
        seed=run.settings.seed,
    )


def _probe(run: PictureRun, exporter: Exporter) -> Probe:
    # it need not have learned: size and latency do not depend on what weights say
    draft = exporter.compile(fold(run.large.cpu()), run.preparation.side, "float32")
    precision: Precision = "float32"
    if run.settings.uses("quantisation"):
        precision = "int8"
    return Probe(draft, run.preparation, precision, run.answerer)


def _record(run: PictureRun, notes: list[str], joint: JointResult) -> dict[str, Any]:
    """Return how the family came about, beside what every family's record says."""
    targets = [str(target) for target in run.targets]
    # the settings of the run, whose class weights are the numbers that were used
    record = {
        "settings": {**asdict(run.settings), "targets": targets},
        "notes": notes,
        "tried": joint.tried,
    }
    if joint.ratio is not None:
        record["joint"] = {"ratio": joint.ratio}
    return record
