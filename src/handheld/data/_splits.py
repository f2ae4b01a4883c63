"""Names of splits, as data sets have them: one table for folders, tables, arrays and saved data
sets.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from handheld.data.dataset import Skipped
from handheld.errors import InputError

SPLITS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "development": "valid",
    "eval": "valid",
    "evaluation": "valid",
    "test": "test",
    "testing": "test",
}
"""What a split is called, in small letters -> train, valid or test."""

Place = TypeVar("Place")


def split_of(name: str) -> str | None:
    """Return which split a name means, in any capitals; None for a name of no split."""
    return SPLITS.get(name.lower())


def by_split(
    named: Iterable[tuple[str, Place]], where: str, *, are_files: bool = False
) -> tuple[dict[str, Place], tuple[Skipped, ...]]:
    """Sort what has names into splits, train first, and tell what has the name of none.

    Args:
        named: (name, what has it).
        where: of messages.
        are_files: whether only what stands before a name's first point counts.

    Raises:
        InputError: two names of one split, which nobody said to join.
    """
    names: dict[str, str] = {}
    places: dict[str, Place] = {}
    unknown = []
    for name, place in named:
        split = split_of(name.partition(".")[0] if are_files else name)
        if split is None:
            unknown.append(
                Skipped(name, f"is the name of no split: expected one of {', '.join(SPLITS)}")
            )
            continue
        if split in names:
            raise InputError(
                f"{where}: {names[split]} and {name} are both the {split} split: join them, or remove one"
            )
        names[split] = name
        places[split] = place
    return {split: places[split] for split in ("train", "valid", "test") if split in places}, tuple(
        unknown
    )
