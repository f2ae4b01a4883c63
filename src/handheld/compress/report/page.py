"""The page: what each part of it shows, and one file that holds it all."""

import base64
import hashlib
from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from handheld.compress.chance import half_interval
from handheld.compress.family import Family, Layer, Member
from handheld.compress.report import pareto
from handheld.compress.report.record import MOST_CLASSES, MOST_SKIPPED, read_record
from handheld.compress.report.rows import (
    MemberRow,
    best,
    half_width,
    macs_text,
    row,
    rows,
    summary,
)
from handheld.reports import (
    NONE,
    Figure,
    draw_curves,
    heat_cells,
    in_two_widths,
    percent,
    ratio,
    render,
    seconds_text,
    size_text,
    times,
    worst_pairs,
    write_page,
)
from handheld.reports.charts import heat

_PACKAGE = "handheld.compress.report"
_HALF = 528  # pixels: half of the page
_MOST = 760  # most of it
_MOST_LAYERS = 20
_COSTS = (
    (pareto.SIZE, "Accuracy against the bytes of the file."),
    (
        pareto.LATENCY,
        "Accuracy against the median latency; bars, where wider than the point, "
        "are the distance of the quartiles.",
    ),
)
_SECTION_HEAD = (
    "model",
    "what it is",
    "file",
    "latency",
    "multiply-accumulates",
    "test accuracy",
    "target",
)
_SECTION_NUMBERS = {4, 5}


def write_report(family: Family) -> Path:
    """Write ``report.html`` into a family's folder and return its path.

    The page needs no other file and no network. Without scripts everything in it can be read; with
    them the table sorts and one member is looked at at a time.

    Raises:
        FileError: it cannot be written.
    """
    return write_page(family.folder / "report.html", _PACKAGE, "report.html", _values(family))


def report_section(family: Family, link: str) -> Markup:
    """Return an HTML section about a family for another page: one sentence, accuracy against size,
    and the figures.

    Args:
        family: to show.
        link: path of its whole report, relative to the page.
    """
    drawn = in_two_widths(
        lambda width: pareto.picture(family, pareto.SIZE, width=width, height=380), _MOST
    )
    values = {
        "summary": summary(family),
        "figure": Figure("Accuracy on the validation split against the bytes of the file.", drawn),
        "head": _SECTION_HEAD,
        "rows": [_cells(one, is_teacher=number == 0) for number, one in enumerate(rows(family))],
        "numbers": _SECTION_NUMBERS,
        "link": link,
    }
    return render(_PACKAGE, "section.html", values)


def _cells(one: MemberRow, *, is_teacher: bool) -> list[str]:
    """Return a row of the section's table."""
    member = one.member
    smaller = ""
    faster = ""
    # the teacher beside itself would be 1.0x smaller
    if not is_teacher:
        smaller = f", {times(one.smaller)} smaller"
        faster = f", {one.speed}"
    return [
        member.name,
        f"{member.how}, {member.precision}",
        size_text(member.size) + smaller,
        seconds_text(member.latency.median) + faster,
        macs_text(member),
        percent(member.accuracy),
        _verdict(member),
    ]


def _verdict(member: Member) -> str:
    if not member.target:
        return NONE
    words = f"{member.target}: not met"
    if member.met:
        words = f"{member.target}: met"
    if member.reason:
        words += f", {member.reason}"
    return words


def _values(family: Family) -> dict[str, Any]:
    script = _asset("script.js")
    # The page's own script may run and nothing else, whatever a name in the family holds
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'",
        "script": script,
        "title": _title(family),
        "summary": summary(family),
        "family": family,
        "chosen": best(family),
        "rows": rows(family),
        "costs": [Figure(caption, _against(family, cost)) for cost, caption in _COSTS],
        "curves": _shared(family),
        "details": [_details(family, member) for member in family.members],
        "half_width": half_width(family),
        "record": read_record(family.record),
        "most_classes": MOST_CLASSES,
        "most_skipped": MOST_SKIPPED,
        "samples": sorted({member.latency.runs for member in (*family.beside, *family.members)}),
    }


def _against(family: Family, cost: pareto.CostAxis) -> Markup:
    return in_two_widths(lambda width: pareto.picture(family, cost, width=width, height=380), _HALF)


def _shared(family: Family) -> Figure:
    """Return the curves of the shared training, with their names."""
    # a training of no steps has a curve without points, and no line whose name could be shown
    curves = {name: curve for name, curve in family.curves.items() if curve}
    title = "Loss of the shared training"
    drawn = in_two_widths(lambda width: draw_curves(curves, title, width=width, height=280), _MOST)
    return Figure("", drawn, tuple(curves))


def _curve(member: Member, width: int) -> Markup:
    return draw_curves(
        {member.name: member.curve}, f"Loss of {member.name}", width=width, height=240
    )


def _details(family: Family, member: Member) -> dict[str, Any]:
    layers = _largest(member.layers)
    return {
        "row": row(member, family.reference),
        **_mistakes(family, member),
        "layers": layers,
        "rest": [layer for layer in member.layers if layer not in layers],
        "steps": _steps(member),
        "curve": Figure("", in_two_widths(partial(_curve, member), _MOST)),
    }


def _mistakes(family: Family, member: Member) -> dict[str, Any]:
    """Return what the page shows of a confusion: all of it, or of many classes its worst pairs."""
    if 0 < len(member.confusion) <= heat.MOST_CLASSES:
        cells = heat_cells(member.confusion)
        return {"cells": cells, "recall": _recall(family, member), "pairs": []}
    pairs = worst_pairs(member.confusion, family.classes)
    return {"cells": [], "recall": [], "pairs": pairs}


def _recall(family: Family, member: Member) -> list[tuple[str, float, float, int]]:
    """Return name, share answered right, half of its 95 % interval, and test examples, of each
    class that has some.
    """
    known = zip(family.classes, member.recall, member.confusion, strict=True)
    return [
        (name, share, half_interval(round(share * sum(row)), sum(row)), sum(row))
        for name, share, row in known
        if share is not None
    ]


def _title(family: Family) -> str:
    """Return the page's title; of a folder that is called a family itself, its name alone."""
    name = family.folder.resolve().name
    # not "Family of family"
    if name.lower().startswith(("family", "families")):
        return name.capitalize()
    return f"Family of {name}"


def _largest(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that have most of the bytes or of the operations, in their order."""
    size = sum(layer.size for layer in layers) or 1
    macs = sum(layer.macs for layer in layers) or 1
    ranked = sorted(layers, key=lambda layer: -max(layer.size / size, layer.macs / macs))
    largest = ranked[:_MOST_LAYERS]
    # in the order in which they stand, by bytes
    return [layer for layer in layers if layer in largest]


def _steps(member: Member) -> list[dict[str, Any]]:
    """Return each step with its place on a scale that begins and ends at its members' lowest and
    highest accuracy.
    """
    shares = [step.accuracy for step in member.steps]
    low = min(shares, default=0.0)
    # 1 where all are the same: any place on the scale is right
    span = max(shares, default=1.0) - low or 1.0
    largest = max((step.size for step in member.steps), default=1)
    shown = []
    before = None
    for step in member.steps:
        gain = None
        smaller = None
        # the first one has nothing before it to be better than
        if before is not None:
            gain = step.accuracy - before.accuracy
            smaller = ratio(before.size, step.size)
        shown.append(
            {
                "step": step,
                "place": (step.accuracy - low) / span,
                "bar": step.size / max(1, largest),
                "gain": gain,
                "smaller": smaller,
            }
        )
        before = step
    return shown


def _asset(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath("templates", name).read_text("utf-8"))
