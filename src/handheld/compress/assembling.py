"""The last stage: all files measured side by side, judged on the test split, and written with what is known of them."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import fx

import handheld
from handheld.compress.candidates import Candidate
from handheld.compress.exporting import Exported, Exporter
from handheld.compress.family import Family, Latency, Layer, Member
from handheld.compress.finishing import Finished
from handheld.compress.measuring import answers, confusion, latencies
from handheld.compress.quantisation import fold
from handheld.compress.stages import Run, reshaped
from handheld.compress.structure import macs
from handheld.data import Splits
from handheld.engine import compact, embed
from handheld.media import atomic_path

_ROUNDS, _SECONDS = 100, 0.3  # of each file, at least
_QUANTISED = "teacher_int8"


def assemble(run: Run, exporter: Exporter, exported: Mapping[Candidate, tuple[Finished, Exported]]) -> Family:
    """Write the family's folder and return the family."""
    files = {"teacher": exporter.compile(fold(run.large.cpu()), run.side, "float32")}
    if run.settings.uses("quantisation"):
        files[_QUANTISED] = exporter.compile(fold(run.large), run.side, "int8")
    for candidate, (_, file) in exported.items():
        files[candidate.name], files[f"{candidate.name} float32"] = file.content, file.float_content
    timed = latencies(files, rounds=_ROUNDS, min_seconds=_SECONDS)
    teacher = _teacher(run, files["teacher"], timed["teacher"], exporter)
    teacher = _written(run, teacher, files["teacher"])
    quantised = None
    if _QUANTISED in files:
        quantised = _quantised(run, teacher, files[_QUANTISED], timed[_QUANTISED], exporter)
        quantised = _written(run, quantised, files[_QUANTISED])
    members = [
        _judged(_written(run, _member(run, candidate, one, file, timed), file.content), candidate, teacher)
        for candidate, (one, file) in exported.items()
    ]
    members.sort(key=lambda member: (-member.size, member.name))
    family = Family(run.space.folder, run.data.classes, teacher, marked(members), run.curves, quantised=quantised)
    _write_weights(run)
    return family


def _teacher(run: Run, content: bytes, latency: Latency, exporter: Exporter) -> Member:
    answered = answers(content, run.data.test, run.preparation)
    right = float((answered == run.data.test.labels).mean())
    network = reshaped(run.large, run.preparation, run.side)
    return Member(
        name="teacher",
        file="teacher.tflite",
        how="the large network",
        precision="float32",
        size=len(content),
        macs=sum(macs(network).values()),
        parameters=_parameters(network),
        latency=latency,
        accuracy=right,
        accuracy_float=right,
        valid=exporter.right(content),
        size_float=len(content),
        latency_float=latency,
        layers=_layers(network, 4),
        confusion=confusion(answered, run.data.test),
        curve=tuple(run.curves["joint training"]),
    )


def _quantised(run: Run, teacher: Member, content: bytes, latency: Latency, exporter: Exporter) -> Member:
    """Return what eight bits alone make of the teacher."""
    answered = answers(content, run.data.test, run.preparation)
    return replace(
        teacher,
        name="teacher, int8",
        file=f"{_QUANTISED}.tflite",
        how="the large network, int8 after training",
        precision="int8",
        size=len(content),
        latency=latency,
        accuracy=float((answered == run.data.test.labels).mean()),
        accuracy_float=teacher.accuracy,
        valid=exporter.right(content),
        layers=tuple(layer._replace(size=layer.size // 4) for layer in teacher.layers),
        confusion=confusion(answered, run.data.test),
    )


def _member(run: Run, candidate: Candidate, one: Finished, file: Exported, timed: Mapping[str, Latency]) -> Member:
    test, name = run.data.test, candidate.name
    answered = answers(file.content, test, run.preparation)
    in_float = answers(file.float_content, test, run.preparation)
    network = reshaped(one.network, run.preparation, candidate.side)
    return Member(
        name=name,
        file=f"{name}.tflite.xz" if candidate.kind == "sparse" else f"{name}.tflite",
        how=candidate.how,
        precision=file.precision,
        size=len(file.content),
        macs=sum(macs(network).values()),
        parameters=_parameters(network),
        latency=timed[name],
        accuracy=float((answered == test.labels).mean()),
        accuracy_float=float((in_float == test.labels).mean()),
        valid=file.valid,
        size_float=len(file.float_content),
        latency_float=timed[f"{name} float32"],
        target=str(candidate.target),
        steps=(*one.steps, *file.steps),
        layers=_layers(network, 4 if file.precision == "float32" else 1),
        confusion=confusion(answered, test),
        curve=tuple(one.curve),
    )


def _judged(member: Member, candidate: Candidate, teacher: Member) -> Member:
    misses = candidate.target.misses(member, teacher)
    return replace(member, met=not misses, reason="; ".join(misses))


def marked(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return members that say whether they are in the Pareto set."""
    return tuple(replace(member, pareto=not any(_beats(other, member) for other in members)) for member in members)


def _beats(other: Member, member: Member) -> bool:
    """Whether another is at least as good in everything and better in something."""
    ours = (member.size, member.latency.median, -member.valid)
    theirs = (other.size, other.latency.median, -other.valid)
    return theirs != ours and all(a <= b for a, b in zip(theirs, ours, strict=True))


def _layers(network: fx.GraphModule, bytes_each: int) -> tuple[Layer, ...]:
    counts = macs(network)
    layers = [
        Layer(name, bytes_each * sum(parameter.numel() for parameter in network.get_submodule(name).parameters()), count)
        for name, count in counts.items()
    ]
    return tuple(sorted(layers, key=lambda layer: -layer.size))


def _parameters(network: fx.GraphModule) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _written(run: Run, member: Member, content: bytes) -> Member:
    """Write a file whose card says how good it is, and return the member with the file's size."""
    figures = {"test": round(member.accuracy, 4), "examples": len(run.data.test)}
    content = embed(content, {**run.card, "accuracy": figures, "how": member.how})
    if member.file.endswith(".xz"):
        content = compact(content)
    with atomic_path(run.space.folder / member.file) as temporary:
        temporary.write_bytes(content)
    return replace(member, size=len(content))


def _write_weights(run: Run) -> None:
    """Write the teacher's weights, to go on from with other data."""
    from safetensors.torch import save

    weights = {name: tensor.contiguous() for name, tensor in run.large.state_dict().items()}
    with atomic_path(run.space.folder / "teacher.safetensors") as temporary:
        # safetensors' own way to write replaces the file, by one that nobody else may read
        temporary.write_bytes(save(weights))


def record(run: Run) -> dict[str, Any]:
    """Return how the family came about."""
    settings = {**asdict(run.settings), "targets": [str(target) for target in run.targets]}
    return {
        **origin(run.data, run.settings.seed, settings, run.clock.seconds),
        "tried": run.tried,
        **({"joint": json.loads(ratio.read_text("utf-8"))} if (ratio := run.space.file("joint.json")).exists() else {}),
    }


def origin(data: Splits, seed: int, settings: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return what every family's record says: when and where it was made, of what data, with which settings."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "settings": dict(settings),
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
        "versions": {"handheld": handheld.__version__, "torch": torch.__version__},
        "data": {
            "counts": dict(zip(data.classes, data.train.counts.tolist(), strict=True)),
            "skipped": [list(skipped) for skipped in data.skipped],
            "notes": list(data.notes),
            "train": len(data.train),
            "valid": len(data.valid),
            "test": len(data.test),
            "digest": data.train.digest,
        },
    }
