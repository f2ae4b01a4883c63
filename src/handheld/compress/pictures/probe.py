"""Untrained networks, compiled and measured beside the teacher's file."""

from typing import NamedTuple

import numpy as np
import torch
from torch import fx

from handheld.compile import Precision, to_tflite
from handheld.compress.family import Latency
from handheld.compress.latency import latencies
from handheld.compress.pictures.preparation import Preparation, resized
from handheld.compress.pictures.teacher_file import TeacherFile
from handheld.networks.quantisation import FxNet, fold

_MOST_KEPT = 2**28  # bytes of files that are kept in memory, to be measured again
_CALIBRATION = 4  # inputs of noise: of an untrained network no ranges are worth more


class Figures(NamedTuple):
    """Bytes of a file and its latency."""

    size: int
    latency: Latency
    valid: float = 0.0


class Probe:
    """Compiles untrained networks and measures them beside the teacher's file.

    The machine's speed drifts; so each is measured in turns with the teacher, and its latency is
    scaled by what the teacher takes at that moment.

    Args:
        teacher: its float32 file.
        preparation: of the data.
        precision: that members will have.
        file: the teacher's own file, if it has one: then targets count from that.
    """

    def __init__(
        self,
        teacher: bytes,
        preparation: Preparation,
        precision: Precision,
        file: TeacherFile | None = None,
    ):
        self.teacher = teacher
        self.preparation = preparation
        self.precision = precision
        self.bytes_each = 1 if precision == "int8" else 4
        calls = {} if file is None else {"file": file.one_call()}
        timed = latencies({"teacher": teacher}, calls=calls)
        self._pace = timed["teacher"].median
        self.reference = Figures(len(teacher), timed["teacher"])
        if file is not None:
            self.reference = Figures(file.size, timed["file"])
        self._files: dict[str, bytes] = {}
        # Bytes of files that are no weights, by the number of operators.
        self._overheads: dict[int, int] = {}

    def file(self, network: fx.GraphModule, side: int) -> bytes:
        """Return a network's file for pictures of a side; the same one is compiled once."""
        key = f"{side} {[tuple(parameter.shape) for parameter in network.parameters()]}"
        if key not in self._files:
            self._files[key] = self._compiled(network, side)
            while sum(map(len, self._files.values())) > _MOST_KEPT and len(self._files) > 1:
                del self._files[next(iter(self._files))]  # the oldest
        return self._files[key]

    def _compiled(self, network: fx.GraphModule, side: int) -> bytes:
        shape = self.preparation.shape
        black = np.zeros((1, shape.height, shape.width, shape.channels), np.uint8)
        example = resized(self.preparation.inputs(black), side)
        noise = [
            torch.randn(example.shape, generator=torch.Generator().manual_seed(seed))
            for seed in range(_CALIBRATION)
        ]
        file = to_tflite(
            FxNet(fold(network)),
            example,
            metadata={},
            precision=self.precision,
            calibration=noise,
            # Whether an untrained network keeps its answers in eight bits says nothing.
            tolerance=np.inf,
        )
        weights = self.bytes_each * _parameters(network)
        self._overheads[len(network.graph.nodes)] = file.size - weights
        return file.content

    def latency(self, content: bytes) -> Latency:
        """Measure a file now."""
        timed = latencies({"teacher": self.teacher, "candidate": content})
        drift = self._pace / timed["teacher"].median
        raw = timed["candidate"]
        return Latency(raw.median * drift, raw.p90 * drift, raw.iqr * drift, raw.runs)

    def estimate(self, network: fx.GraphModule, side: int) -> int:
        """Return about how many bytes a network's file has.

        It is compiled only if none of as many operators has been yet.
        """
        operators = len(network.graph.nodes)
        if operators not in self._overheads:
            return len(self.file(network, side))
        return self._overheads[operators] + self.bytes_each * _parameters(network)


def _parameters(network: fx.GraphModule) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
