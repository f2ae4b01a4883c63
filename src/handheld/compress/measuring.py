"""Compiled files side by side: bytes, latency, answers."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from handheld.compile import Precision, to_tflite
from handheld.compress.family import Latency
from handheld.compress.teacher_file import ReadOnly
from handheld.compress.training.pictures import Preparation, pixels, resized
from handheld.data import Dataset
from handheld.engine import Model, TensorInfo
from handheld.engine.measure import measure
from handheld.networks.quantisation import Plain, fold

_ROUNDS = 40
_MOST_KEPT = 2**28  # bytes of files that are kept in memory, to be measured again


class Figures(NamedTuple):
    """Bytes of a file and its latency."""

    size: int
    latency: Latency
    valid: float = 0.0


class Probe:
    """Compiles untrained networks and measures them beside the teacher's file.

    The machine's speed drifts; so each is measured in turns with the teacher, and its latency is scaled by what the teacher
    takes at that moment.

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
        file: ReadOnly | None = None,
    ):
        self.teacher = teacher
        self.preparation = preparation
        self.precision = precision
        self.bytes_each = 1 if precision == "int8" else 4
        timed = latencies(
            {"teacher": teacher}, calls={} if file is None else {"file": file.one_call()}
        )
        self._pace = timed["teacher"].median
        own = Figures(len(teacher), timed["teacher"])
        self.reference = own if file is None else Figures(file.size, timed["file"])
        self._files: dict[str, bytes] = {}
        self._beside: dict[
            int, int
        ] = {}  # bytes of files that are no weights, by the number of operators

    def file(self, network: fx.GraphModule, side: int) -> bytes:
        """Return a network's file for pictures of a side; the same one is compiled once."""
        key = f"{side} {[tuple(parameter.shape) for parameter in network.parameters()]}"
        if key not in self._files:
            empty = np.zeros((1, *self.preparation.shape[1:], self.preparation.shape[0]), np.uint8)
            example = resized(self.preparation.inputs(empty), side)
            noise = [
                torch.randn(example.shape, generator=torch.Generator().manual_seed(seed))
                for seed in range(4)
            ]
            file = to_tflite(
                Plain(fold(network)),
                example,
                metadata={},
                precision=self.precision,
                calibration=noise,
                tolerance=np.inf,
            )
            self._beside[len(network.graph.nodes)] = file.size - self.bytes_each * _parameters(
                network
            )
            self._files[key] = file.content
            while sum(map(len, self._files.values())) > _MOST_KEPT and len(self._files) > 1:
                del self._files[next(iter(self._files))]  # the oldest
        return self._files[key]

    def latency(self, content: bytes) -> Latency:
        """Measure a file now."""
        timed = latencies({"teacher": self.teacher, "candidate": content})
        drift = self._pace / timed["teacher"].median
        one = timed["candidate"]
        return Latency(one.median * drift, one.p90 * drift, one.iqr * drift, one.runs)

    def estimate(self, network: fx.GraphModule, side: int) -> int:
        """Return about how many bytes a network's file has; it is compiled only if none of as many operators has been yet."""
        operators = len(network.graph.nodes)
        if operators not in self._beside:
            return len(self.file(network, side))
        return self._beside[operators] + self.bytes_each * _parameters(network)


def _parameters(network: fx.GraphModule) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def noise(model: Model) -> list[NDArray[Any]]:
    """Return normal noise for each input of a model."""
    rng = np.random.default_rng(0)
    return [
        info.to_stored(rng.standard_normal(info.shape).astype(np.float32)) for info in model.inputs
    ]


def latencies(
    files: Mapping[str, bytes],
    *,
    rounds: int = _ROUNDS,
    min_seconds: float = 0.0,
    inputs: Callable[[Model], list[NDArray[Any]]] = noise,
    calls: Mapping[str, Callable[[], object]] = {},
) -> dict[str, Latency]:
    """Measure model files in turns, each on one thread that keeps to one core and on ``inputs`` of its own.

    Args:
        files: by name.
        rounds: of each file, at least.
        min_seconds: of each file, at least.
        inputs: that a model runs on.
        calls: what else is measured beside them.
    """
    models = {name: Model.load(content, path=name) for name, content in files.items()}
    try:
        runs = {name: partial(model.run, *inputs(model)) for name, model in models.items()}
        timed = measure({**runs, **calls}, rounds=rounds, min_seconds=min_seconds, pin=_core())
    finally:
        for model in models.values():
            model.close()
    return {name: Latency(one.median, one.p90, one.iqr, one.runs) for name, one in timed.items()}


def _core() -> int | None:
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def answers(content: bytes, dataset: Dataset, preparation: Preparation) -> NDArray[np.int64]:
    """Return the class that a model file answers for each picture, (n,), one picture at a time as on a device."""
    with Model.load(content) as model:
        each = stored_inputs(model.inputs[0], dataset, preparation)
        return np.fromiter((model.run(one)[0].argmax() for one in each), np.int64, len(dataset))


def stored_inputs(
    info: TensorInfo, dataset: Dataset, preparation: Preparation
) -> Iterator[NDArray[Any]]:
    """Return each picture as a model file takes it: (1, height, width, channels) of the file's size and type."""
    pictures, side = pixels(dataset), min(info.shape[1:3])
    for start in range(0, len(dataset), 500):
        inputs = (
            resized(preparation.inputs(pictures[start : start + 500]), side)
            .permute(0, 2, 3, 1)
            .numpy()
        )
        yield from np.split(
            info.to_stored(np.ascontiguousarray(inputs, dtype=np.float32)), len(inputs)
        )


def confusion(answered: NDArray[np.int64], dataset: Dataset) -> tuple[tuple[int, ...], ...]:
    """Count [true class][answered class]."""
    count = len(dataset.classes)
    table = np.bincount(dataset.labels * count + answered, minlength=count**2).reshape(count, count)
    return tuple(tuple(int(cell) for cell in row) for row in table)
