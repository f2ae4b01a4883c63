"""The whole way from one big model to a family of small ones."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from handheld.compress.assembly import assemble, family_record
from handheld.compress.drafts import FamilyMaker, FamilyRequest
from handheld.compress.family import Family
from handheld.compress.pictures.maker import PictureMaker
from handheld.compress.pictures.search import ladder
from handheld.compress.report import write_report
from handheld.compress.settings import FamilySettings, listed
from handheld.compress.targets import Target
from handheld.compress.teacher import TeacherSource
from handheld.compress.texts.maker import TextMaker
from handheld.compress.texts.maker import ladder as text_ladder
from handheld.data import Splits
from handheld.errors import InputError
from handheld.training.runs import Progress, StageClock, open_run, silent


def compress(  # noqa: PLR0913  # options by keyword, each by itself
    model: nn.Module | TeacherSource,
    data: Splits,
    *,
    out: str | os.PathLike[str],
    targets: int | Sequence[Target | str] = 6,
    techniques: Sequence[str] | None = None,
    settings: FamilySettings | None = None,
    trained: bool = False,
    base: str | os.PathLike[str] = ".",
    backend: str = "local",
    address: str | None = None,
    progress: Progress = silent,
) -> Family:
    """Turn one big model into a family of small ones.

    After Learn2Compress (Ravi, "Custom On-Device ML Models with Learn2Compress", 2018): joint
    training and distillation of members that share the large network's weights, pruning,
    quantisation while training, transfer from a checkpoint.

    Args:
        model: a torch module that takes (n, channels, height, width) pictures, or (n, 32) numbers
            of words (0: none), and gives (n, classes) logits; or where to get one.
        data: to learn from, to choose by (validation), and to report on (test).
        out: folder of the family. A run that was killed goes on where it was when it is called
            again with the same arguments.
        targets: what the members are for, or how many to make.
        techniques: to use; replaces those of ``settings``.
        settings: of training and export.
        trained: the module is trained already and is only taught from.
        base: folder that the paths in ``model`` start from.
        backend: where members learn for themselves: ``local``, one after another in this process,
            or ``ray``, on a cluster.
        address: of a Ray cluster; a local one is started without. The family is the same on
            machines alike.
        progress: called as the run goes on.

    Returns:
        What was reached. A target that cannot be met has the nearest member, marked as such; all
        files exist.

    Raises:
        InputError: data, model, targets or settings that cannot work, or a folder in use.
        CompileError: the module's structure cannot be read, or an operator is missing in the
            device format.
        TrainingError: the loss is no longer a number, or processes died.
        MissingDependencyError: a package is missing that the backend or a teacher's file needs.

    Warns:
        TeacherWarning: a finished teacher answers validation examples hardly better than a guess,
            or its file would answer more of them with another mean and std.
    """
    if settings is None:
        settings = FamilySettings()
    _check_values(model, data, settings)
    if techniques is not None:
        settings = replace(settings, techniques=listed(techniques))
    # all that can be refused is refused before the folder is opened
    _check_backend(backend, address, is_text=data.train.is_text)
    asked = _asked(targets, settings, is_text=data.train.is_text)
    request = FamilyRequest(model, data, asked, settings, trained, Path(base))
    maker = _maker(request, backend, address)
    with open_run(out, maker.plan) as space, _on_threads(settings.threads):
        clock = StageClock(progress, kept=space.file("seconds.json"))
        drafts = maker.drafts(space, clock)
        with clock.of("measuring"):
            family = assemble(space.folder, data.classes, drafts)
        # once all stages are over, whose seconds it holds
        family = replace(family, record=family_record(request, drafts, clock.seconds))
        family.save()
        write_report(family)
        # last: a run that is stopped before still has all to go on from
        space.clear()
        return family


def _check_values(model: object, data: object, settings: object) -> None:
    """Name the argument that is something else. Raises :class:`InputError`."""
    expected = (
        ("model", model, (nn.Module, TeacherSource), "a torch module or a TeacherSource"),
        ("data", data, Splits, "Splits, as handheld.data.load gives them"),
        ("settings", settings, FamilySettings, "FamilySettings"),
    )
    for name, value, kinds, words in expected:
        if not isinstance(value, kinds):
            raise InputError(f"{name}: expected {words}, got {value!r:.100}")


def _maker(request: FamilyRequest, backend: str, address: str | None) -> FamilyMaker:
    if request.data.train.is_text:
        return TextMaker.of(request)
    return PictureMaker.of(request, backend, address)


def _check_backend(backend: str, address: str | None, *, is_text: bool) -> None:
    if backend not in ("local", "ray"):
        raise InputError(f"no backend {backend!r}: expected local or ray")
    if address is not None and backend == "local":
        raise InputError(
            f"an address ({address}) is that of a Ray cluster: it needs the backend ray"
        )
    if is_text and backend != "local":
        raise InputError(
            f"members for texts learn in this process: expected the backend local, got {backend}"
        )


def _asked(
    targets: int | Sequence[Target | str], settings: FamilySettings, *, is_text: bool
) -> tuple[Target, ...]:
    """Return targets, of which a number of members or texts may be said.

    Raises:
        InputError: there is none, or it is neither.
    """
    # True is a number to Python, and no number of members
    if isinstance(targets, int) and not isinstance(targets, bool):
        if is_text:
            return text_ladder(targets)
        return ladder(targets, settings.allows)
    if not isinstance(targets, Sequence) or isinstance(targets, str):
        raise InputError(
            "targets: expected a list such as ['70KB', '5ms'], or a number of members, "
            f"got {targets!r}"
        )
    if not targets:
        raise InputError("no targets: expected one or more, or a number of members")
    return tuple(map(_target, targets))


def _target(target: Target | str) -> Target:
    if isinstance(target, Target):
        return target
    return Target.of(target)


@contextmanager
def _on_threads(count: int) -> Iterator[None]:
    """Let torch take so many threads; 0: as many as it does."""
    # of the whole process: a caller's own torch must not keep it
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
