"""Our family beside what peers make of the same teacher and data.

    handheld compress examples/compress/fashion_mnist.toml
    handheld compress examples/compress/fashion_mnist_small.toml
    python benchmarks/compress_vs_peers.py [families/fashion_mnist]
        [--more families/fashion_mnist_small]

Peers: ai-edge-quantizer on the teacher; torch-pruning, which cuts the teacher to several sizes, in
one shot by magnitude and tuned on labels, and in steps by Taylor scores and tuned on the teacher's
answers, for as many epochs as our members finish in, then ai-edge-quantizer; NNCF's post-training
quantisation of the teacher in OpenVINO's format. All that is a ``.tflite`` runs in LiteRT, in turns
in one process; NNCF's result and our float32 files also in OpenVINO, which reads both. Each on one
thread. The first run makes ``.venv-peers`` and fetches torch-pruning beside it; what was pruned is
kept in ``FAMILY_peers``, so that a run that was stopped goes on.

"smaller" and "faster" are against the teacher's float32 file, "beyond int8" against its int8 file,
which costs no training. Seconds of ours are those of the whole run by the clock, shared out; those
of torch-pruning are CPU seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _peers_env import openvino_python, torch_pruning
from _report import show, write

from handheld.compile import to_tflite
from handheld.compress import Family
from handheld.compress.config import read
from handheld.compress.latency import latencies
from handheld.compress.pictures.evaluation import answers, stored_inputs
from handheld.compress.pictures.exporter import Exporter
from handheld.compress.pictures.large_network import build
from handheld.compress.pictures.preparation import Preparation, pixels
from handheld.compress.pictures.training.answers import TeacherAnswers
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.pictures.training.student import StudentLesson, follow
from handheld.compress.teacher import TeacherSource
from handheld.data import Splits
from handheld.engine import Model
from handheld.networks.quantisation import FxNet, fold
from handheld.networks.structure import trace
from handheld.training import Distillation, FitRun, Schedule

KEPT = (0.22, 0.16, 0.11, 0.075, 0.05)  # of each layer's channels, by torch-pruning
WORKER = Path(__file__).parent / "_openvino_worker.py"
COLUMNS = (
    "who",
    "what",
    "bytes",
    "smaller",
    "beyond int8",
    "MACs",
    "LiteRT us",
    "faster",
    "faster beyond int8",
    "OpenVINO us",
    "test %",
    "seconds",
    "Pareto",
)
INT8 = "teacher, int8"


@dataclass(frozen=True)
class Point:
    """A model that somebody made; its ``.tflite``, or its figures in another runtime."""

    who: str
    what: str
    content: bytes
    macs: int
    seconds: float
    accuracy: float = 0.0
    openvino: float | None = None


@dataclass(frozen=True)
class Bench:
    """The teacher and the data that all get."""

    family: Family
    data: Splits
    teacher: torch.nn.Module
    preparation: Preparation
    exporter: Exporter
    epochs: float
    config: Any

    @property
    def example(self) -> torch.Tensor:
        return torch.zeros(2, *self.preparation.shape)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("family", type=Path, nargs="?", default=Path("families/fashion_mnist"))
    options.add_argument(
        "--more", type=Path, nargs="*", default=[], help="families of the same teacher"
    )
    options.add_argument(
        "--config", type=Path, default=Path("examples/compress/fashion_mnist.toml")
    )
    options.add_argument(
        "--epochs", type=float, help="of fine-tuning after torch-pruning; ours if left out"
    )
    given = options.parse_args()
    bench = load(given.family, given.config, given.epochs)
    others = [member for folder in given.more for member in ours(Family.open(folder))]
    points = [
        teacher_of(bench.family),
        *ours(bench.family),
        *others,
        *quantiser(bench),
        *pruner(bench),
    ]
    points = [replace(point, accuracy=accuracy(bench, point.content)) for point in points]
    timed = latencies(
        {str(number): point.content for number, point in enumerate(points)}, rounds=200
    )
    beside = nncf(bench)
    rows = [
        row(point, timed[str(number)].median, points, timed) for number, point in enumerate(points)
    ]
    rows += beside
    show("compress beside its peers", rows, COLUMNS)
    write(f"compress_vs_peers_{given.family.name}", rows, COLUMNS)


def load(folder: Path, config: Path, epochs: float | None) -> Bench:
    family, wanted = Family.open(folder), read(config)
    data = wanted.load()
    preparation = Preparation.of(data.train)
    source = replace(
        wanted.teacher,
        checkpoint=str((folder / "teacher.safetensors").resolve()),
        trained=True,
        file=None,
    )
    teacher = build(
        TeacherSource(**vars(source)), preparation.shape, len(data.classes), seed=0, folder=Path()
    )
    exporter = Exporter(data.train, data.valid, preparation, {"labels": list(data.classes)}, 0.005)
    return Bench(
        family,
        data,
        teacher.eval(),
        preparation,
        exporter,
        epochs or wanted.settings.finish.epochs,
        wanted,
    )


def ours(family: Family) -> Iterator[Point]:
    """All members, each with a share of the whole run's time."""
    seconds = sum(family.record["seconds"].values()) / len(family.members)
    for member in family.members:
        content = (family.folder / member.file).read_bytes()
        yield Point("handheld", f"{member.name}, {member.precision}", content, member.macs, seconds)


