"""The family's figures as a table of plain text, in Markdown."""

import re

from handheld.compress.family import Family
from handheld.compress.report.rows import Row, rows, unsteady
from handheld.drawing.amounts import NONE, count_text, percent, seconds_text, size_text, times

_HEADS = (
    "name", "what it is", "precision", "bytes", "smaller", "latency (IQR)", "faster", "MACs", "fewer", "test", "balanced",
    "test, float32", "of teacher's", "target", "met",
)  # fmt: skip
_RIGHT = range(3, 13)  # columns of numbers


def markdown(family: Family) -> str:
    """Return the table of the teacher and all members, aligned for a terminal as well.

    Accuracies are of the test split: of the file, in which each example counts alike or each class (balanced), and of the same
    network as a float32 file. A
    question mark stands beside "faster" where latencies varied by more than half of their median, and a dash in its place where
    the two latencies do not differ beyond their noise.
    """
    cells = [_HEADS, *map(_cells, rows(family))]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(_HEADS))]
    rule = [("-" * (width - 1) + ":") if column in _RIGHT else "-" * width for column, width in enumerate(widths)]
    lines = [[text.rjust(widths[i]) if i in _RIGHT else text.ljust(widths[i]) for i, text in enumerate(line)] for line in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]]) + "\n"


def _cells(found: Row) -> tuple[str, ...]:
    member = found.member
    met = "" if not member.target else "yes" if member.met else f"no: {member.reason or 'not said why'}"
    return tuple(
        _safe(text)
        for text in (
            member.name, member.how, member.precision, size_text(member.size), times(found.smaller),
            f"{seconds_text(member.latency.median)} ({seconds_text(member.latency.iqr)})",
            times(found.faster) + ("?" if unsteady(found) else ""),
            count_text(member.macs) if member.macs else NONE, times(found.fewer), percent(member.accuracy),
            percent(member.balanced), percent(member.accuracy_float), percent(found.kept, 1), member.target, met,
        )
    )  # fmt: skip


def _safe(text: str) -> str:
    """Escape what Markdown, or the HTML that it lets through, would take for its own."""
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", " ".join(text.split()))
