"""Folders that Hugging Face's ``save_to_disk`` wrote: Arrow files and two JSON files; the one file
that imports pyarrow.

Which columns hold labels and texts is found as in any other table (:mod:`handheld.data._columns`),
but for what their types say: ``ClassLabel`` is a label, ``Image`` a picture.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handheld.data._columns import HOW, LABEL_NAMES, Wanted, columns_of, plain
from handheld.data._reading import RawSplits, Reading
from handheld.data._splits import by_split
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MissingDependencyError
from handheld.untrusted import read_json

_PICTURE_NAMES = frozenset({"image", "img", "picture", "photo", "pixel_values"})
_NO_LABEL = -1  # what the library writes for it beside class labels

Classes = tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """A column.

    Attributes:
        name: as it stands there.
        type: Arrow's name of it, for messages.
        holds: "text", "number", "flag" (true or false), "picture", or "" for what is neither input
            nor label.
        classes: names of its numbers; None where they are no class labels.
    """

    name: str
    type: str
    holds: str
    classes: Classes | None = None

    @property
    def may_be_label(self) -> bool:
        """Whether its values can be labels."""
        return self.holds in ("text", "number", "flag")


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder holds one data set, or several by split."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def read_saved_dataset(path: Path, reading: Reading) -> RawSplits:
    """Read the splits that are there: a column of labels, and one of pictures or some of texts."""
    folders = {"train": path}
    skipped: tuple[Skipped, ...] = ()
    if (path / "dataset_dict.json").is_file():
        named = [str(name) for name in _entry(path / "dataset_dict.json", "splits", list)]
        folders, unknown = by_split([(name, path / name) for name in named], str(path))
        skipped = tuple(Skipped(str(path / name), reason) for name, reason in unknown)
    parts: dict[str, Dataset] = {}
    classes: Classes | None = None
    for split, folder in folders.items():
        parts[split], left_out = _read(folder, reading, classes)
        classes = classes or parts[split].classes
        skipped += tuple(left_out)
    if parts and not any(part.is_text for part in parts.values()):
        from handheld.data._pictures import notes_of

        return RawSplits(parts, skipped, notes_of(parts.values(), reading))
    return RawSplits(parts, skipped)


def _read(folder: Path, reading: Reading, classes: Classes | None) -> tuple[Dataset, list[Skipped]]:
    """Read one split; ``classes`` are those that the training split has."""
    table = _table(folder)
    columns = _columns(table, folder)
    label, inputs = _chosen(columns, reading, str(folder))
    rows = list(
        zip(*(table.column(column.name).to_pylist() for column in (label, *inputs)), strict=True)
    )
    labels = _labels(rows, label, classes)
    if inputs[0].holds == "picture":
        reading.require(str(folder), "pictures of files", "size", "grey", "label_column")
        return _pictures(rows, labels, inputs[0], reading, folder)
    reading.require(str(folder), "texts", "label_column", "text_columns")
    return _texts(rows, labels, folder)


def _chosen(
    columns: Sequence[_Column], reading: Reading, where: str
) -> tuple[_Column, Sequence[_Column]]:
    """Return the column of the labels, and that of the pictures or those of the texts."""
    _check_said(columns, reading, where)
    labels = [column for column in columns if column.may_be_label]
    pictures = [column for column in columns if column.holds == "picture"]
    if pictures and not reading.text_columns:
        return _label(labels, reading.label_column, where), [_picture(pictures, where)]
    if not any(column.holds == "text" for column in columns):
        raise InputError(
            f"{where}: expected a column of labels and one of pictures or texts, got {_told(columns)}"
        )
    likely = _likely(labels)
    said = reading.label_column or (likely[0].name if len(likely) == 1 else None)
    # A number is no text, and a label only where its name or somebody says so.
    usable = [
        column
        for column in labels
        if column.holds == "text" or column in likely or column.name == said
    ]
    places = columns_of(
        [column.name for column in usable], Wanted(said, reading.text_columns), where
    )
    if places is None:
        raise InputError(
            f"{where}: nothing says which of {_told(columns)} are label and text: {HOW}"
        )
    return usable[places.label], [usable[place] for place in places.texts]


def _check_said(columns: Sequence[_Column], reading: Reading, where: str) -> None:
    """Raise :class:`InputError` for a column that was named and is not there, or cannot be what it
    was named for.
    """
    by_name = {column.name: column for column in columns}
    for name in filter(None, (reading.label_column, *reading.text_columns)):
        if name not in by_name:
            raise InputError(f"{where}: no column {name!r}; there are {_told(columns)}")
    if reading.label_column and not by_name[reading.label_column].may_be_label:
        raise InputError(
            f"{where}: expected labels that are names or whole numbers, got {_told([by_name[reading.label_column]])}"
        )
    for name in reading.text_columns:
        if by_name[name].holds != "text":
            raise InputError(f"{where}: expected a column of texts, got {_told([by_name[name]])}")


def _likely(labels: Sequence[_Column]) -> Sequence[_Column]:
    """Return the columns that are marked as class labels, or else those with the name of labels."""
    marked = [column for column in labels if column.classes is not None]
    named = [column for column in marked or labels if plain(column.name) in LABEL_NAMES]
    return named or marked


def _label(labels: Sequence[_Column], said: str | None, where: str) -> _Column:
    """Return the column of labels beside pictures."""
    candidates = (
        [column for column in labels if column.name == said] if said else _likely(labels) or labels
    )
    if not candidates:
        raise InputError(f"{where}: expected a column of labels beside the pictures, got none")
    if len(candidates) > 1:
        raise InputError(
            f"{where}: columns {_told(candidates)} could all be the labels: name one, label_column"
        )
    return candidates[0]


def _picture(pictures: Sequence[_Column], where: str) -> _Column:
    candidates = (
        [column for column in pictures if plain(column.name) in _PICTURE_NAMES]
        if len(pictures) > 1
        else pictures
    )
    if len(candidates) != 1:
        raise InputError(
            f"{where}: columns {_told(pictures)} all hold pictures: save the data set with one (remove_columns)"
        )
    return candidates[0]


def _told(columns: Sequence[_Column]) -> str:
    return ", ".join(f"{column.name!r} ({column.type})" for column in columns) or "none"


@dataclass(frozen=True)
class _Labels:
    """Labels of a column.

    Attributes:
        classes: their names.
        places: what stands in a row -> place among the classes.
    """

    classes: Classes
    places: Mapping[Any, int]

    def reason_against(self, value: Any) -> str:
        """Return why a row is left out; an empty text for one that has a label."""
        if value in self.places:
            return ""
        if value is None or value == _NO_LABEL or not str(value).strip():
            return "expected a label, got none"
        return f"label {value!r} is not among the classes"


def _labels(rows: Sequence[tuple[Any, ...]], label: _Column, classes: Classes | None) -> _Labels:
    if label.classes is not None:
        return _Labels(label.classes, {number: number for number in range(len(label.classes))})
    values = sorted({row[0] for row in rows if row[0] is not None})
    if classes is None:
        classes = tuple(dict.fromkeys(name for name in map(_as_name, values) if name))
    places = {name: place for place, name in enumerate(classes)}
    return _Labels(
        classes, {value: places[_as_name(value)] for value in values if _as_name(value) in places}
    )


def _as_name(value: Any) -> str:
    """Return a label's name: flags as JSON writes them, as other tables have them."""
    return json.dumps(value) if isinstance(value, bool) else str(value).strip()


