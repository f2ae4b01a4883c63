"""From drafts to a family: all files written, measured side by side, and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handheld.compress.drafts import Draft, FamilyDrafts, FamilyRequest
from handheld.compress.family import Family, Latency, Member
from handheld.compress.latency import latencies
from handheld.compress.teacher import TeacherSource
from handheld.engine import compact, embed
from handheld.files import atomic_path
from handheld.networks.zoo.pictures import NETWORKS
from handheld.training.runs import provenance

# Of each file, at least.
_ROUNDS = 100
_SECONDS = 0.3
_CARD_DIGITS = 4  # of an accuracy: one example of ten thousand


def assemble(folder: Path, classes: tuple[str, ...], drafts: FamilyDrafts) -> Family:
    """Write a family's files, measure them, and return the family, without a record.

    Args:
        folder: of the family.
        classes: names of the outputs.
        drafts: all its files.

    Raises:
        FileError: a file cannot be written.
    """
    # Before they are measured, so that a run that is stopped there leaves files that can be used.
    written = {draft.member.file: write_draft(folder, draft) for draft in drafts.files}
    if drafts.weights:
        _write(folder / "teacher.safetensors", drafts.weights)
    timed = _timed(drafts)

    def finished(draft: Draft) -> Member:
        return replace(
            written[draft.member.file],
            latency=timed[draft.content],
            latency_float=timed[draft.float_content],
        )

    teacher = finished(drafts.teacher)
    teacher_file = None
    if drafts.teacher_file is not None:
        teacher_file = drafts.teacher_file.timed(timed)
    quantised = None
    if drafts.quantised is not None:
        quantised = finished(drafts.quantised)
    reference = teacher_file or teacher
    members = [_judged(finished(draft), draft, reference) for draft in drafts.members]
    # by size, so that the order of targets says nothing; names, so that it is always the same
    members.sort(key=lambda member: (-member.size, member.name))
    return Family(
        folder,
        classes,
        teacher,
        marked(members),
        drafts.curves,
        quantised=quantised,
        teacher_file=teacher_file,
    )


def stored(
    content: bytes,
    card: Mapping[str, Any],
    *,
    description: str,
    accuracy: float,
    tested: int,
    packed: bool = False,
) -> bytes:
    """Return a file as it stands in the family's folder: its card says how good it is.

    Args:
        content: as compiled.
        card: of the file.
        description: what the member is, in words.
        accuracy: share of the test split that it answers right, in [0, 1].
        tested: number of test examples.
        packed: whether it is stored packed.
    """
    figures = {"test": round(accuracy, _CARD_DIGITS), "examples": tested}
    content = embed(content, {**card, "accuracy": figures, "how": description})
    if packed:
        # behind the card, which is packed too
        return compact(content)
    return content


def write_draft(folder: Path, draft: Draft) -> Member:
    """Write a draft's file, and return the member with the size that the file has."""
    member = draft.member
    content = stored(
        draft.content,
        draft.card,
        description=member.how,
        accuracy=member.accuracy,
        tested=sum(map(sum, member.confusion)),
        packed=draft.is_packed,
    )
    _write(folder / member.file, content)
    return replace(member, size=len(content))


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _timed(drafts: FamilyDrafts) -> dict[object, Latency]:
    """Return the latency of each file by its content, and of a person's own file by its name."""
    names: dict[bytes, str] = {}
    for draft in drafts.files:
        # The first name stays: float32 files may be those of members, too.
        names.setdefault(draft.content, draft.member.name)
        names.setdefault(draft.float_content, f"{draft.member.name} float32")
    calls = {}
    teacher_file = drafts.teacher_file
    if teacher_file is not None:
        # by a call: a person's file may run in a process of its own
        calls[teacher_file.member.name] = teacher_file.call
    # all in one measurement, so that what slows the machine down slows all of them
    timed = latencies(
        {name: content for content, name in names.items()},
        rounds=_ROUNDS,
        min_seconds=_SECONDS,
        inputs=drafts.inputs,
        calls=calls,
    )
    by_file: dict[object, Latency] = {}
    by_file.update(timed)
    by_file.update((content, timed[name]) for content, name in names.items())
    return by_file


def _judged(member: Member, draft: Draft, reference: Member) -> Member:
    """Return a member that says whether it keeps its target's limits, and if not, why."""
    assert draft.target is not None  # only the teacher's own files have none
    misses = draft.target.misses(member, reference)
    return replace(member, met=not misses, reason="; ".join(misses))


def marked(members: Sequence[Member]) -> tuple[Member, ...]:
    """Return members that say whether they are in the Pareto set."""
    return tuple(
        replace(member, pareto=not any(_beats(other, member) for other in members))
        for member in members
    )


def _beats(other: Member, member: Member) -> bool:
    """Whether another is at least as good in everything, and better in something.

    Latencies differ beyond their noise alone.
    """
    if other.size > member.size or other.valid < member.valid:
        return False
    if member.latency.clearly_below(other.latency):
        return False
    is_better = other.size < member.size or other.valid > member.valid
    return is_better or other.latency.clearly_below(member.latency)


def family_record(
    request: FamilyRequest, drafts: FamilyDrafts, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Return how a family came about: when and where, of what data, with which settings.

    Args:
        request: what was asked for.
        drafts: what was made of it.
        seconds: that each stage took.
    """
    data = request.data
    return {
        **provenance("torch"),
        "seed": request.settings.seed,
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
        "teacher": _teacher_record(request.source, trained=request.is_trained),
        **drafts.record,
    }


def _teacher_record(source: TeacherSource, *, trained: bool) -> dict[str, Any]:
    """Return what a record says of a teacher; of paths their last part, as others may read it."""
    values = {name: value for name, value in source.record.items() if value is not None}
    if source.network not in NETWORKS:
        # It is that of networks of this package.
        values.pop("width")
    for name in ("checkpoint", "file"):
        if name in values:
            values[name] = Path(values[name]).name
    return {**values, "trained": trained}