def teacher_of(family: Family) -> Point:
    """The teacher that all begin with."""
    return Point(
        "the teacher",
        "float32",
        (family.folder / family.teacher.file).read_bytes(),
        family.teacher.macs,
        0.0,
    )


def quantiser(bench: Bench) -> Iterator[Point]:
    """Post-training quantisation of the teacher."""
    network = fold(trace(bench.teacher, bench.example))
    side = min(bench.preparation.shape[1:])
    for name, make in (
        ("int8", lambda: bench.exporter.compile(network, side, "int8")),
        ("float16", lambda: bench.exporter.compile(network, side, "float16")),
        (
            "int8 weights",
            lambda: (
                to_tflite(
                    FxNet(network),
                    bench.example[:1],
                    metadata={},
                    precision="int8_weights",
                ).content
            ),
        ),
    ):
        content, seconds = timed(make)
        yield Point(
            "ai-edge-quantizer", f"teacher, {name}", content, bench.family.teacher.macs, seconds
        )


def pruner(bench: Bench) -> Iterator[Point]:
    """Channels removed by torch-pruning, fine-tuning, then post-training quantisation.

    As its README begins (one shot by magnitude, fine-tuned on labels); and as well as it can be
    used: by Taylor scores in several steps with half an epoch between them, fine-tuned from the
        answers of
    the teacher, as our members are.
    """
    for way in (ONE_SHOT, ITERATIVE):
        for kept in KEPT:
            yield cut_by_torch_pruning(bench, way, kept)


@dataclass(frozen=True)
class Way:
    """How torch-pruning is used.

    Attributes:
        name: for the table, and of the folder that keeps what was made.
        steps: in which channels leave.
        between: epochs of training after each step but the last.
        answers: whether the teacher's answers are learned from, or labels alone.
    """

    name: str
    steps: int
    between: float
    answers: bool


ONE_SHOT = Way("torch_pruning", steps=1, between=0.0, answers=False)
ITERATIVE = Way("torch_pruning_iterative", steps=5, between=0.5, answers=True)


def cut_by_torch_pruning(bench: Bench, way: Way, kept: float) -> Point:
    place = bench.family.folder.parent / f"{bench.family.folder.name}_peers" / f"{way.name}_{kept}"
    if (place / "made.json").exists():
        made = json.loads((place / "made.json").read_text())
        return Point(**made, content=(place / "int8.tflite").read_bytes())
    place.mkdir(parents=True, exist_ok=True)
    # CPU time: what else the machine does is not the peer's
    started = time.process_time()
    settings = bench.config.settings
    views = settings.views if way.answers else 0
    batches = PictureBatches(
        bench.data.train,
        bench.preparation,
        settings.finish.batch,
        settings.augmentation,
        views=views,
        seed=0,
    )
    lesson = PeerLesson(batches, how=Distillation(weight=0.0, smoothing=0.1))
    if way.answers:
        known = TeacherAnswers(bench.teacher, batches, len(bench.data.classes), save=place)
        lesson = PeerLesson(batches, settings.distillation, known)
    network = deepcopy(bench.teacher).train()
    prune(bench, network, lesson, way, kept)
    lesson.teach(network, replace(settings.finish, epochs=bench.epochs), save=place / "state.pt")
    macs, _ = torch_pruning().utils.count_ops_and_params(network, bench.example[:1])
    graph = fold(trace(network, bench.example))
    content = bench.exporter.compile(graph, min(bench.preparation.shape[1:]), "int8")
    learned = "iterative, from the teacher's answers, " if way.answers else ""
    made = {
        "who": "torch-pruning + ai-edge-quantizer",
        "what": f"{learned}{kept:.0%} of channels, int8",
        "macs": int(macs),
        "seconds": time.process_time() - started,
    }
    print(made, flush=True)
    (place / "int8.tflite").write_bytes(content)
    (place / "made.json").write_text(json.dumps(made))
    return Point(**made, content=content)