def _texts(
    rows: Sequence[tuple[Any, ...]], labels: _Labels, folder: Path
) -> tuple[Dataset, list[Skipped]]:
    skipped: list[Skipped] = []
    texts: list[str] = []
    numbers: list[int] = []
    for number, (label, *columns) in enumerate(rows):
        text = " ".join(part.strip() for part in columns if part is not None and part.strip())
        reason = labels.reason_against(label) or ("" if text else "expected a text, got none")
        if reason:
            skipped.append(Skipped(f"{folder}, row {number}", reason))
            continue
        texts.append(text)
        numbers.append(labels.places[label])
    return Dataset(tuple(texts), np.array(numbers, dtype=np.int64), labels.classes), skipped


def _pictures(
    rows: Sequence[tuple[Any, ...]],
    labels: _Labels,
    column: _Column,
    reading: Reading,
    folder: Path,
) -> tuple[Dataset, list[Skipped]]:
    from handheld.data._pictures import decode

    skipped: list[Skipped] = []
    kept: list[tuple[int, Any, Any]] = []
    for number, (label, picture) in enumerate(rows):
        reason = labels.reason_against(label) or _reason_against(picture)
        if reason:
            skipped.append(Skipped(f"{folder}, row {number}", reason))
        else:
            kept.append((number, label, picture))
    paths = [picture["path"] for _, picture in rows if picture and picture.get("path")]
    if not kept and paths:
        raise InputError(
            f"{folder}: column {column.name!r} holds paths only, such as {paths[0]}, and not the pictures: save the data set "
            "with datasets' save_to_disk, which embeds them"
        )
    encoded = (
        (f"{folder}, row {number}", picture["bytes"], labels.places[label])
        for number, label, picture in kept
    )
    data, left_out = decode(encoded, labels.classes, reading)
    return data, skipped + left_out


