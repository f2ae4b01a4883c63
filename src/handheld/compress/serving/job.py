"""A job, in its own process: from an upload to a family in the job's results.

Called again, it goes on where it was.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from handheld.compress.family import Family
from handheld.compress.serving.contents import check_data, find_data
from handheld.compress.serving.form import NETWORKS, TEXT_NETWORKS, target_list
from handheld.compress.serving.limits import CompressLimits
from handheld.compress.serving.overall import BEFORE, PICTURES, Overall, texts
from handheld.data import Splits, load
from handheld.errors import HandheldError, InputError
from handheld.service import unpack
from handheld.service.jobs.kinds import Report, Spec

if TYPE_CHECKING:
    from handheld.compress.settings import FamilySettings
    from handheld.compress.targets import Target
    from handheld.compress.teacher import TeacherSource

# Shares of the training examples, where an archive has no splits of its own.
_VALID = 0.1
_TEST = 0.1
_SPLITS = 3  # folders of classes may stand in train, valid and test
_STEPS_PER_EPOCH = 32
_FEWEST_IN_BATCH = 16  # batch normalisation needs some
_MOST_IN_BATCH = 256
_UNPACKED = 0.01  # share of a job that unpacking takes
_FILES = ("report.html", "family.json")
_WEIGHTS = "teacher.safetensors"  # of pictures
_NAMED = 3  # examples left out, in the message of a job


def run(folder: Path, spec: Spec, report: Report) -> None:
    """Make the family that a form asked for.

    Raises:
        HandheldError: what was wrong, without the server's paths.
    """
    family = folder / "work" / f"{spec['network']}-{spec['width']}"  # the report is named after it
    try:
        # A run writes its report last; what it needs to go on is gone after that.
        if not (family / "report.html").exists():
            _make(folder, family, spec, report)
    except HandheldError as error:
        text = str(error).replace(f"{folder / 'work'}/", "").replace(f"{folder}/", "")
        # no path of ours in it: an error of its own class says more
        if text == str(error):
            raise
        raise InputError(text) from error
    report(1.0, _hand_over(Family.open(family), folder / "result"))
    shutil.rmtree(folder / "work" / "data", ignore_errors=True)


def _make(folder: Path, family: Path, spec: Spec, report: Report) -> None:
    data = _read(folder, spec, report)
    _check_network(spec["network"], is_text=data.train.is_text)
    report(BEFORE, "starting")
    # They take seconds, which nothing above should wait for.
    from handheld.compress.run import compress
    from handheld.compress.settings import FamilySettings

    targets = target_list(spec["targets"])
    if data.train.is_text:
        settings = FamilySettings(seed=spec["seed"])
        shares = texts(_names(targets))
    else:
        settings = settings_of(spec, len(data.train))
        shares = PICTURES
    compress(
        teacher_of(spec, folder / "upload"),
        data,
        out=family,
        targets=targets,
        settings=settings,
        progress=Overall(report, shares),
    )


def _check_network(network: str, *, is_text: bool) -> None:
    names: tuple[str, ...] = NETWORKS
    read = "pictures"
    if is_text:
        names = TEXT_NETWORKS
        read = "texts"
    if network not in names:
        raise InputError(
            f"Large network: {network} does not read {read}, which the data are: "
            f"choose {' or '.join(names)}"
        )


def _names(targets: "int | list[Target]") -> list[str]:
    """Return what the stages are called in which members for texts learn."""
    from handheld.compress.texts.maker import ladder, stage_names

    if isinstance(targets, int):
        return stage_names(ladder(targets))
    return stage_names(targets)


def _read(folder: Path, spec: Spec, report: Report) -> Splits:
    """Unpack the archive, if it is not yet, and load what is in it.

    Examples that are left out are named as in the archive.
    """
    limits = CompressLimits(**spec["limits"])
    unpacked = folder / "work" / "data"
    if not unpacked.exists():
        report(0.0, "unpacking")
        _unpack(folder / "upload" / spec["data"], unpacked, limits)
    report(_UNPACKED, "reading the data")
    path = find_data(unpacked)
    side = spec["side"]
    check_data(path, side, limits)
    # Jobs that were queued before the form had the fields of columns go on.
    columns = (spec.get("text_columns") or "").split(";")
    size = None
    if side:
        size = (side, side)
    data = load(
        path,
        size=size,
        valid=_VALID,
        test=_TEST,
        seed=spec["seed"],
        label_column=spec.get("label_column"),
        text_columns=[name for name in map(str.strip, columns) if name],
    )
    limits.require("Data, classes", len(data.classes), "classes")
    skipped = tuple(
        example._replace(name=example.name.removeprefix(f"{path}/")) for example in data.skipped
    )
    return replace(data, skipped=skipped)


def _unpack(archive: Path, unpacked: Path, limits: CompressLimits) -> None:
    # Of a process that was killed while it unpacked.
    for half in unpacked.parent.glob(f".{unpacked.name}.*"):
        shutil.rmtree(half)
    max_files = limits.pictures + _SPLITS * (limits.classes + 1)
    unpack(archive, unpacked, max_bytes=limits.unpacked_bytes, max_files=max_files)


def teacher_of(spec: Spec, upload: Path) -> "TeacherSource":
    """Return the large network that a form asked for."""
    from handheld.compress.teacher import TeacherSource

    checkpoint = None
    file = None
    if spec["model"] is not None:
        path = upload / spec["model"]
        # a model is answered by, weights are begun with
        if path.suffix == ".onnx":
            file = str(path)
        else:
            checkpoint = str(path)
    return TeacherSource(
        network=spec["network"],
        width=spec["width"],
        checkpoint=checkpoint,
        trained=spec["trained"],
        file=file,
        # a stranger's
        isolated=file is not None,
    )


def settings_of(spec: Spec, examples: int) -> "FamilySettings":
    """Return how to train: with few examples, batches are smaller, and rates with them (Goyal et
    al., arXiv 1706.02677).
    """
    from handheld.compress.pictures.training.batches import Augmentation
    from handheld.compress.settings import FamilySettings
    from handheld.training import Schedule

    batch = _FEWEST_IN_BATCH
    while batch < _MOST_IN_BATCH and 2 * batch * _STEPS_PER_EPOCH <= examples:
        batch *= 2
    # Rates fall in proportion to the batch.
    slowdown = batch / _MOST_IN_BATCH
    epochs = float(spec["epochs"])
    return FamilySettings(
        techniques=tuple(spec["techniques"]),
        training=Schedule(epochs, batch=batch, rate=0.2 * slowdown),
        finish=Schedule(epochs / 2, batch=batch, rate=0.1 * slowdown),
        quantise=min(2.0, epochs / 5),
        augmentation=Augmentation(
            flip=bool(spec.get("mirror"))
        ),  # a job that waited through an update does not have it
        variants=not spec["quick"],
        seed=spec["seed"],
    )


def _hand_over(family: Family, result: Path) -> str:
    """Copy a family's files to the results and return what to say of it."""
    members = (*family.references, *family.members)
    names = [*_FILES, *(member.file for member in members)]
    if (family.folder / _WEIGHTS).exists():
        names.append(_WEIGHTS)
    for name in names:
        shutil.copyfile(family.folder / name, result / name)
    count = len(family.members)
    missed = sum(not member.met for member in family.members)
    message = f"{count} model{'s' * (count != 1)}, {missed or 'none'} short of its target"
    skipped = family.record["data"]["skipped"]
    if not skipped:
        return message
    lines = [f"{len(skipped)} left out", *(f"{name}: {reason}" for name, reason in skipped)]
    (result / "skipped.txt").write_text("\n".join(lines) + "\n", "utf-8")
    listed = ", ".join(name for name, _ in skipped[:_NAMED])
    if len(skipped) > _NAMED:
        listed += " ..."
    return f"{message}; {len(skipped)} left out, see skipped.txt: {listed}"
