"""The whole way from one big model to a family of small ones; each stage goes on from where a killed run was."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from handheld.compress.assembling import assemble, record
from handheld.compress.candidates import Builder, ladder
from handheld.compress.exporting import Exporter
from handheld.compress.family import Family
from handheld.compress.measuring import Probe
from handheld.compress.report import write_report
from handheld.compress.settings import Settings, TextEpochs, listed
from handheld.compress.stages import (
    Engine,
    Run,
    export_members,
    finish_members,
    plan,
    teach,
    together,
)
from handheld.compress.targets import Target
from handheld.compress.teacher_file import ReadOnly, doubts, guesses, warn
from handheld.compress.teachers import Teacher, build, check, traced
from handheld.compress.texts.run import compress_texts
from handheld.compress.texts.run import ladder as text_ladder
from handheld.compress.training.pictures import Preparation, pixels
from handheld.compress.training.student import accuracy
from handheld.data import Splits
from handheld.errors import InputError
from handheld.networks.quantisation import fold
from handheld.training.runs import Progress, StageClock, open_run, silent, values_digest


def compress(
    model: nn.Module | Teacher,
    data: Splits,
    *,
    out: str | os.PathLike[str],
    targets: int | Sequence[Target | str] = 6,
    techniques: Sequence[str] | None = None,
    settings: Settings | None = None,
    trained: bool = False,
    base: str | os.PathLike[str] = ".",
    engine: str = "local",
    address: str | None = None,
    progress: Progress = silent,
) -> Family:
    """Turn one big model into a family of small ones.

    After Learn2Compress (Ravi, "Custom On-Device ML Models with Learn2Compress", 2018): joint training and distillation of
    members that share the large network's weights, pruning, quantisation while training, transfer from a checkpoint.

    Args:
        model: a torch module that takes (n, channels, height, width) pictures, or (n, 32) numbers of words (0: none), and
            gives (n, classes) logits; or where to get one.
        data: to learn from, to choose by (validation), and to report on (test).
        out: folder of the family. A run that was killed goes on where it was when it is called again with the same arguments.
        targets: what the members are for, or how many to make.
        techniques: to use; replaces those of ``settings``.
        settings: of training and export.
        trained: the module is trained already and is only taught from.
        base: folder that the paths in ``model`` start from.
        engine: where members learn for themselves: ``local``, one after another in this process, or ``ray``, on a cluster.
        address: of a Ray cluster; a local one is started without. The family is the same on machines alike.
        progress: called as the run goes on.

    Returns:
        What was reached. A target that cannot be met has the nearest member, marked as such; all files exist.

    Raises:
        InputError: data, model, targets or settings that cannot work, or a folder in use.
        CompileError: the module's structure cannot be read, or an operator is missing in the device format.
        TrainingError: the loss is no longer a number, or processes died.
        MissingDependencyError: a package is missing that the engine or a teacher's file needs.

    Warns:
        TeacherWarning: a finished teacher answers validation examples hardly better than a guess, or its file would
            answer more of them with another mean and std.
    """
    settings, finish = settings or Settings(), _engine(engine, address)
    if techniques is not None:
        settings = replace(settings, techniques=listed(techniques))
    is_text = data.train.is_text
    wanted = _wanted(targets, settings, is_text)
    if is_text:
        if engine != "local":
            raise InputError(
                f"members for texts learn in this process: expected the engine local, got {engine}"
            )
        with _on_threads(settings.threads):
            return compress_texts(
                model,
                data,
                out=out,
                targets=wanted,
                settings=settings,
                trained=trained,
                base=base,
                progress=progress,
            )
    if settings.texts != TextEpochs():
        raise InputError(
            "these are pictures: [settings.texts] says how long texts learn; set training, finish and quantise"
        )
    if not_allowed := [str(target) for target in wanted if not settings.allows(target.kind)]:
        raise InputError(
            f"target {not_allowed[0]!r} needs a technique that is not among {', '.join(settings.techniques)}"
        )
    preparation, classes = Preparation.of(data.train), len(data.classes)
    for part in (data.valid, data.test):
        pixels(part)  # of the training pictures' shape, and of their type too
    source = model if isinstance(model, Teacher) else Teacher(network=type(model).__qualname__)
    what: dict[str, Any] = {
        "teacher": source.record,
        "trained": trained or source.trained,
        "settings": _said(settings),
        "targets": [str(target) for target in wanted],
        "data": values_digest(data.train.digest, data.valid.digest, data.test.digest),
    }
    if isinstance(model, nn.Module):
        network = check(model, preparation.shape, classes)
        what["weights"] = values_digest(
            [(k, tuple(v.shape), float(v.double().sum())) for k, v in network.state_dict().items()]
        )
    else:
        network = build(source, preparation.shape, classes, seed=settings.seed, folder=Path(base))
    answerer = None
    if source.file:
        answerer = ReadOnly.of(source, Path(base), data.classes, preparation)
    large = traced(network, preparation.shape, classes)
    weighted = settings.weighted(data.train.counts.tolist())
    with open_run(out, json.loads(json.dumps(what))) as space, _on_threads(settings.threads):
        clock = StageClock(progress, kept=space.file("seconds.json"))
        run = Run(
            data,
            weighted,
            wanted,
            space,
            clock,
            preparation,
            large,
            not what["trained"],
            source,
            answerer,
        )
        return _stages(run, finish)


def _wanted(
    targets: int | Sequence[Target | str], settings: Settings, is_text: bool
) -> tuple[Target, ...]:
    """Return targets, of which a number of members or texts may be said. Raises :class:`InputError`."""
    if isinstance(targets, int) and not isinstance(targets, bool):
        return text_ladder(targets) if is_text else ladder(targets, settings.allows)
    if not isinstance(targets, Sequence) or isinstance(targets, str):
        raise InputError(
            f"targets: expected a list such as ['70KB', '5ms'], or a number of members, got {targets!r}"
        )
    wanted = tuple(one if isinstance(one, Target) else Target.of(one) for one in targets)
    if not wanted:
        raise InputError("no targets: expected one or more, or a number of members")
    return wanted


def _doubts(run: Run) -> list[str]:
    """Say what a person should know of a teacher that is finished, before anything learns from it."""
    valid = run.data.valid
    found = []
    if not run.trains_large:
        right = round(accuracy(run.large.eval(), valid, run.preparation) * len(valid))
        mean, std = list(run.preparation.mean), list(run.preparation.std)
        told = guesses(run.source.network, right, valid.labels)
        found += [
            f"{note}. Pictures come to it with mean {mean} and std {std}, which are those of the data"
            for note in told
        ]
    if run.answerer is not None:
        found += doubts(run.answerer, valid)
    return found


def _said(settings: Settings) -> dict[str, Any]:
    """Return settings as a plan holds them."""
    without = {"processes", "threads", "texts"} | (
        {"class_weights"} if not settings.class_weights else set()
    )
    said = {key: value for key, value in asdict(settings).items() if key not in without}
    said["distillation"] = {
        key: value for key, value in said["distillation"].items() if value != ()
    }
    return said


@contextmanager
def _on_threads(count: int) -> Iterator[None]:
    """Let torch take so many threads; 0: as many as it does."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _engine(name: str, address: str | None) -> Engine:
    if name == "ray":
        from handheld.compress.cluster import on_cluster

        return on_cluster(address)
    if name != "local":
        raise InputError(f"no engine {name!r}: expected local or ray")
    if address is not None:
        raise InputError(
            f"an address ({address}) is that of a Ray cluster: it needs the engine ray"
        )
    return finish_members


