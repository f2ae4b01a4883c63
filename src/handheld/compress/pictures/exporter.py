"""A trained member becomes a file.

It is int8 where that costs little, with its sensitive layers in float32 where it costs more.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from handheld.compile import Precision, to_tflite
from handheld.compress.assembly import stored
from handheld.compress.chance import answers_fewer
from handheld.compress.family import TechniqueStep
from handheld.compress.latency import latencies
from handheld.compress.pictures.evaluation import answers
from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.probe import Figures
from handheld.compress.pictures.training.student import samples
from handheld.compress.targets import Target
from handheld.data import Dataset
from handheld.networks.quantisation import FxNet, fold, sensitivity

_CALIBRATION = 200  # pictures; a hundred are plenty, as ``to_tflite`` says
_CHECKS = 8  # pictures on which a file must agree with its network
_RANKED = 128  # pictures that layers are ranked by
# Difference of int8 outputs: whether eight bits are good enough is judged by the answers.
_ANY = math.inf
_LONGEST_SHARE = 0.1234  # an accuracy of as many digits as a card holds


@dataclass(frozen=True)
class FileLimits:
    """What a member's file has to keep.

    Attributes:
        size: bytes of the file as it is stored, at most.
        seconds: latency here, at most.
        accuracy: share of the validation split answered right, at least.
    """

    size: float = math.inf
    seconds: float = math.inf
    accuracy: float = 0.0

    @classmethod
    def of(cls, target: Target, teacher: Figures) -> "FileLimits":
        """Return the limits of a target, some of which count from the teacher's figures."""
        return cls(
            _or_any(target.max_size(teacher)),
            _or_any(target.max_latency(teacher)),
            target.accuracy or 0.0,
        )


def _or_any(limit: float | None) -> float:
    """Return a limit that anything keeps where there is none."""
    if limit is None:
        return math.inf
    return limit


@dataclass(frozen=True)
class FilePurpose:
    """What a member's file is for.

    Attributes:
        how: what the member is, in words that its card repeats.
        limits: that its file has to keep.
        seconds: measures a file's latency; asked only where that is limited.
        packed: whether the file is stored packed.
        fastest: keep int8 only if it is as fast here as float32; on some processors it is not.
    """

    how: str = ""
    limits: FileLimits = FileLimits()
    seconds: Callable[[bytes], float] = lambda content: 0.0
    packed: bool = False
    fastest: bool = False


@dataclass(frozen=True, eq=False)
class Exported:
    """The file of a member, and the way there.

    Attributes:
        content: the file.
        float_content: the same network in float32.
        precision: of the file.
        right: (examples,) whether it answers each of the validation split right.
        kept_float: layers that stayed in float32 among others in int8.
        steps: what was tried, in order.
    """

    content: bytes
    float_content: bytes
    precision: str
    right: NDArray[np.bool_]
    kept_float: tuple[str, ...] = ()
    steps: tuple[TechniqueStep, ...] = ()

    @property
    def valid(self) -> float:
        """Share of the validation split that it answers right."""
        return float(self.right.mean())


class ExportTrial(NamedTuple):
    """A file that was tried, and by what it came about."""

    file: Exported
    technique: str


