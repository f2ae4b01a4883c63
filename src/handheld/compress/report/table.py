"""The family's figures as a table of plain text, in Markdown."""

from handheld.compress.family import Family, Member
from handheld.compress.report.rows import MemberRow, macs_text, rows, unsteady
from handheld.reports import (
    markdown_table,
    percent,
    seconds_text,
    size_text,
    times,
)

_HEADS = (
    "name",
    "what it is",
    "precision",
    "bytes",
    "smaller",
    "latency (IQR)",
    "faster",
    "MACs",
    "fewer",
    "test",
    "balanced",
    "test, float32",
    "of teacher's",
    "target",
    "met",
)
_NUMBERS = range(3, 13)  # columns of numbers


def markdown(family: Family) -> str:
    """Return the table of the teacher and all members, aligned for a terminal as well.

    Accuracies are of the test split: of the file, in which each example counts alike or each class
    (balanced), and of the same network as a float32 file. A question mark stands beside "faster"
    where latencies varied by more than half of their median, and a dash in its place where the two
    latencies do not differ beyond their noise.
    """
    return markdown_table(_HEADS, [_cells(one) for one in rows(family)], numbers=_NUMBERS)


def _cells(row: MemberRow) -> tuple[str, ...]:
    member = row.member
    latency = member.latency
    faster = times(row.faster)
    if unsteady(row):
        faster += "?"
    return (
        member.name,
        member.how,
        member.precision,
        size_text(member.size),
        times(row.smaller),
        f"{seconds_text(latency.median)} ({seconds_text(latency.iqr)})",
        faster,
        macs_text(member),
        times(row.fewer),
        percent(member.accuracy),
        percent(member.balanced),
        percent(member.accuracy_float),
        percent(row.kept, 1),
        member.target,
        _met(member),
    )


def _met(member: Member) -> str:
    if not member.target:
        return ""
    if member.met:
        return "yes"
    # a family that was read from a file may lack the reason
    return f"no: {member.reason or 'not said why'}"
