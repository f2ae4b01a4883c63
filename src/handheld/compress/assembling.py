"""The last stage: all files measured side by side, judged on the test split, and written with what is known of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from handheld.compress.candidates import Candidate
from handheld.compress.exporting import Exported, Exporter
from handheld.compress.family import Family, Latency, Layer, Member
from handheld.compress.finishing import Finished
from handheld.compress.measuring import answers, confusion, latencies
from handheld.compress.stages import Run, joint_ratio, reshaped
from handheld.compress.teacher_file import ReadOnly
from handheld.compress.teachers import Teacher
from handheld.data import Splits
from handheld.files import atomic_path
from handheld.networks.quantisation import fold
from handheld.networks.structure import macs, module_state
from handheld.networks.zoo.pictures import NETWORKS
from handheld.training.runs import provenance

_ROUNDS, _SECONDS = 100, 0.3  # of each file, at least
_QUANTISED = "teacher_int8"
_GIVEN = "the teacher's file"


def assemble(
    run: Run, exporter: Exporter, exported: Mapping[Candidate, tuple[Finished, Exported]]
) -> Family:
    """Write the family's folder and return the family."""
    files = {"teacher": exporter.compile(fold(run.large.cpu()), run.side, "float32")}
    if run.settings.uses("quantisation"):
        files[_QUANTISED] = exporter.compile(fold(run.large), run.side, "int8")
    for candidate, (_, file) in exported.items():
        files[candidate.name], files[f"{candidate.name} float32"] = file.content, file.float_content
    calls = {} if run.answerer is None else {_GIVEN: run.answerer.one_call()}
    timed = latencies(files, rounds=_ROUNDS, min_seconds=_SECONDS, calls=calls)
    teacher = _teacher(run, files["teacher"], timed["teacher"], exporter)
    teacher = _written(run, exporter, teacher, files["teacher"])
    given = None if run.answerer is None else _given(run, run.answerer, timed[_GIVEN])
    quantised = None
    if _QUANTISED in files:
        quantised = _quantised(run, teacher, files[_QUANTISED], timed[_QUANTISED], exporter)
        quantised = _written(run, exporter, quantised, files[_QUANTISED])
    members = []
    for candidate, (one, file) in exported.items():
        member = _written(run, exporter, _member(run, candidate, one, file, timed), file.content)
        members.append(_judged(member, candidate, teacher if given is None else given))
    members.sort(key=lambda member: (-member.size, member.name))
    _write_weights(run)
    return Family(
        run.space.folder,
        run.data.classes,
        teacher,
        marked(members),
        run.curves,
        quantised=quantised,
        teacher_file=given,
    )


def _given(run: Run, file: ReadOnly, latency: Latency) -> Member:
    """Return the figures of the file that all learned from."""
    answered = file.answers(run.data.test)
    right = float((answered == run.data.test.labels).mean())
    # A name with a point is no member's; without one it might be "teacher".
    name = file.name if "." in file.name else f"{file.name} ({_GIVEN})"
    return Member(
        name=name,
        file=file.name,
        how="the teacher's file, only read",
        precision="as given",
        size=file.size,
        macs=0,
        parameters=0,
        latency=latency,
        accuracy=right,
        accuracy_float=right,
        valid=float((file.answers(run.data.valid) == run.data.valid.labels).mean()),
        size_float=file.size,
        latency_float=latency,
        confusion=confusion(answered, run.data.test),
    )


def _teacher(run: Run, content: bytes, latency: Latency, exporter: Exporter) -> Member:
    answered = answers(content, run.data.test, run.preparation)
    right = float((answered == run.data.test.labels).mean())
    network = reshaped(run.large, run.preparation, run.side)
    return Member(
        name="teacher",
        file="teacher.tflite",
        how="the large network"
        if run.answerer is None
        else "the large network, taught by that file",
        precision="float32",
        size=len(content),
        macs=sum(macs(network).values()),
        parameters=_parameters(network),
        latency=latency,
        accuracy=right,
        accuracy_float=right,
        valid=float(exporter.right(content).mean()),
        size_float=len(content),
        latency_float=latency,
        layers=_layers(network, "float32"),
        confusion=confusion(answered, run.data.test),
        curve=tuple(run.curves["joint training"]) if run.trains_large else (),
    )


def _quantised(
    run: Run, teacher: Member, content: bytes, latency: Latency, exporter: Exporter
) -> Member:
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
        valid=float(exporter.right(content).mean()),
        layers=_layers(reshaped(run.large, run.preparation, run.side), "int8"),
        confusion=confusion(answered, run.data.test),
    )