@dataclass(frozen=True)
class PeerLesson:
    """What a pruned network learns from."""

    batches: PictureBatches
    how: Distillation
    answers: TeacherAnswers | None = None

    def teach(self, network: torch.nn.Module, schedule: Schedule, save: Path | None = None) -> None:
        lesson = StudentLesson(self.batches, self.answers, self.how)
        follow(network, lesson, schedule, FitRun(save=save))


def prune(
    bench: Bench, network: torch.nn.Module, lesson: PeerLesson, way: Way, kept: float
) -> None:
    """Remove channels; a network that was pruned and tuned before is pruned again where it was."""
    pruning = torch_pruning()
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1:]
    one_shot = way.steps == 1
    importance = (
        pruning.importance.GroupMagnitudeImportance(p=2)
        if one_shot
        else pruning.importance.GroupTaylorImportance()
    )
    pruner = pruning.pruner.BasePruner(
        network,
        bench.example,
        importance=importance,
        pruning_ratio=1 - kept,
        iterative_steps=way.steps,
        ignored_layers=last,
        round_to=2,
    )
    finish = bench.config.settings.finish
    between = replace(finish, epochs=way.between, rate=finish.rate / 4)
    for step in range(way.steps):
        if not one_shot:
            taylor_gradients(network, lesson.batches)
        pruner.step()
        network.zero_grad(set_to_none=True)
        if step + 1 < way.steps:
            lesson.teach(network, between)


def taylor_gradients(network: torch.nn.Module, batches: PictureBatches) -> None:
    """Add up the gradients of a few batches, which Taylor scores are made of."""
    network.zero_grad(set_to_none=True)
    for number in range(min(20, batches.per_epoch)):
        batch = batches.at(number)
        torch.nn.functional.cross_entropy(network(batch.inputs), batch.labels).backward()


def nncf(bench: Bench) -> list[dict[str, Any]]:
    """Post-training quantisation by NNCF; our float32 files and the teacher run beside it in its
    runtime.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        inputs = bench.preparation.inputs(pixels(bench.data.train)[:300]).contiguous().numpy()
        np.save(place / "calibration.npy", inputs)
        np.save(place / "labels.npy", bench.data.test.labels)
        np.save(
            place / "nncf.npy",
            bench.preparation.inputs(pixels(bench.data.test)).contiguous().numpy()[:, None],
        )
        network = FxNet(fold(trace(bench.teacher, bench.example))).eval()
        torch.onnx.export(
            network,
            (bench.example[:1],),
            place / "teacher.onnx",
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        for member in (bench.family.teacher, *bench.family.members):
            content = (bench.family.folder / member.file).read_bytes()
            (place / f"{member.name}.tflite").write_bytes(content)
            with Model.load(content) as model:
                np.save(
                    place / f"{member.name}.npy",
                    list(stored_inputs(model.inputs[0], bench.data.test, bench.preparation)),
                )
        done = subprocess.run(
            [openvino_python(), WORKER, folder], check=True, stdout=subprocess.PIPE, text=True
        )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def accuracy(bench: Bench, content: bytes) -> float:
    return float(
        (answers(content, bench.data.test, bench.preparation) == bench.data.test.labels).mean()
    )


def row(point: Point, latency: float, points: list[Point], timed_all: Any) -> dict[str, Any]:
    medians = {id(other): timed_all[str(number)].median for number, other in enumerate(points)}
    beaten = any(
        len(other.content) <= len(point.content)
        and medians[id(other)] <= latency
        and other.accuracy >= point.accuracy
        and (len(other.content), medians[id(other)], other.accuracy)
        != (len(point.content), latency, point.accuracy)
        for other in points
    )
    whole = points[0]
    int8 = next(other for other in points if other.what == INT8)
    return {
        "who": point.who,
        "what": point.what,
        "bytes": len(point.content),
        "smaller": round(len(whole.content) / len(point.content), 1),
        "beyond int8": round(len(int8.content) / len(point.content), 1),
        "MACs": point.macs,
        "LiteRT us": round(latency * 1e6, 1),
        "faster": round(medians[id(whole)] / latency, 1),
        "faster beyond int8": round(medians[id(int8)] / latency, 1),
        "test %": round(100 * point.accuracy, 2),
        "seconds": round(point.seconds),
        "Pareto": "" if beaten else "yes",
    }


def timed(make: Callable[[], bytes]) -> tuple[bytes, float]:
    started = time.perf_counter()
    return make(), time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
