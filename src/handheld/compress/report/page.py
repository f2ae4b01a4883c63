"""The page: what each part of it shows, and one file that holds it all."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from handheld import __version__
from handheld.compress.chance import half_interval
from handheld.compress.family import Family, Layer, Member
from handheld.compress.report import heat, pareto
from handheld.compress.report.record import MOST_CLASSES, MOST_SKIPPED, read_record
from handheld.compress.report.rows import best, half_width, row, rows, summary
from handheld.drawing import amounts, curves
from handheld.drawing.page import templates, twice, write_page

_PACKAGE = "handheld.compress.report"
_HALF, _MOST = 528, 760  # pixels: half of the page, and most of it
_MOST_LAYERS = 20


def write_report(family: Family) -> Path:
    """Write ``report.html`` into a family's folder and return its path.

    The page needs no other file and no network. Without scripts everything in it can be read; with them the table sorts and
    one member is looked at at a time.

    Raises:
        FileError: it cannot be written.
    """
    return write_page(family.folder / "report.html", _PACKAGE, "report.html", _values(family))


def report_section(family: Family, link: str) -> Markup:
    """Return an HTML section about a family for another page: one sentence, accuracy against size, and the figures.

    Args:
        family: to show.
        link: path of its whole report, relative to the page.

    The page names the colours: ``--ink``, ``--dim``, ``--line``, ``--panel``, ``--blue``, ``--orange``, ``--green``, ``--red``.
    """
    values = {
        "summary": summary(family),
        "picture": pareto.picture(family, pareto.SIZE, width=_MOST, height=380),
        "rows": rows(family),
        "link": link,
    }
    return Markup(templates(_PACKAGE).get_template("section.html").render(values))


def _values(family: Family) -> dict[str, Any]:
    script, chosen = _asset("script.js"), best(family)
    # the page's own script may run and nothing else, whatever a name in the family holds
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "policy": f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        "script": script,
        "heat": {theme: Markup(heat.style(theme)) for theme in ("light", "dark")},
        "title": _title(family),
        "version": __version__,
        "summary": summary(family),
        "family": family,
        "chosen": chosen,
        "rows": rows(family),
        "size_picture": twice(lambda width: pareto.picture(family, pareto.SIZE, width=width, height=380), _HALF),
        "latency_picture": twice(lambda width: pareto.picture(family, pareto.LATENCY, width=width, height=380), _HALF),
        "curves": [name for name, curve in family.curves.items() if curve],
        "curve_picture": twice(
            lambda width: curves.picture(family.curves, "Loss of the shared training", width=width, height=280), _MOST
        ),
        "details": [_details(family, member) for member in family.members],
        "half_width": half_width(family),
        "record": read_record(family.record),
        "most_classes": MOST_CLASSES,
        "most_skipped": MOST_SKIPPED,
        "samples": sorted({member.latency.runs for member in (*family.beside, *family.members)}),
    }


def _details(family: Family, member: Member) -> dict[str, Any]:
    name = f"Loss of {member.name}"
    layers = _largest(member.layers)
    few = 0 < len(member.confusion) <= heat.MOST_CLASSES
    return {
        "row": row(member, family.reference),
        "cells": heat.cells(member.confusion) if few else [],
        "recall": _recall(family, member) if few else [],
        "pairs": [] if few else heat.worst_pairs(member.confusion, family.classes),
        "layers": layers,
        "rest": [layer for layer in member.layers if layer not in layers],
        "steps": _steps(member),
        "curve": twice(lambda width: curves.picture({member.name: member.curve}, name, width=width, height=240), _MOST),
    }


def _recall(family: Family, member: Member) -> list[tuple[str, float, float, int]]:
    """Return name, share answered right, half of its 95 % interval, and test examples, of each class that has some."""
    known = zip(family.classes, member.recall, member.confusion, strict=True)
    return [
        (name, share, half_interval(round(share * sum(row)), sum(row)), sum(row))
        for name, share, row in known
        if share is not None
    ]


def _title(family: Family) -> str:
    """Return the page's title; of a folder that is called a family itself, its name alone."""
    name = family.folder.resolve().name
    return name.capitalize() if name.lower().startswith(("family", "families")) else f"Family of {name}"


def _largest(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that have most of the bytes or of the operations, in their order."""
    size, macs = sum(layer.size for layer in layers) or 1, sum(layer.macs for layer in layers) or 1
    ranked = sorted(layers, key=lambda layer: -max(layer.size / size, layer.macs / macs))[:_MOST_LAYERS]
    return [layer for layer in layers if layer in ranked]


def _steps(member: Member) -> list[dict[str, Any]]:
    """Return each step with its place on a scale that begins and ends at its members' lowest and highest accuracy."""
    shares = [step.accuracy for step in member.steps]
    low, largest = min(shares, default=0.0), max((step.size for step in member.steps), default=1)
    span = max(shares, default=1.0) - low or 1.0
    return [
        {
            "step": step,
            "place": (step.accuracy - low) / span,
            "bar": step.size / max(1, largest),
            "gain": None if before is None else step.accuracy - before.accuracy,
            "smaller": before and amounts.ratio(before.size, step.size),
        }
        for before, step in zip((None, *member.steps), member.steps, strict=False)
    ]


def _asset(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath("templates", name).read_text("utf-8"))
