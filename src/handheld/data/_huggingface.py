"""Folders that Hugging Face's ``save_to_disk`` wrote: Arrow files and two JSON files; the one file that imports pyarrow."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MissingDependencyError

_SPLITS = {"train": "train", "validation": "valid", "valid": "valid", "test": "test"}


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder holds one data set, or several by split."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def read_saved_dataset(path: Path, size: tuple[int, int] | None) -> tuple[dict[str, Dataset], tuple[Skipped, ...]]:
    """Read the splits that are there: a column of class labels, and one of pictures or texts."""
    if (path / "dataset_dict.json").is_file():
        named = _json(path / "dataset_dict.json").get("splits", [])
        folders = {_SPLITS[name]: path / name for name in named if name in _SPLITS}
    else:
        folders = {"train": path}
    parts: dict[str, Dataset] = {}
    skipped: list[Skipped] = []
    for name, folder in folders.items():
        parts[name], left_out = _read(folder, size)
        skipped += left_out
    return parts, tuple(skipped)


def _read(folder: Path, size: tuple[int, int] | None) -> tuple[Dataset, list[Skipped]]:
    features: dict[str, Any] = _json(folder / "dataset_info.json").get("features", {})
    label = next(
        (name for name, kind in features.items() if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"), None
    )
    image = next((name for name, kind in features.items() if isinstance(kind, dict) and kind.get("_type") == "Image"), None)
    text = next(
        (n for n, k in features.items() if isinstance(k, dict) and k.get("_type") == "Value" and k.get("dtype") == "string"),
        None,
    )
    if label is None or (image or text) is None:
        raise InputError(f"{folder}: expected a column of class labels and one of pictures or texts, got {sorted(features)}")
    classes = tuple(map(str, features[label].get("names", ())))
    rows = _rows(folder, [label, image or text or ""])
    if image is None:
        return _texts(rows, classes, folder)
    from handheld.data._pictures import decode

    encoded = ((f"{folder}, row {n}", (row[1] or {}).get("bytes") or b"", int(row[0])) for n, row in enumerate(rows))
    return decode(encoded, classes, size)


def _texts(rows: list[tuple[Any, ...]], classes: tuple[str, ...], folder: Path) -> tuple[Dataset, list[Skipped]]:
    """Return the texts; a row without a text, or without a label (null, or -1 by the library's habit), is left out."""
    skipped: list[Skipped] = []
    kept: list[tuple[int, str]] = []
    for number, (label, text) in enumerate(rows):
        if label is None or label < 0 or text is None or not text.strip():
            skipped.append(Skipped(f"{folder}, row {number}", "expected a label and a text"))
        else:
            kept.append((label, text))
    labels = np.array([label for label, _ in kept], dtype=np.int64)
    return Dataset(tuple(text for _, text in kept), labels, classes), skipped


def _rows(folder: Path, columns: list[str]) -> list[tuple[Any, ...]]:
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "reading a saved data set") from error
    files = [folder / str(entry["filename"]) for entry in _json(folder / "state.json").get("_data_files", [])]
    rows: list[tuple[Any, ...]] = []
    for file in files:
        if file.resolve().parent != folder.resolve():
            raise InputError(f"{folder}: state.json names {file}, which lies outside")
        try:
            with arrow.memory_map(str(file)) as source, arrow.ipc.open_stream(source) as stream:
                for batch in stream:
                    rows += zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        except (OSError, arrow.ArrowInvalid, KeyError) as error:
            raise InputError(f"{file}: cannot be read: {error}") from error
    return rows


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content
