"""A trained member becomes a file: int8 where that costs little, with its sensitive layers in float32 where it costs more."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from handheld.compile import Precision, to_tflite
from handheld.compress.chance import answers_fewer
from handheld.compress.family import Step
from handheld.compress.measuring import Figures, answers, latencies
from handheld.compress.targets import Target
from handheld.compress.training.pictures import Preparation
from handheld.compress.training.student import samples
from handheld.data import Dataset
from handheld.engine import compact, embed
from handheld.networks.quantisation import Plain, fold, sensitivity

_CALIBRATION = 200
_CHECKS = 8
_ANY = (
    math.inf
)  # difference of int8 outputs: whether eight bits are good enough is judged by the answers
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
        size, seconds = target.max_size(teacher), target.max_latency(teacher)
        return cls(
            math.inf if size is None else size,
            math.inf if seconds is None else seconds,
            target.accuracy or 0.0,
        )


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
    steps: tuple[Step, ...] = ()

    @property
    def valid(self) -> float:
        """Share of the validation split that it answers right."""
        return float(self.right.mean())


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
        return to_tflite(
            Plain(network),
            inputs[0],
            metadata=self.card,
            precision=precision,
            calibration=inputs if precision == "int8" else (),
            checks=inputs[:_CHECKS],
            keep_float=keep_float,
            tolerance=_ANY if precision == "int8" else None,
        ).content

    def right(self, content: bytes) -> NDArray[np.bool_]:
        """Return (examples,) whether a file answers each of the validation split right."""
        right: NDArray[np.bool_] = (
            answers(content, self.valid, self.preparation) == self.valid.labels
        )
        return right

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

        The better of two int8 files is taken. If it answers fewer examples right than float32, beyond ``max_loss`` and
        beyond chance, layers go back to float32 as long as the file keeps the limits; of the files that keep them the
        most accurate is chosen, of equals the smallest.

        Args:
            network: as trained in float.
            aware: trained further with eight bits in mind, if it was.
            side: shorter side of its pictures.
            purpose: what the file is for.
            int8: whether eight bits are wanted at all.
        """
        file = self.compile(fold(network), side, "float32")
        in_float = Exported(file, file, "float32", self.right(file))
        tried = [(in_float, "float32 file")]
        chosen = in_float
        if int8:
            chosen = self._quantised(network, aware, side, purpose, tried)
            if purpose.fastest and _is_slower(chosen.content, file):
                chosen = in_float
                tried.append((in_float, "float32 again, which is faster here"))
        steps = tuple(Step(name, one.valid, len(one.content)) for one, name in tried)
        return Exported(
            chosen.content, file, chosen.precision, chosen.right, chosen.kept_float, steps
        )

    def _quantised(
        self,
        network: fx.GraphModule,
        aware: fx.GraphModule | None,
        side: int,
        purpose: FilePurpose,
        tried: list[tuple[Exported, str]],
    ) -> Exported:
        """Return the file that is chosen where eight bits are wanted; ``tried`` begins with float32 and grows."""
        in_float = tried[0][0]
        sources = {"int8 after training": fold(network)}
        if aware is not None:
            sources["int8 during training"] = aware
        for name, source in sources.items():
            file = self.compile(source, side, "int8")
            tried.append((Exported(file, in_float.content, "int8", self.right(file)), name))
        eight, name = max(tried[1:], key=lambda one: one[0].valid)
        if self._is_enough(eight, in_float, purpose.limits) or not self._fits(eight, purpose):
            return eight
        fitting = [eight]
        for mixed, what in self._mixed(sources[name], side, in_float):
            if not self._fits(mixed, purpose):
                break
            tried.append((mixed, what))
            fitting.append(mixed)
            if self._is_enough(mixed, in_float, purpose.limits):
                break
        return max(fitting, key=lambda one: (one.valid, -len(one.content)))

    def _mixed(
        self, network: fx.GraphModule, side: int, in_float: Exported
    ) -> Iterator[tuple[Exported, str]]:
        """Yield files with more and more of the most sensitive layers in float32, at last the one with all of them."""
        inputs = [torch.cat(list(samples(self.train, self.preparation, side, 128, self.seed + 1)))]
        ranked = tuple(sensitivity(network, inputs))
        count = 1
        while count < len(ranked):
            file = self.compile(network, side, "int8", ranked[:count])
            mixed = Exported(file, in_float.content, "mixed", self.right(file), ranked[:count])
            yield mixed, f"{count} sensitive layer{'s' if count > 1 else ''} in float32"
            count *= 2
        yield in_float, "float32 after all"

    def _is_enough(self, one: Exported, in_float: Exported, limits: FileLimits) -> bool:
        """Whether nothing is lost that could be told from chance, and what was asked is reached."""
        costs = in_float.valid - one.valid > self.max_loss and answers_fewer(
            one.right, in_float.right
        )
        return not costs and one.valid >= limits.accuracy

    def _fits(self, one: Exported, purpose: FilePurpose) -> bool:
        limits = purpose.limits
        if (
            len(self.finished(one.content, purpose.how, _LONGEST_SHARE, packed=purpose.packed))
            > limits.size
        ):
            return False
        return limits.seconds == math.inf or purpose.seconds(one.content) <= limits.seconds

    def finished(self, content: bytes, how: str, accuracy: float, *, packed: bool = False) -> bytes:
        """Return a file as it stands in the family's folder: its card says how good it is.

        Args:
            content: as compiled.
            how: what the member is, in words.
            accuracy: share of the test split that it answers right, in [0, 1].
            packed: whether it is stored packed.
        """
        figures = {"test": round(accuracy, 4), "examples": self.tested}
        content = embed(content, {**self.card, "accuracy": figures, "how": how})
        return compact(content) if packed else content


def _is_slower(file: bytes, other: bytes) -> bool:
    timed = latencies({"file": file, "other": other})
    return timed["other"].clearly_below(timed["file"])
