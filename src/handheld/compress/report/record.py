"""What of a family's record is shown. The record is a free mapping: what is absent or of another kind is left out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_CLASSES, MOST_SKIPPED = 30, 100


@dataclass(frozen=True)
class Shown:
    """The known parts of a record as texts and numbers.

    Attributes:
        seed: as a text; empty if unknown.
        notes: what a person should know of the run and of the data.
        teacher, settings, machine, versions: (name, text); names of nested mappings are joined by points.
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
    data, joint = _mapping(record.get("data")), _mapping(record.get("joint"))
    skipped = data.get("skipped")
    return Shown(
        _text(record.get("seed")),
        [*_texts(record.get("notes")), *_texts(data.get("notes"))],
        flat(record.get("teacher")),
        flat(record.get("settings")),
        flat(record.get("machine")),
        flat(record.get("versions")),
        _numbers(_mapping(record.get("seconds"))),
        [(name, round(count)) for name, count in _numbers({name: data.get(name) for name in ("train", "valid", "test")})],
        [(name, round(count)) for name, count in _numbers(_mapping(data.get("counts")))],
        [_pair(one) for one in skipped] if isinstance(skipped, list | tuple) else [],
        _text(data.get("digest")),
        _number(joint.get("ratio")),
    )


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return (name, text) of each value in nested mappings.

    >>> flat({"optimiser": {"name": "sgd", "rates": [0.1, 0.01]}})
    [('optimiser.name', 'sgd'), ('optimiser.rates', '0.1, 0.01')]
    """
    if value is None or value == {}:
        return []
    if not isinstance(value, Mapping):
        return [(name, _text(value))]
    return [pair for key, inner in value.items() for pair in flat(inner, f"{name}.{key}" if name else str(key))]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _texts(value: Any) -> list[str]:
    return [_text(note) for note in value] if isinstance(value, list | tuple) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 and math.isfinite(value)
    return float(value) if fine else None


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(str(name), number) for name, value in values.items() if (number := _number(value)) is not None]


def _pair(value: Any) -> tuple[str, str]:
    return (_text(value[0]), _text(value[1])) if isinstance(value, list | tuple) and len(value) == 2 else (_text(value), "")