@dataclass(frozen=True)
class Exporter:
    """Compiles members of one family.

    Attributes:
        train: to calibrate and check with.
        valid: to judge by.
        preparation: of both.
        card: that all files carry.
        max_loss: share of validation answers that int8 may cost; what may be chance is no cost.
        tested: number of test examples.
        seed: of the samples.
    """

    train: Dataset
    valid: Dataset
    preparation: Preparation
    card: Mapping[str, Any]
    max_loss: float
    tested: int = 0
    seed: int = 0

    def compile(
        self,
        network: fx.GraphModule,
        side: int,
        precision: Precision,
        keep_float: Sequence[str] = (),
    ) -> bytes:
        """Return a verified file of a folded network."""
        inputs = samples(self.train, self.preparation, side, _CALIBRATION, self.seed)
        calibration: Sequence[torch.Tensor] = ()
        tolerance = None
        if precision == "int8":
            calibration = inputs
            tolerance = _ANY
        return to_tflite(
            FxNet(network),
            inputs[0],
            metadata=self.card,
            precision=precision,
            calibration=calibration,
            checks=inputs[:_CHECKS],
            keep_float=keep_float,
            tolerance=tolerance,
        ).content

    def right(self, content: bytes) -> NDArray[np.bool_]:
        """Return (examples,) whether a file answers each of the validation split right."""
        answered = answers(content, self.valid, self.preparation)
        return np.asarray(answered == self.valid.labels)

    def export(
        self,
        network: fx.GraphModule,
        aware: fx.GraphModule | None,
        side: int,
        purpose: FilePurpose,
        *,
        int8: bool,
    ) -> Exported:
        """Choose the file of a member.

        The better of two int8 files is taken. If it answers fewer examples right than float32,
        beyond ``max_loss`` and beyond chance, layers go back to float32 as long as the file keeps
        the limits; of the files that keep them the most accurate is chosen, of equals the
        smallest.

        Args:
            network: as trained in float.
            aware: trained further with eight bits in mind, if it was.
            side: shorter side of its pictures.
            purpose: what the file is for.
            int8: whether eight bits are wanted at all.
        """
        folded = fold(network)
        content = self.compile(folded, side, "float32")
        in_float = Exported(content, content, "float32", self.right(content))
        trials = [ExportTrial(in_float, "float32 file")]
        chosen = in_float
        if int8:
            chosen, more = self._quantised(folded, aware, side, purpose, in_float)
            trials += more
            if purpose.fastest and _is_slower(chosen.content, content):
                chosen = in_float
                trials.append(ExportTrial(in_float, "float32 again, which is faster here"))
        steps = tuple(
            TechniqueStep(technique, file.valid, len(file.content)) for file, technique in trials
        )
        return replace(chosen, steps=steps)

    def _quantised(
        self,
        folded: fx.GraphModule,
        aware: fx.GraphModule | None,
        side: int,
        purpose: FilePurpose,
        in_float: Exported,
    ) -> tuple[Exported, list[ExportTrial]]:
        """Return the file that is chosen where eight bits are wanted, and what was tried."""
        sources = {"int8 after training": folded}
        if aware is not None:
            sources["int8 during training"] = aware
        trials = []
        for technique, source in sources.items():
            content = self.compile(source, side, "int8")
            file = replace(in_float, content=content, precision="int8", right=self.right(content))
            trials.append(ExportTrial(file, technique))
        eight, technique = max(trials, key=lambda trial: trial.file.valid)
        # a file that is too large or slow already only gets larger with layers in float32
        if self._is_enough(eight, in_float, purpose.limits) or not self._fits(eight, purpose):
            return eight, trials
        fitting = [eight]
        for trial in self._mixed(sources[technique], side, in_float):
            if not self._fits(trial.file, purpose):
                break
            trials.append(trial)
            fitting.append(trial.file)
            if self._is_enough(trial.file, in_float, purpose.limits):
                break
        return max(fitting, key=lambda file: (file.valid, -len(file.content))), trials

    def _mixed(
        self, network: fx.GraphModule, side: int, in_float: Exported
    ) -> Iterator[ExportTrial]:
        """Yield files with more and more of the most sensitive layers in float32.

        The last is the one with all of them.
        """
        # Other pictures than those that the ranges come from.
        inputs = samples(self.train, self.preparation, side, _RANKED, self.seed + 1)
        ranked = tuple(sensitivity(network, [torch.cat(list(inputs))]))
        count = 1
        while count < len(ranked):
            kept = ranked[:count]
            content = self.compile(network, side, "int8", kept)
            mixed = Exported(content, in_float.content, "mixed", self.right(content), kept)
            yield ExportTrial(mixed, _mixed_technique(count))
            # doubled: each trial compiles and answers the whole validation split
            count *= 2
        yield ExportTrial(in_float, "float32 after all")

    def _is_enough(self, file: Exported, in_float: Exported, limits: FileLimits) -> bool:
        """Whether nothing is lost that could be told from chance, and the accuracy is reached."""
        loss = in_float.valid - file.valid
        if loss > self.max_loss and answers_fewer(file.right, in_float.right):
            return False
        return file.valid >= limits.accuracy

    def _fits(self, file: Exported, purpose: FilePurpose) -> bool:
        limits = purpose.limits
        # with a card as long as it can get: what is measured later must still fit
        as_stored = self.finished(file.content, purpose.how, _LONGEST_SHARE, packed=purpose.packed)
        if len(as_stored) > limits.size:
            return False
        return limits.seconds == math.inf or purpose.seconds(file.content) <= limits.seconds

    def finished(
        self, content: bytes, description: str, accuracy: float, *, packed: bool = False
    ) -> bytes:
        """Return a file as it stands in the family's folder: its card says how good it is."""
        return stored(
            content,
            self.card,
            description=description,
            accuracy=accuracy,
            tested=self.tested,
            packed=packed,
        )


def _mixed_technique(count: int) -> str:
    if count == 1:
        return "1 sensitive layer in float32"
    return f"{count} sensitive layers in float32"


def _is_slower(file: bytes, other: bytes) -> bool:
    timed = latencies({"file": file, "other": other})
    return timed["other"].clearly_below(timed["file"])