def _reason_against(picture: Any) -> str:
    if picture and picture.get("bytes"):
        return ""
    path = picture.get("path") if picture else None
    return f"holds a path only: {path}" if path else "expected a picture, got none"


def _columns(table: Any, folder: Path) -> list[_Column]:
    """Return what each column holds, by its type and by what the library says of it."""
    info = folder / "dataset_info.json"
    features = _entry(info, "features", dict)
    return [
        _column(field.name, field.type, features.get(field.name), str(info))
        for field in table.schema
    ]


def _column(name: str, kind: Any, feature: Any, where: str) -> _Column:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind) and any(
        field.name == "bytes" and _is_binary(field.type) for field in kind
    ):
        return _Column(name, "a picture", "picture")
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _Column(name, str(kind), "text")
    if types.is_boolean(kind):
        return _Column(name, str(kind), "flag")
    if types.is_integer(kind):
        is_class = isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        names = feature.get("names") if is_class else None
        if is_class and not isinstance(names, list):
            raise InputError(
                f"{where}: features: expected names of the class labels {name!r}, got {names!r}"
            )
        return _Column(name, str(kind), "number", None if names is None else tuple(map(str, names)))
    return _Column(name, str(kind), "")


def _is_binary(kind: Any) -> bool:
    from pyarrow import types

    # Of pictures that are stored as paths alone the bytes have the type of nothing.
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_null(kind))


def _table(folder: Path) -> Any:
    """Return the rows of a split, as they lie on disk."""
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "reading a saved data set") from error
    entries = _entry(folder / "state.json", "_data_files", list)
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            f'{folder / "state.json"}: _data_files: expected objects with a "filename", got {entries!r}'
        )
    files = [folder / str(name) for name in names]
    parts = []
    for file in files:
        if file.resolve().parent != folder.resolve():
            raise InputError(f"{folder}: state.json names {file}, which lies outside")
        try:
            with arrow.ipc.open_stream(arrow.memory_map(str(file))) as stream:
                parts.append(stream.read_all())
        except (OSError, arrow.ArrowInvalid) as error:
            raise InputError(f"{file}: cannot be read: {error}") from error
    if not parts:
        raise InputError(f"{folder}: state.json names no files")
    try:
        return arrow.concat_tables(parts)
    except arrow.ArrowInvalid as error:
        raise InputError(f"{folder}: its files have different columns: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def _entry(path: Path, key: str, kind: type[Any]) -> Any:
    """Return an entry of a file, an empty one where there is none.

    Raises :class:`InputError` for one of another kind.
    """
    value = _json(path).get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        expected = "a list" if kind is list else "an object"
        raise InputError(f"{path}: {key}: expected {expected}, got {value!r}")
    return value
