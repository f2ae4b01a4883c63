"""Model files that are done but for their cards and latencies: what pictures and texts each bring.

The seam of this room. A :class:`FamilyMaker` is all that differs between kinds of data; from its
drafts on the way to a family stands once, in ``assembly``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from handheld.compress.family import Latency, Member
from handheld.compress.latency import ModelInputs, noise
from handheld.compress.settings import FamilySettings
from handheld.compress.targets import Target
from handheld.compress.teacher import TeacherSource
from handheld.data import Splits
from handheld.training.runs import RunFolder, StageClock, values_digest

UNTIMED = Latency(0.0, 0.0, 0.0, 0)
"""The latency of a draft's member: it is measured when all files are there."""


@dataclass(frozen=True, eq=False)
class FamilyRequest:
    """What a person asks for; the arguments of ``compress``.

    Attributes:
        model: the large network, or where to get it.
        data: to learn from, to choose by, and to report on.
        targets: what the members are for.
        settings: of training and export.
        trained: whether the model is trained already and is only taught from.
        base: folder that paths in ``model`` start from.
    """

    model: nn.Module | TeacherSource
    data: Splits
    targets: tuple[Target, ...]
    settings: FamilySettings
    trained: bool = False
    base: Path = Path()

    @property
    def source(self) -> TeacherSource:
        """Where the large network is from."""
        return TeacherSource.of(self.model)

    @property
    def is_trained(self) -> bool:
        """Whether the large network is the teacher as it should be."""
        # of a module the argument says it, of a checkpoint its source
        return self.trained or self.source.trained

    @property
    def target_texts(self) -> list[str]:
        """The targets as records have them."""
        return [str(target) for target in self.targets]

    @property
    def plan(self) -> dict[str, Any]:
        """What every run's plan holds: a run goes on only from a state of the same plan."""
        data = self.data
        # by their content: paths and times may differ where nothing else does
        return {
            "teacher": self.source.record,
            "trained": self.is_trained,
            "targets": self.target_texts,
            "data": values_digest(data.train.digest, data.valid.digest, data.test.digest),
        }


@dataclass(frozen=True, eq=False)
class Draft:
    """A model file, and what is known of it.

    Attributes:
        member: its figures; latencies are those of :data:`UNTIMED`.
        content: the file as compiled.
        float_content: the same network in float32.
        card: that the file carries, but for how good it is.
        target: what it was made for; None for the teacher's files.
    """

    member: Member
    content: bytes
    float_content: bytes
    card: Mapping[str, Any]
    target: Target | None = None

    @property
    def is_packed(self) -> bool:
        """Whether the file is stored packed."""
        # what readers of the folder go by, too
        return self.member.file.endswith(".xz")


@dataclass(frozen=True, eq=False)
class GivenTeacher:
    """A person's own model file, from which all learned.

    Attributes:
        member: its figures, without latencies.
        call: runs it on one example, to be timed beside the others.
    """

    member: Member
    call: Callable[[], object]

    def timed(self, latencies: Mapping[object, Latency]) -> Member:
        """Return the figures with a latency, which stands under the file's name."""
        latency = latencies[self.member.name]
        # the same twice: a person's file has no second form in float32
        return replace(self.member, latency=latency, latency_float=latency)


@dataclass(frozen=True, eq=False)
class FamilyDrafts:
    """All files of a family, and how they came about.

    Attributes:
        teacher: the large network's file.
        members: in the order of their targets.
        quantised: the large network's file in int8, if there is one.
        teacher_file: a person's own file, if all learned from one.
        weights: of the large network as a safetensors file; empty: they are not kept.
        curves: (step, loss) of shared trainings, by name.
        inputs: that a model file is timed on.
        record: entries of the family's record beside those that every family has.
    """

    teacher: Draft
    members: tuple[Draft, ...]
    quantised: Draft | None = None
    teacher_file: GivenTeacher | None = None
    weights: bytes = b""
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    inputs: ModelInputs = noise
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Draft, ...]:
        """All files that are the family's own."""
        if self.quantised is None:
            return (self.teacher, *self.members)
        return (self.teacher, self.quantised, *self.members)


class FamilyMaker(Protocol):
    """What a kind of data brings: how its teacher and members learn, and become files."""

    @property
    def plan(self) -> dict[str, Any]:
        """What the run will do, in JSON."""

    def drafts(self, space: RunFolder, clock: StageClock) -> FamilyDrafts:
        """Make all files, each stage going on from what the run's folder keeps."""
