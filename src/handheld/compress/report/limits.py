"""The limits that were asked of members."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from handheld.compress.family import Family, Member
from handheld.compress.targets import Target
from handheld.errors import InputError

Figure = Literal["size", "latency", "accuracy"]


@dataclass(frozen=True)
class Limit:
    """A value that members were to keep; accuracy is that on the validation split, at least, the
    others are at most.

    Attributes:
        figure: of what.
        value: bytes, seconds on this machine, or a share.
        met: whether all that were made for it keep it.
    """

    figure: Figure
    value: float
    met: bool


def limits(family: Family) -> list[Limit]:
    """Return each limit of the members' targets once; a target that is free text has none."""
    kept: dict[tuple[Figure, float], bool] = {}
    for member in family.members:
        try:
            target = Target.of(member.target)
        except InputError:
            # free text, which the table shows as it is
            continue
        for figure, value, met in _asked(target, member, family.reference):
            # one line in the chart for several members: met if all of them keep it
            kept[figure, value] = kept.get((figure, value), True) and met
    return [Limit(figure, value, met) for (figure, value), met in kept.items()]


def _asked(target: Target, member: Member, teacher: Member) -> Iterator[tuple[Figure, float, bool]]:
    size = target.max_size(teacher)
    latency = target.max_latency(teacher)
    if size is not None:
        yield "size", size, member.size <= size
    if latency is not None:
        yield "latency", latency, member.latency.median <= latency
    if target.accuracy is not None:
        # by the validation split, as members are chosen
        yield "accuracy", target.accuracy, member.valid >= target.accuracy
