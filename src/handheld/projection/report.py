"""Reports of ``handheld text``: one file each, which needs no other and no network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

_MOST_WRONG, _LONGEST = 100, 300  # examples, and letters of one
_WIDTH = 528  # pixels of a chart
_WORST = 12  # labels in the confusion that is drawn


@dataclass(frozen=True)
class Mistake:
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


def training_page(made: "TextModel", model: Path) -> Path:
    """Write the report of a training beside the model and return its path. Raises :class:`FileError`."""
    about = {
        "bytes": f"{len(made.content):,}",
        **{key: made.card[key] for key in ("made_by", "training", "text")},
    }
    about |= {"fit": {name: value for name, value in asdict(made.fit).items() if name != "choice"}}
    return _write(
        training_page_of(model),
        f"Training of {model.name}",
        made.valid,
        about,
        made.curves,
    )


def evaluation_page(
    judged: TextJudgement, model: Path, texts: Path, out: Path | None = None
) -> Path:
    """Write the report of an evaluation, beside the model if ``out`` does not say where. Raises :class:`FileError`."""
    about = {
        "model": str(model),
        "bytes": f"{model.stat().st_size:,}",
        "texts": str(texts),
        "made_by": f"handheld {__version__}",
    }
    return _write(
        out or evaluation_page_of(model),
        f"{model.name} on {texts.name}",
        judged,
        about,
        {},
    )


def recalls(judged: TextJudgement) -> list[Recall]:
    """Return a row for each label that has texts, worst first."""
    names, rows = judged.data.known.classes, []
    for number, counts in enumerate(judged.confusion):
        if total := sum(counts):
            others = [
                (count, name)
                for place, (count, name) in enumerate(zip(counts, names, strict=True))
                if place != number
            ]
            count, name = max(others, default=(0, ""))
            rows.append(
                Recall(
                    names[number],
                    total,
                    counts[number] / total,
                    f"{name} ({count})" if count else "",
                )
            )
    return sorted(rows, key=lambda row: (row.share, -row.count, row.label))


def mistakes(judged: TextJudgement) -> list[Mistake]:
    """Return the texts that were answered wrongly, the surest first."""
    known = judged.data.known
    wrong = sorted(
        (place for place in range(len(known)) if not judged.right[place]),
        key=lambda place: -judged.shares[place],
    )
    return [
        Mistake(_short(str(known.inputs[place])), known.classes[known.labels[place]], known.classes[judged.answered[place]],
                float(judged.shares[place]))
        for place in wrong[:_MOST_WRONG]
    ]  # fmt: skip


def _worst(judged: TextJudgement) -> tuple[Sequence[str], Confusion]:
    """Return the labels of the pairs that are confused most, and the part of the confusion that is theirs."""
    table, names = judged.confusion, judged.data.known.classes
    pairs = [
        (-count, i, j)
        for i, row in enumerate(table)
        for j, count in enumerate(row)
        if i != j and count
    ]
    both = dict.fromkeys(label for _, *pair in sorted(pairs) for label in pair)
    chosen = sorted([*both, *(label for label in range(len(names)) if label not in both)][:_WORST])
    return [names[place] for place in chosen], tuple(
        tuple(table[i][j] for j in chosen) for i in chosen
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text):,} letters)"


def _write(
    path: Path,
    title: str,
    judged: TextJudgement,
    about: Mapping[str, Any],
    learned: Mapping[str, Any],
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
            Figure(f"Loss of {name}.", _loss(name, curve)) for name, curve in learned.items()
        ],
    }
    return write_page(path, "handheld.projection", "text.html", values)


def _loss(name: str, curve: Curve) -> Markup:
    return in_two_widths(
        lambda width: draw_curves({name: curve}, f"Loss of {name}", width=width, height=260), _WIDTH
    )
