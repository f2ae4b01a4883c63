"""What of a family's record is shown.

The record is a free mapping: what is absent or of another kind is left out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handheld.reports.tables import flat, plain_text

# A table or list of more is not read to its end; the record in family.json has all.
MOST_CLASSES = 30
MOST_SKIPPED = 100


@dataclass(frozen=True)
class Shown:
    """The known parts of a record as texts and numbers.

    Attributes:
        seed: as a text; empty if unknown.
        notes: what a person should know of the run and of the data.
        teacher, settings, machine, versions: (name, text); names of nested mappings are joined by
            points.
        seconds: (stage, seconds).
        splits: (split, number of examples).
        counts: (class, examples).
        skipped: (name, reason).
        digest: of the data; empty if unknown.
        joint: time of a joint step over that of a step of the largest member alone.
    """

    seed: str
    notes: list[str]
    teacher: list[tuple[str, str]]
    settings: list[tuple[str, str]]
    machine: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    seconds: list[tuple[str, float]]
    splits: list[tuple[str, int]]
    counts: list[tuple[str, int]]
    skipped: list[tuple[str, str]]
    digest: str
    joint: float | None


def read_record(record: Mapping[str, Any]) -> Shown:
    """Pick what is known of a record."""
    data = _mapping(record.get("data"))
    joint = _mapping(record.get("joint"))
    skipped = data.get("skipped")
    return Shown(
        plain_text(record.get("seed")),
        [*_texts(record.get("notes")), *_texts(data.get("notes"))],
        flat(record.get("teacher")),
        flat(record.get("settings")),
        flat(record.get("machine")),
        flat(record.get("versions")),
        _numbers(_mapping(record.get("seconds"))),
        [
            (name, round(count))
            for name, count in _numbers(
                {name: data.get(name) for name in ("train", "valid", "test")}
            )
        ],
        [(name, round(count)) for name, count in _numbers(_mapping(data.get("counts")))],
        [_pair(one) for one in skipped] if isinstance(skipped, list | tuple) else [],
        plain_text(data.get("digest")),
        _number(joint.get("ratio")),
    )


def _texts(value: Any) -> list[str]:
    return [plain_text(note) for note in value] if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    # a bool is an int to Python; beyond 1e15 floats no longer count in ones
    fine = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e15
        and math.isfinite(value)
    )
    return float(value) if fine else None


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [
        (str(name), number)
        for name, value in values.items()
        if (number := _number(value)) is not None
    ]


def _pair(value: Any) -> tuple[str, str]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return plain_text(value[0]), plain_text(value[1])
    return plain_text(value), ""
