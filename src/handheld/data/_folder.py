"""Folders of pictures by class."""

from collections.abc import Iterator
from pathlib import Path

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

_SPLITS = {"train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def read_folder(path: Path, size: tuple[int, int] | None) -> tuple[dict[str, Dataset], tuple[Skipped, ...]]:
    """Read ``class/picture``, or ``split/class/picture``; classes in the order of their names."""
    from handheld.data._pictures import decode

    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    if not folders:
        raise InputError(f"{path}: expected a folder for each class, with pictures in it")
    splits = (
        {_SPLITS[f.name]: f for f in folders if f.name in _SPLITS}
        if all(f.name in _SPLITS for f in folders)
        else {"train": path}
    )
    classes = tuple(sorted({f.name for split in splits.values() for f in split.iterdir() if f.is_dir() and f.name[0] != "."}))
    if not classes:
        raise InputError(f"{path}: expected a folder for each class in {', '.join(map(str, splits.values()))}")
    parts, skipped = {}, []
    for name, folder in splits.items():
        parts[name], left_out = decode(_pictures(folder, classes), classes, size)
        skipped += left_out
    return parts, tuple(skipped)


def _pictures(folder: Path, classes: tuple[str, ...]) -> Iterator[tuple[str, bytes, int]]:
    for label, name in enumerate(classes):
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                yield str(path), path.read_bytes(), label
