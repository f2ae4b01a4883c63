"""Reading labelled data from disk, whatever its form."""

import os
from collections.abc import Mapping
from pathlib import Path

from handheld.data._arrays import read_npz
from handheld.data._folder import read_folder
from handheld.data._huggingface import is_saved_dataset, read_saved_dataset
from handheld.data._rows import SUFFIXES, suffix_of
from handheld.data._tables import read_table
from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.errors import InputError

_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "test": "test"}

Parts = tuple[dict[str, Dataset], tuple[Skipped, ...]]
"""Split name (train, valid or test) -> data, as found on disk; and what was left out."""


def load(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Read labelled data.

    ==================  ===========================================================================================
    a folder            of pictures by class, ``cat/1.jpg``; or ``train``, ``valid`` and ``test`` folders of such
    ``.npz``            arrays ``x_train``, ``y_train``, and of ``valid`` and ``test`` where there are; or ``x``, ``y``
    a table of texts    ``.csv``, ``.tsv``, ``.jsonl``, fastText's ``.txt``, each also ``.gz``: see :func:`read_table`; also a
                        folder with ``train.tsv``, ``valid.tsv`` ...
    a saved data set    a folder that Hugging Face's ``save_to_disk`` wrote, with a column of pictures or texts
    ==================  ===========================================================================================

    Args:
        path: what to read.
        size: (height, width) to bring pictures from files to; needed where they differ.
        valid, test: fraction of each class to set apart where the data has no such split itself.
        seed: of that division.

    Raises:
        InputError: nothing there, of no known form, labels that do not match, one class only, an empty split; it says what
            was left out and why.
    """
    path = Path(path)
    parts, skipped = _read(path, size)
    if "train" not in parts:
        raise InputError(f"{path}: holds {', '.join(parts) or 'no split'}, but nothing to train on")
    train = parts["train"]
    if not len(train) and skipped:
        raise InputError(f"{path}: nothing could be read; the first of {len(skipped)}, {skipped[0].name}: {skipped[0].reason}")
    if not len(train):
        raise InputError(f"{path}: holds no examples")
    try:
        return Splits.of(parts, skipped, valid=valid, test=test, seed=seed)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(path: Path, size: tuple[int, int] | None) -> Parts:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir():
        if is_saved_dataset(path):
            return read_saved_dataset(path, size)
        tables = _named_tables(path)
        if tables:
            return _tables(tables)
        return read_folder(path, size)
    if path.suffix.lower() == ".npz":
        return read_npz(path), ()
    if suffix_of(path) in SUFFIXES:
        return _tables({"train": path})
    kinds = ", ".join(SUFFIXES)
    raise InputError(f"{path}: expected a folder, .npz or {kinds}, got {path.suffix or 'a file without suffix'}")


def _named_tables(folder: Path) -> dict[str, Path]:
    """Return the tables of a folder by their split, train first. Raises :class:`InputError` for two of one split."""
    tables: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = _SPLITS.get(path.name.partition(".")[0].lower())
        if split is None or suffix_of(path) not in SUFFIXES or not path.is_file():
            continue
        if split in tables:
            raise InputError(f"{folder}: {tables[split].name} and {path.name} are both the {split} split")
        tables[split] = path
    return {split: tables[split] for split in ("train", "valid", "test") if split in tables}


def _tables(paths: Mapping[str, Path]) -> Parts:
    classes: tuple[str, ...] | None = None
    parts: dict[str, Dataset] = {}
    skipped: list[Skipped] = []
    for name, path in paths.items():
        parts[name], left_out = read_table(path, classes)
        classes = classes or parts[name].classes
        skipped += left_out
    return parts, tuple(skipped)
