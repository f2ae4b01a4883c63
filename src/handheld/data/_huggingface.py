"""Folders that Hugging Face's ``save_to_disk`` wrote; the one file that imports pyarrow.

They hold Arrow files and two JSON files. Which columns hold labels and texts is found as in any
other table (:mod:`handheld.data._columns`), but for what their types say: ``ClassLabel`` is a
label, ``Image`` a picture.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handheld.data._columns import HELP, LABEL_NAMES, ColumnNames, columns_of, plain
from handheld.data._options import LoadOptions, RawSplits
from handheld.data._splits import by_split, in_folder
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MissingDependencyError
from handheld.untrusted import read_json

_PICTURE_NAMES = frozenset({"image", "img", "picture", "photo", "pixel_values"})
_NO_LABEL = -1  # what the library writes for it beside class labels
_JSON_TYPES: Mapping[type[Any], str] = {list: "a list", dict: "an object"}

Classes = tuple[str, ...]
Rows = Sequence[tuple[Any, ...]]
"""What stands in the columns of the label and of the inputs, row by row."""


_LABEL_TYPES = ("text", "number", "flag")
"""What a column of labels may hold."""


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
        return self.holds in _LABEL_TYPES


def _holding(columns: Iterable[_Column], *types: str) -> list[_Column]:
    """Return the columns that hold one of these."""
    return [column for column in columns if column.holds in types]


def _named(columns: Iterable[_Column], known: frozenset[str]) -> list[_Column]:
    """Return the columns that have one of these names, in any capitals."""
    return [column for column in columns if plain(column.name) in known]


def _names_of(columns: Iterable[_Column]) -> list[str]:
    return [column.name for column in columns]


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder holds one data set, or several by split."""
    return (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()


def read_saved_dataset(path: Path, options: LoadOptions) -> RawSplits:
    """Read the splits that are there: a column of labels, and one of pictures or some of texts."""
    folders, skipped = _folders_of(path)
    data: dict[str, Dataset] = {}
    classes: Classes | None = None
    for split, folder in folders.items():
        data[split], left_out = _read_split(folder, options, classes)
        classes = classes or data[split].classes
        skipped += left_out
    if not data or any(dataset.is_text for dataset in data.values()):
        return RawSplits(data, tuple(skipped))
    from handheld.data._pictures import notes_of

    return RawSplits(data, tuple(skipped), notes_of(data.values(), options))


def _folders_of(path: Path) -> tuple[Mapping[str, Path], list[Skipped]]:
    """Return the folder of each split, and what has the name of none."""
    index = path / "dataset_dict.json"
    if not index.is_file():
        return {"train": path}, []
    names = list(map(str, _entry(index, "splits", list)))
    paths = map(path.joinpath, names)
    folders, unknown = by_split(zip(names, paths, strict=True), str(path))
    return folders, in_folder(path, unknown)


def _read_split(
    folder: Path, options: LoadOptions, classes: Classes | None
) -> tuple[Dataset, list[Skipped]]:
    """Read one split; ``classes`` are those that the training split has."""
    table = _table(folder)
    columns = _columns(table, folder)
    label, inputs = _chosen(columns, options, str(folder))
    # These columns alone: of the others nothing is read from the disk.
    values = [table.column(name).to_pylist() for name in _names_of((label, *inputs))]
    rows = list(zip(*values, strict=True))
    labels = _labels(rows, label, classes)
    if inputs[0].holds == "picture":
        options.require(str(folder), "pictures of files", "size", "grey", "label_column")
        return _pictures(rows, labels, inputs[0], options, folder)
    options.require(str(folder), "texts", "label_column", "text_columns")
    return _texts(rows, labels, folder)


def _chosen(
    columns: Sequence[_Column], options: LoadOptions, location: str
) -> tuple[_Column, Sequence[_Column]]:
    """Return the column of the labels, and that of the pictures or those of the texts."""
    _check_said(columns, options, location)
    labels = _holding(columns, *_LABEL_TYPES)
    pictures = _holding(columns, "picture")
    # Who names texts means these, though there are pictures too.
    if pictures and not options.text_columns:
        label = _label_beside_pictures(labels, options.label_column, location)
        return label, [_picture(pictures, location)]
    if not _holding(columns, "text"):
        raise InputError(
            f"{location}: expected a column of labels and one of pictures or texts, "
            f"got {_described(columns)}"
        )
    return _label_and_texts(labels, options, location)


def _label_and_texts(
    columns: Sequence[_Column], options: LoadOptions, location: str
) -> tuple[_Column, Sequence[_Column]]:
    """Return the column of the labels and those of the texts, of columns that may be labels."""
    likely = _likely(columns)
    label = options.label_column or _only_name(likely)
    # A number is no text, and a label only where its name or somebody says so.
    names = {label, *_names_of(likely)}
    usable = [column for column in columns if column.holds == "text" or column.name in names]
    said = ColumnNames(label, options.text_columns)
    chosen = columns_of(_names_of(usable), said, location)
    if chosen is None:
        raise InputError(
            f"{location}: nothing says which of {_described(columns)} are label and text: {HELP}"
        )
    texts = map(usable.__getitem__, chosen.texts)
    return usable[chosen.label], list(texts)


def _only_name(columns: Sequence[_Column]) -> str | None:
    if len(columns) != 1:
        return None
    return columns[0].name


def _check_said(columns: Sequence[_Column], options: LoadOptions, location: str) -> None:
    """Raise :class:`InputError` for a column that is not there, or cannot be what somebody says."""
    by_name = dict(zip(_names_of(columns), columns, strict=True))
    for name in filter(None, (options.label_column, *options.text_columns)):
        if name not in by_name:
            raise InputError(f"{location}: no column {name!r}; there are {_described(columns)}")
    if options.label_column:
        label = by_name[options.label_column]
        if not label.may_be_label:
            raise InputError(
                f"{location}: expected labels that are names or whole numbers, "
                f"got {_described([label])}"
            )
    for name in options.text_columns:
        text = by_name[name]
        if text.holds != "text":
            raise InputError(f"{location}: expected a column of texts, got {_described([text])}")


def _likely(columns: Sequence[_Column]) -> Sequence[_Column]:
    """Return the columns that are marked as class labels, or else those with the name of labels."""
    # Who marks a column as class labels means it; of several such, names decide.
    marked = [column for column in columns if column.classes is not None]
    return _named(marked or columns, LABEL_NAMES) or marked


def _label_beside_pictures(columns: Sequence[_Column], said: str | None, location: str) -> _Column:
    candidates = _likely(columns) or columns
    if said:
        candidates = [column for column in columns if column.name == said]
    if not candidates:
        raise InputError(f"{location}: expected a column of labels beside the pictures, got none")
    if len(candidates) > 1:
        raise InputError(
            f"{location}: columns {_described(candidates)} could all be the labels: name one, "
            "label_column"
        )
    return candidates[0]


def _picture(columns: Sequence[_Column], location: str) -> _Column:
    """Return the one column of pictures, or of several the one that has the name of pictures."""
    for candidates in (columns, _named(columns, _PICTURE_NAMES)):
        if len(candidates) == 1:
            return candidates[0]
    raise InputError(
        f"{location}: columns {_described(columns)} all hold pictures: save the data set with one "
        "(remove_columns)"
    )


def _described(columns: Iterable[_Column]) -> str:
    return ", ".join(f"{column.name!r} ({column.type})" for column in columns) or "none"


@dataclass(frozen=True)
class _Labels:
    """Labels of a column.

    Attributes:
        classes: their names.
        indices: what stands in a row -> index into the classes.
    """

    classes: Classes
    indices: Mapping[Any, int]

    def reason_against(self, value: Any) -> str:
        """Return why a row is left out; an empty text for one that has a label."""
        if value in self.indices:
            return ""
        if value is None or value == _NO_LABEL or not str(value).strip():
            return "expected a label, got none"
        return f"label {value!r} is not among the classes"


def _labels(rows: Rows, label: _Column, classes: Classes | None) -> _Labels:
    if label.classes is not None:
        # Class labels are stored as their numbers already.
        numbers = range(len(label.classes))
        return _Labels(label.classes, dict(zip(numbers, numbers, strict=True)))
    present = {row[0] for row in rows}
    # Sorted: sets have another order in each process, and classes are a model's outputs.
    values = sorted(present - {None})
    names = list(map(_as_name, values))
    if classes is None:
        # Two values may have one name, such as texts that differ in blanks around them.
        classes = tuple(dict.fromkeys(filter(None, names)))
    index_of = dict(zip(classes, range(len(classes)), strict=True))
    indices = {}
    for value, name in zip(values, names, strict=True):
        if name in index_of:
            indices[value] = index_of[name]
    return _Labels(classes, indices)


def _as_name(value: Any) -> str:
    """Return a label's name: flags as JSON writes them, as other tables have them."""
    if isinstance(value, bool):
        return json.dumps(value)
    return str(value).strip()


def _texts(rows: Rows, labels: _Labels, folder: Path) -> tuple[Dataset, list[Skipped]]:
    skipped: list[Skipped] = []
    texts: list[str] = []
    indices: list[int] = []
    for number, (label, *columns) in enumerate(rows):
        text = _joined(columns)
        reason = labels.reason_against(label)
        if not text:
            reason = reason or "expected a text, got none"
        if reason:
            skipped.append(Skipped(f"{folder}, row {number}", reason))
            continue
        texts.append(text)
        indices.append(labels.indices[label])
    data = Dataset(tuple(texts), np.array(indices, np.int64), labels.classes)
    return data, skipped


def _joined(columns: Sequence[str | None]) -> str:
    # Nulls first: they have nothing to strip.
    stripped = map(str.strip, filter(None, columns))
    return " ".join(filter(None, stripped))


def _pictures(
    rows: Rows,
    labels: _Labels,
    column: _Column,
    options: LoadOptions,
    folder: Path,
) -> tuple[Dataset, list[Skipped]]:
    from handheld.data._pictures import decode

    skipped: list[Skipped] = []
    encoded: list[tuple[str, bytes, int]] = []
    for number, (label, picture) in enumerate(rows):
        name = f"{folder}, row {number}"
        if reason := labels.reason_against(label) or _reason_against(picture):
            skipped.append(Skipped(name, reason))
        else:
            encoded.append((name, picture["bytes"], labels.indices[label]))
    # Pictures by reference are on the disk of whoever saved them.
    if not encoded and (path := _first_path(rows)):
        raise InputError(
            f"{folder}: column {column.name!r} holds paths only, such as {path}, and not the "
            "pictures: save the data set with datasets' save_to_disk, which embeds them"
        )
    data, left_out = decode(encoded, labels.classes, options)
    return data, skipped + left_out


def _first_path(rows: Rows) -> str:
    """Return the path of the first picture that has one; an empty text where none has."""
    for _, picture in rows:
        if picture and picture.get("path"):
            return str(picture["path"])
    return ""


def _reason_against(picture: Any) -> str:
    """Return why a row is left out; an empty text for one that has a picture."""
    if not picture:
        return "expected a picture, got none"
    if picture.get("bytes"):
        return ""
    if path := picture.get("path"):
        return f"holds a path only: {path}"
    return "expected a picture, got none"


def _columns(table: Any, folder: Path) -> list[_Column]:
    """Return what each column holds, by its type and by what the library says of it."""
    info = folder / "dataset_info.json"
    features = _entry(info, "features", dict)
    columns = []
    for field in table.schema:
        feature = features.get(field.name)
        columns.append(_column(field.name, field.type, feature, str(info)))
    return columns


def _column(name: str, arrow_type: Any, feature: Any, location: str) -> _Column:
    from pyarrow import types

    # Texts that repeat are stored once, with numbers that point at them.
    if types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if types.is_struct(arrow_type) and any(map(_is_content, arrow_type)):
        return _Column(name, "a picture", "picture")
    if types.is_integer(arrow_type):
        classes = _class_names(name, feature, location)
        return _Column(name, str(arrow_type), "number", classes)
    if types.is_boolean(arrow_type):
        return _Column(name, str(arrow_type), "flag")
    if _is_text(arrow_type):
        return _Column(name, str(arrow_type), "text")
    return _Column(name, str(arrow_type), "")


def _is_text(arrow_type: Any) -> bool:
    from pyarrow import types

    # Arrow has three layouts of texts, and which one stands in a file is the writer's choice.
    is_long = types.is_large_string(arrow_type) or types.is_string_view(arrow_type)
    return bool(types.is_string(arrow_type) or is_long)


def _class_names(name: str, feature: Any, location: str) -> Classes | None:
    """Return the names of a column's numbers; None where the library knows none."""
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    if not isinstance(names, list):
        raise InputError(
            f"{location}: features: expected names of the class labels {name!r}, got {names!r}"
        )
    return tuple(map(str, names))


def _is_content(field: Any) -> bool:
    """Whether a field of a structure holds an encoded picture."""
    from pyarrow import types

    if field.name != "bytes":
        return False
    # Of pictures that are stored as paths alone the bytes have the type of nothing.
    is_binary = types.is_binary(field.type) or types.is_large_binary(field.type)
    return bool(is_binary or types.is_null(field.type))


def _table(folder: Path) -> Any:
    """Return the rows of a split, as they lie on disk."""
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "graphs", "reading a saved data set") from error
    tables = []
    for file in _files(folder):
        try:
            # Mapped: of what is not used nothing is read.
            with arrow.ipc.open_stream(arrow.memory_map(str(file))) as stream:
                tables.append(stream.read_all())
        except (OSError, arrow.ArrowInvalid) as error:
            raise InputError(f"{file}: cannot be read: {error}") from error
    if not tables:
        raise InputError(f"{folder}: state.json names no files")
    # Several files: the library cuts a large split at 500 MB.
    try:
        return arrow.concat_tables(tables)
    except arrow.ArrowInvalid as error:
        raise InputError(f"{folder}: its files have different columns: {error}") from error


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a split; what lies elsewhere is refused, as the list is a stranger's."""
    entries = _entry(folder / "state.json", "_data_files", list)
    # All of them before the first is opened: a list that is half right is refused whole.
    if not all(map(_has_filename, entries)):
        raise InputError(
            f'{folder / "state.json"}: _data_files: expected objects with a "filename", '
            f"got {entries!r}"
        )
    for entry in entries:
        file = folder / entry["filename"]
        if file.resolve().parent != folder.resolve():
            raise InputError(f"{folder}: state.json names {file}, which lies outside")
        yield file


def _has_filename(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("filename"), str)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def _entry(path: Path, key: str, expected: type[Any]) -> Any:
    """Return an entry of a file, an empty one where there is none.

    Raises :class:`InputError` for one of another type.
    """
    value = _json(path).get(key)
    if value is None:
        return expected()
    if not isinstance(value, expected):
        words = _JSON_TYPES[expected]
        raise InputError(f"{path}: {key}: expected {words}, got {value!r}")
    return value