def _stages(run: Run, finish: Engine) -> Family:
    clock, settings = run.clock, run.settings
    with clock.of("teacher's file"):
        exporter = Exporter(
            run.data.train,
            run.data.valid,
            run.preparation,
            run.card,
            settings.max_loss,
            tested=len(run.data.test),
            seed=settings.seed,
        )
        run.notes.extend(_doubts(run))
        warn(run.notes)

    @cache
    def probe() -> Probe:
        draft = exporter.compile(fold(run.large.cpu()), run.side, "float32")
        return Probe(
            draft,
            run.preparation,
            "int8" if settings.uses("quantisation") else "float32",
            run.answerer,
        )

    builder = Builder(
        run.large, run.preparation.shape, len(run.data.classes), settings.seed, settings.sparsity
    )
    with clock.of("candidates"):
        candidates = plan(run, builder, probe)
    with clock.of("joint training"):
        started = together(run, builder, candidates)
    with clock.of("teacher's answers"):
        lesson = teach(run)
    with clock.of("members"):
        finished = finish(run, lesson, started)
    with clock.of("files"):
        exported = export_members(run, exporter, probe(), finished)
    with clock.of("measuring"):
        family = assemble(run, exporter, exported)
    family = replace(family, record=record(run))
    family.save()
    write_report(family)
    run.space.clear()
    return family
