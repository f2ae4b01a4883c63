"""Names of splits, as data sets have them: one table for folders, tables, arrays and data sets."""

from collections.abc import Iterable, Mapping
from pathlib import Path
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

SPLIT_NAMES = ("train", "valid", "test")
"""What splits are called here, in their order."""

Item = TypeVar("Item")


def split_of(name: str) -> str | None:
    """Return which split a name means, in any capitals; None for a name of no split."""
    return SPLITS.get(name.lower())


def by_split(
    items: Iterable[tuple[str, Item]], location: str, *, are_files: bool = False
) -> tuple[dict[str, Item], tuple[Skipped, ...]]:
    """Sort what has names into splits, train first, and tell what has the name of none.

    Args:
        items: (name, what has it).
        location: of messages: the file or folder that holds them.
        are_files: whether only what stands before a name's first point counts.

    Raises:
        InputError: two names of one split, which nobody said to join.
    """
    names: dict[str, str] = {}
    by_name: dict[str, Item] = {}
    unknown = []
    for name, item in items:
        stem = name
        if are_files:
            # By its first point: "train.tsv.gz" and "valid.part1.csv" are named so too.
            stem = name.partition(".")[0]
        split = split_of(stem)
        if split is None:
            expected = ", ".join(SPLITS)
            unknown.append(Skipped(name, f"is the name of no split: expected one of {expected}"))
        elif split in names:
            raise InputError(
                f"{location}: {names[split]} and {name} are both the {split} split: join them, "
                "or remove one"
            )
        else:
            names[split] = name
            by_name[split] = item
    return _ordered(by_name), tuple(unknown)


def _ordered(by_name: Mapping[str, Item]) -> dict[str, Item]:
    """Return the splits, train first: it says what the classes are."""
    return {split: by_name[split] for split in SPLIT_NAMES if split in by_name}


def in_folder(path: Path, skipped: Iterable[Skipped]) -> list[Skipped]:
    """Return what was left out of a folder, by its whole path."""
    return [Skipped(str(path / name), reason) for name, reason in skipped]
