"""A trained member becomes a file: int8 where that costs little, with its sensitive layers in float32 where it costs more."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from handheld.compile import Precision, to_tflite
from handheld.compress.family import Step
from handheld.compress.measuring import answers, latencies
from handheld.compress.quantisation import Plain, fold, sensitivity
from handheld.compress.training.pictures import Preparation
from handheld.compress.training.student import samples
from handheld.data import Dataset

_CALIBRATION = 200
_CHECKS = 8
_ANY = math.inf  # difference of int8 outputs: whether eight bits are good enough is judged by the answers


@dataclass(frozen=True)
class Exporter:
    """Compiles members of one family.

    Attributes:
        train: to calibrate and check with.
        valid: to judge by.
        preparation: of both.
        card: that all files carry.
        max_loss: share of validation answers that int8 may cost.
        seed: of the samples.
    """

    train: Dataset
    valid: Dataset
    preparation: Preparation
    card: Mapping[str, Any]
    max_loss: float
    seed: int = 0

    def compile(self, network: fx.GraphModule, side: int, precision: Precision, keep_float: Sequence[str] = ()) -> bytes:
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

    def right(self, content: bytes) -> float:
        """Return the share of the validation split that a file answers right."""
        return float((answers(content, self.valid, self.preparation) == self.valid.labels).mean())

    def export(
        self, network: fx.GraphModule, aware: fx.GraphModule | None, side: int, *, int8: bool, fastest: bool = False
    ) -> "Exported":
        """Choose the file of a member.

        Args:
            network: as trained in float.
            aware: trained further with eight bits in mind, if it was.
            side: shorter side of its pictures.
            int8: whether eight bits are wanted at all.
            fastest: keep them only if they are faster here; on some processors they are not.
        """
        float_file = self.compile(fold(network), side, "float32")
        best = Exported(float_file, float_file, "float32", self.right(float_file))
        steps = [Step("float32 file", best.valid, len(float_file))]
        if int8:
            limit = best.valid - self.max_loss
            best, source = self._int8(network, aware, side, best, steps)
            if best.valid < limit:
                best = self._mixed(source, side, best, limit, steps)
            if fastest and _is_slower(best.content, float_file):
                best = Exported(float_file, float_file, "float32", steps[0].accuracy)
                steps.append(Step("float32 again, which is faster here", best.valid, len(float_file)))
        return Exported(best.content, float_file, best.precision, best.valid, tuple(steps))

    def _int8(
        self, network: fx.GraphModule, aware: fx.GraphModule | None, side: int, best: "Exported", steps: list[Step]
    ) -> tuple["Exported", fx.GraphModule]:
        """Return the better of two int8 files, and the network that it was made of."""
        found: list[tuple[Exported, fx.GraphModule]] = []
        for name, one in (("int8 after training", fold(network)), ("int8 during training", aware)):
            if one is not None:
                file = self.compile(one, side, "int8")
                found.append((Exported(file, best.float_content, "int8", self.right(file)), one))
                steps.append(Step(name, found[-1][0].valid, len(file)))
        return max(found, key=lambda pair: pair[0].valid)

    def _mixed(self, network: fx.GraphModule, side: int, best: "Exported", limit: float, steps: list[Step]) -> "Exported":
        """Keep more and more of the most sensitive layers in float32."""
        inputs = [torch.cat(list(samples(self.train, self.preparation, side, 128, self.seed + 1)))]
        ranked, count = list(sensitivity(network, inputs)), 1
        while best.valid < limit and count < len(ranked):
            file = self.compile(network, side, "int8", ranked[:count])
            mixed = Exported(file, best.float_content, "mixed", self.right(file))
            steps.append(Step(f"{count} sensitive layer{'s' if count > 1 else ''} in float32", mixed.valid, len(file)))
            best, count = max(best, mixed, key=lambda one: one.valid), 2 * count
        return best


def _is_slower(file: bytes, other: bytes) -> bool:
    timed = latencies({"file": file, "other": other})
    return timed["file"].median > timed["other"].median


@dataclass(frozen=True, eq=False)
class Exported:
    """A member's file, its float32 file, its precision, what it answers right of the validation split, and the way there."""

    content: bytes
    float_content: bytes
    precision: str
    valid: float
    steps: tuple[Step, ...] = field(default=())
