"""What of a family's record is shown.

The record is a free mapping: what is absent or of another kind is left out.
"""

import math
from collections.abc import Mapping, Sequence
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
    splits = {name: data.get(name) for name in ("train", "valid", "test")}
    return Shown(
        plain_text(record.get("seed")),
        [*_texts(record.get("notes")), *_texts(data.get("notes"))],
        flat(record.get("teacher")),
        flat(record.get("settings")),
        flat(record.get("machine")),
        flat(record.get("versions")),
        _numbers(_mapping(record.get("seconds"))),
        _whole_numbers(splits),
        _whole_numbers(_mapping(data.get("counts"))),
        list(map(_pair, _list(data.get("skipped")))),
        plain_text(data.get("digest")),
        _number(joint.get("ratio")),
    )


def _texts(value: Any) -> list[str]:
    return list(map(plain_text, _list(value)))


def _list(value: Any) -> Sequence[Any]:
    """Return a list; an empty one for anything else, such as a text, which has letters."""
    if isinstance(value, list | tuple):
        return value
    return ()


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _number(value: Any) -> float | None:
    # a bool is an int to Python; beyond 1e15 floats no longer count in ones
    fine = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e15
        and math.isfinite(value)
    )
    if not fine:
        return None
    return float(value)


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the entries that are numbers."""
    numbers = []
    for name, value in values.items():
        number = _number(value)
        if number is not None:
            numbers.append((str(name), number))
    return numbers


def _whole_numbers(values: Mapping[str, Any]) -> list[tuple[str, int]]:
    # floats until here, as all numbers of a record are read
    return [(name, round(number)) for name, number in _numbers(values)]


def _pair(value: Any) -> tuple[str, str]:
    if isinstance(value, list | tuple) and len(value) == 2:
        return plain_text(value[0]), plain_text(value[1])
    return plain_text(value), ""
