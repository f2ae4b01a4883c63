"""A member's figures beside the teacher's, and the family in one sentence."""

from dataclasses import dataclass, replace

from handheld.compress.chance import half_interval
from handheld.compress.family import Family, Member
from handheld.reports import NONE, count_text, percent, ratio, size_text, times


@dataclass(frozen=True)
class MemberRow:
    """A member and how it compares.

    Attributes:
        member: the teacher, its file in int8, or a member.
        smaller, faster, fewer: times; of file bytes, median latency, multiply-accumulates; no
            number of "faster" where the two latencies do not differ beyond their noise.
        kept: its accuracy over the teacher's, both on the test split.
        anchor: where the report says more of it; an empty text for what members are set beside.
    """

    member: Member
    smaller: float | None
    faster: float | None
    fewer: float | None
    kept: float | None
    anchor: str = ""

    @property
    def speed(self) -> str:
        """How much faster it is, in words; where that is within the noise, that it is not known."""
        if self.faster is None:
            return "about as fast"
        return f"{times(self.faster)} faster"


def row(member: Member, teacher: Member) -> MemberRow:
    """Compare a member with the teacher."""
    now = member.latency
    before = teacher.latency
    differs = now.clearly_below(before) or before.clearly_below(now)
    # a ratio within the noise would be another one in the next run
    faster = None
    if differs or member is teacher:
        faster = ratio(before.median, now.median)
    fewer = None
    # 0: they were not counted
    if teacher.macs:
        fewer = ratio(teacher.macs, member.macs)
    return MemberRow(
        member,
        ratio(teacher.size, member.size),
        faster,
        fewer,
        ratio(member.accuracy, teacher.accuracy),
    )


def macs_text(member: Member) -> str:
    """Write a member's multiply-accumulates; a dash where they were not counted."""
    if not member.macs:
        return NONE
    return count_text(member.macs)


def rows(family: Family) -> list[MemberRow]:
    """Compare all with the teacher, the teacher first."""
    beside = [row(member, family.reference) for member in family.beside]
    members = [
        replace(row(member, family.reference), anchor=f"member-{number}")
        for number, member in enumerate(family.members, 1)
    ]
    return beside + members


def half_width(family: Family) -> float | None:
    """Return by how much the teacher's test accuracy may be off: half of its 95 % interval; None
    without test examples.
    """
    count = sum(map(sum, family.teacher.confusion))
    if not count:
        return None
    return half_interval(round(family.reference.accuracy * count), count)


def unsteady(one: MemberRow) -> bool:
    """Whether a latency varied so much that its ratio to another, where there is one,
    says little.
    """
    latency = one.member.latency
    return one.faster is not None and latency.iqr > latency.median / 2


def best(family: Family) -> Member | None:
    """Return the member that is most accurate on the validation split, of equals the smaller."""
    # by the validation split, as ``Family.pick`` does: the test split says how good that was
    return max(family.members, key=lambda member: (member.valid, -member.size), default=None)


def summary(family: Family) -> str:
    """Return one sentence with the smallest and the most accurate member; accuracies are of the
    test split.
    """
    teacher = family.reference
    origin = _origin(family)
    chosen = best(family)
    if chosen is None:
        return f"No member was made of {origin}."
    sizes = sorted(family.members, key=lambda member: member.size)
    smallest = row(sizes[0], teacher)
    small = (
        f"{smallest.member.name} is {times(smallest.smaller)} smaller and {smallest.speed} "
        f"at {percent(smallest.member.accuracy, 1)}"
    )
    if chosen is smallest.member:
        count = f"{len(sizes)} models"
        if len(sizes) == 1:
            count = "One model"
        kept = percent(smallest.kept, 1)
        return f"{count} made of {origin}: {small}, {kept} of the teacher's accuracy."
    large = row(chosen, teacher)
    return (
        f"{len(sizes)} models of {size_text(sizes[0].size)} to {size_text(sizes[-1].size)}, "
        f"made of {origin}: {small}; {chosen.name}, the most accurate on the validation split, "
        f"keeps {percent(large.kept, 1)} of the teacher's accuracy and is "
        f"{times(large.smaller)} smaller and {large.speed}."
    )


def _origin(family: Family) -> str:
    """Say what a family was made of, and what eight bits alone make of that."""
    teacher = family.reference
    origin = (
        f"a teacher of {size_text(teacher.size)} that answers {percent(teacher.accuracy, 1)} "
        "of the test split right"
    )
    # of a person's own file eight bits are not known
    if family.quantised is None or family.teacher_file is not None:
        return origin
    alone = row(family.quantised, teacher)
    return (
        f"{origin} (int8 alone: {times(alone.smaller)} smaller, {alone.speed}, "
        f"{percent(alone.member.accuracy, 1)})"
    )