def _member(
    run: Run, candidate: Candidate, one: Finished, file: Exported, timed: Mapping[str, Latency]
) -> Member:
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
        layers=_layers(network, file.precision, file.kept_float),
        confusion=confusion(answered, test),
        curve=tuple(one.curve),
        kept_float=file.kept_float,
    )


def _judged(member: Member, candidate: Candidate, teacher: Member) -> Member:
    misses = candidate.target.misses(member, teacher)
    return replace(member, met=not misses, reason="; ".join(misses))


def marked(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return members that say whether they are in the Pareto set."""
    return tuple(
        replace(member, pareto=not any(_beats(other, member) for other in members))
        for member in members
    )


def _beats(other: Member, member: Member) -> bool:
    """Whether another is at least as good in everything and better in something; latencies differ beyond their noise alone."""
    if (
        other.size > member.size
        or other.valid < member.valid
        or member.latency.clearly_below(other.latency)
    ):
        return False
    is_better = other.size < member.size or other.valid > member.valid
    return is_better or other.latency.clearly_below(member.latency)


def _layers(
    network: fx.GraphModule, precision: str, kept_float: Sequence[str] = ()
) -> tuple[Layer, ...]:
    """Return what each layer adds to a file, the largest first.

    Args:
        network: with shapes; its normalisation is folded here, as in the file.
        precision: of the file. In int8 a weight has one byte, a bias four.
        kept_float: layers that stayed in float32.
    """
    folded = fold(network)

    modules = dict(folded.named_modules())

    def size(layer: torch.nn.Module | None, each: int) -> int:
        """Bytes of a layer; None: a product of activations, which has no weights."""
        return (
            0
            if layer is None
            else sum((each if one.ndim > 1 else 4) * one.numel() for one in layer.parameters())
        )

    each = 4 if precision == "float32" else 1
    layers = [
        Layer(name, size(modules.get(name), 4 if name in kept_float else each), count)
        for name, count in macs(folded).items()
    ]
    rest = size(folded, each) - sum(size(modules.get(layer.name), each) for layer in layers)
    if rest:
        layers.append(Layer("other parameters", rest, 0))
    return tuple(sorted(layers, key=lambda layer: -layer.size))


def _parameters(network: fx.GraphModule) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _written(run: Run, exporter: Exporter, member: Member, content: bytes) -> Member:
    """Write a file whose card says how good it is, and return the member with the file's size."""
    content = exporter.finished(
        content, member.how, member.accuracy, packed=member.file.endswith(".xz")
    )
    with atomic_path(run.space.folder / member.file) as temporary:
        temporary.write_bytes(content)
    return replace(member, size=len(content))


def _write_weights(run: Run) -> None:
    """Write the teacher's weights, to go on from with other data."""
    from safetensors.torch import save

    weights = module_state(run.large)  # each in memory of its own, as safetensors wants it
    with atomic_path(run.space.folder / "teacher.safetensors") as temporary:
        # safetensors' own way to write replaces the file, by one that nobody else may read
        temporary.write_bytes(save(weights))


def record(run: Run) -> dict[str, Any]:
    """Return how the family came about."""
    settings = {**asdict(run.settings), "targets": [str(target) for target in run.targets]}
    made = {
        **origin(run.data, run.settings.seed, settings, run.clock.seconds),
        "teacher": teacher_record(run.source, trained=not run.trains_large),
        "notes": run.notes,
        "tried": run.tried,
    }
    ratio = joint_ratio(run.space)
    return made if ratio is None else {**made, "joint": {"ratio": ratio}}


def teacher_record(source: Teacher, *, trained: bool) -> dict[str, Any]:
    """Return what a family's record says of its teacher; of paths their last part, since others may read it."""
    said = {name: value for name, value in source.record.items() if value is not None}
    if source.network not in NETWORKS:
        said.pop("width")  # which is that of networks of this package
    for name in ("checkpoint", "file"):
        if name in said:
            said[name] = Path(said[name]).name
    return {**said, "trained": trained}


def origin(
    data: Splits, seed: int, settings: Mapping[str, Any], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return what every family's record says: when and where it was made, of what data, with which settings."""
    return {
        **provenance("torch"),
        "seed": seed,
        "settings": dict(settings),
        "seconds": {stage: round(spent, 1) for stage, spent in seconds.items()},
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
