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
from handheld.data._splits import by_split
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MissingDependencyError
from handheld.untrusted import read_json

_PICTURE_NAMES = frozenset({"image", "img", "picture", "photo", "pixel_values"})
_NO_LABEL = -1  # what the library writes for it beside class labels

Classes = tuple[str, ...]
Rows = Sequence[tuple[Any, ...]]
"""What stands in the columns of the label and of the inputs, row by row."""


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
    names = map(str, _entry(index, "splits", list))
    folders, unknown = by_split([(name, path / name) for name in names], str(path))
    return folders, [Skipped(str(path / name), reason) for name, reason in unknown]


def _read_split(
    folder: Path, options: LoadOptions, classes: Classes | None
) -> tuple[Dataset, list[Skipped]]:
    """Read one split; ``classes`` are those that the training split has."""
    table = _table(folder)
    columns = _columns(table, folder)
    label, inputs = _chosen(columns, options, str(folder))
    values = [table.column(column.name).to_pylist() for column in (label, *inputs)]
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
    labels = [column for column in columns if column.may_be_label]
    pictures = [column for column in columns if column.holds == "picture"]
    if pictures and not options.text_columns:
        label = _label_beside_pictures(labels, options.label_column, location)
        return label, [_picture(pictures, location)]
    if not any(column.holds == "text" for column in columns):
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
    names = {label, *(column.name for column in likely)}
    usable = [column for column in columns if column.holds == "text" or column.name in names]
    said = ColumnNames(label, options.text_columns)
    chosen = columns_of([column.name for column in usable], said, location)
    if chosen is None:
        raise InputError(
            f"{location}: nothing says which of {_described(columns)} are label and text: {HELP}"
        )
    return usable[chosen.label], [usable[index] for index in chosen.texts]


def _only_name(columns: Sequence[_Column]) -> str | None:
    return columns[0].name if len(columns) == 1 else None


def _check_said(columns: Sequence[_Column], options: LoadOptions, location: str) -> None:
    """Raise :class:`InputError` for a column that is not there, or cannot be what somebody says."""
    by_name = {column.name: column for column in columns}
    for name in filter(None, (options.label_column, *options.text_columns)):
        if name not in by_name:
            raise InputError(f"{location}: no column {name!r}; there are {_described(columns)}")
    if options.label_column and not by_name[options.label_column].may_be_label:
        raise InputError(
            f"{location}: expected labels that are names or whole numbers, "
            f"got {_described([by_name[options.label_column]])}"
        )
    for name in options.text_columns:
        if by_name[name].holds != "text":
            raise InputError(
                f"{location}: expected a column of texts, got {_described([by_name[name]])}"
            )


def _likely(columns: Sequence[_Column]) -> Sequence[_Column]:
    """Return the columns that are marked as class labels, or else those with the name of labels."""
    # Who marks a column as class labels means it; of several such, names decide.
    marked = [column for column in columns if column.classes is not None]
    named = [column for column in marked or columns if plain(column.name) in LABEL_NAMES]
    return named or marked


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
    named = [column for column in columns if plain(column.name) in _PICTURE_NAMES]
    for candidates in (columns, named):
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
        return _Labels(label.classes, {number: number for number in range(len(label.classes))})
    values = sorted({row[0] for row in rows if row[0] is not None})
    names = {value: _as_name(value) for value in values}
    if classes is None:
        # Two values may have one name, such as texts that differ in blanks around them.
        classes = tuple(dict.fromkeys(filter(None, names.values())))
    index_of = {name: index for index, name in enumerate(classes)}
    indices = {value: index_of[name] for value, name in names.items() if name in index_of}
    return _Labels(classes, indices)


def _as_name(value: Any) -> str:
    """Return a label's name: flags as JSON writes them, as other tables have them."""
    return json.dumps(value) if isinstance(value, bool) else str(value).strip()


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
    return Dataset(tuple(texts), np.array(indices, dtype=np.int64), labels.classes), skipped


def _joined(columns: Sequence[str | None]) -> str:
    stripped = [(column or "").strip() for column in columns]
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
    paths = [picture["path"] for _, picture in rows if picture and picture.get("path")]
    # Pictures by reference are on the disk of whoever saved them.
    if not encoded and paths:
        raise InputError(
            f"{folder}: column {column.name!r} holds paths only, such as {paths[0]}, and not the "
            "pictures: save the data set with datasets' save_to_disk, which embeds them"
        )
    data, left_out = decode(encoded, labels.classes, options)
    return data, skipped + left_out


def _reason_against(picture: Any) -> str:
    """Return why a row is left out; an empty text for one that has a picture."""
    if not picture:
        return "expected a picture, got none"
    if picture.get("bytes"):
        return ""
    path = picture.get("path")
    return f"holds a path only: {path}" if path else "expected a picture, got none"


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
    for holds, tests in {
        "text": (types.is_string, types.is_large_string, types.is_string_view),
        "flag": (types.is_boolean,),
        "number": (types.is_integer,),
    }.items():
        if any(test(arrow_type) for test in tests):
            classes = _class_names(name, feature, location) if holds == "number" else None
            return _Column(name, str(arrow_type), holds, classes)
    return _Column(name, str(arrow_type), "")


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

    # Of pictures that are stored as paths alone the bytes have the type of nothing.
    tests = (types.is_binary, types.is_large_binary, types.is_null)
    return field.name == "bytes" and any(test(field.type) for test in tests)


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
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) for name in names):
        raise InputError(
            f'{folder / "state.json"}: _data_files: expected objects with a "filename", '
            f"got {entries!r}"
        )
    for name in names:
        file = folder / str(name)
        if file.resolve().parent != folder.resolve():
            raise InputError(f"{folder}: state.json names {file}, which lies outside")
        yield file


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
        words = "a list" if expected is list else "an object"
        raise InputError(f"{path}: {key}: expected {words}, got {value!r}")
    return value
