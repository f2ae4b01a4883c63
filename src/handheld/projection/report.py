"""Reports of ``handheld text``: one file each, which needs no other and no network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from handheld import __version__
from handheld.projection.judging import TextJudgement
from handheld.reports import (
    Confusion,
    Curve,
    Figure,
    draw_curves,
    flat,
    heat_cells,
    in_two_widths,
    write_page,
)

if TYPE_CHECKING:
    from handheld.projection.training.plan import TextModel

# More of each nobody reads, and a page of a large test set would be megabytes.
_MAX_MISTAKES = 100
_MAX_LETTERS = 300  # of a text
_MAX_LABELS = 12  # in the confusion that is drawn

_WIDTH = 528  # pixels of a chart


@dataclass(frozen=True)
class TextMistake:
    """A text that was answered wrongly."""

    text: str
    true: str
    answered: str
    share: float


@dataclass(frozen=True)
class Recall:
    """How many texts of a label were answered right, and what they were taken for most often."""

    label: str
    count: int
    share: float
    taken_for: str


def training_page_of(model: Path) -> Path:
    """Return where the report of a model's training stands."""
    return model.with_suffix(".training.html")


def evaluation_page_of(model: Path) -> Path:
    """Return where the report of a model's evaluation stands, if nothing else is said."""
    return model.with_suffix(".evaluation.html")


def training_page(trained: "TextModel", model: Path) -> Path:
    """Write the report of a training beside the model and return its path.

    Raises :class:`FileError`.
    """
    fit = asdict(trained.fit)
    del fit["choice"]  # what the table of trials tells
    about = {
        "bytes": f"{len(trained.content):,}",
        "made_by": trained.card["made_by"],
        "training": trained.card["training"],
        "text": trained.card["text"],
        "fit": fit,
    }
    page = training_page_of(model)
    return _write(page, f"Training of {model.name}", trained.valid, about, trained.curves)


def evaluation_page(
    judged: TextJudgement, model: Path, texts: Path, out: Path | None = None
) -> Path:
    """Write the report of an evaluation, beside the model if ``out`` does not say where.

    Raises :class:`FileError`.
    """
    about = {
        "model": str(model),
        "bytes": f"{model.stat().st_size:,}",
        "texts": str(texts),
        "made_by": f"handheld {__version__}",
    }
    page = out or evaluation_page_of(model)
    return _write(page, f"{model.name} on {texts.name}", judged, about, {})


def recalls(judged: TextJudgement) -> list[Recall]:
    """Return a row for each label that has texts, worst first."""
    names = judged.data.known.classes
    rows = []
    for label, counts in enumerate(judged.confusion):
        total = sum(counts)
        if not total:
            continue
        others = list(zip(counts, names, strict=True))
        del others[label]
        count, name = max(others, default=(0, ""))
        taken_for = ""
        if count:
            taken_for = f"{name} ({count})"
        rows.append(Recall(names[label], total, counts[label] / total, taken_for))
    return sorted(rows, key=lambda row: (row.share, -row.count, row.label))


def mistakes(judged: TextJudgement) -> list[TextMistake]:
    """Return the texts that were answered wrongly, the surest first."""
    known = judged.data.known
    wrong = np.flatnonzero(~judged.right)
    surest = wrong[np.argsort(-judged.shares[wrong], kind="stable")]
    rows = []
    for number in surest[:_MAX_MISTAKES]:
        text = _short(str(known.inputs[number]))
        true = known.classes[known.labels[number]]
        answered = known.classes[judged.answered[number]]
        rows.append(TextMistake(text, true, answered, float(judged.shares[number])))
    return rows


def _worst(judged: TextJudgement) -> tuple[Sequence[str], Confusion]:
    """Return the labels that are confused most, and their rows and columns of the confusion."""
    table = judged.confusion
    names = judged.data.known.classes
    # In a dictionary, which keeps the order: first the labels of the worst pairs, then all others.
    order: dict[int, None] = {}
    for _, true, answered in sorted(_confused(table)):
        order |= {true: None, answered: None}
    order |= dict.fromkeys(range(len(names)))
    chosen = sorted(list(order)[:_MAX_LABELS])
    rows = [tuple(table[true][answered] for answered in chosen) for true in chosen]
    return [names[label] for label in chosen], tuple(rows)


def _confused(table: Confusion) -> Iterator[tuple[int, int, int]]:
    """Yield (-count, true, answered) of each pair that was confused."""
    for true, row in enumerate(table):
        for answered, count in enumerate(row):
            if answered != true and count:
                yield -count, true, answered


def _short(text: str) -> str:
    if len(text) <= _MAX_LETTERS:
        return text
    return f"{text[:_MAX_LETTERS]} ... ({len(text):,} letters)"


def _write(
    path: Path,
    title: str,
    judged: TextJudgement,
    about: Mapping[str, Any],
    curves: Mapping[str, Any],
) -> Path:
    labels, confusion = _worst(judged)
    values = {
        "title": title,
        "judged": judged,
        "count": len(judged.data.known),
        "about": flat(about),
        "recalls": recalls(judged),
        "labels": labels,
        "cells": heat_cells(confusion),
        "mistakes": mistakes(judged),
        "wrong": int((~judged.right).sum()),
        "figures": [
            Figure(f"Loss of {name}.", _loss(name, curve)) for name, curve in curves.items()
        ],
    }
    return write_page(path, "handheld.projection", "text.html", values)


def _loss(name: str, curve: Curve) -> Markup:
    def draw(width: int) -> Markup:
        return draw_curves({name: curve}, f"Loss of {name}", width=width, height=260)

    return in_two_widths(draw, _WIDTH)
