"""The rows of a file of texts, whatever its form: quoted CSV, TSV, JSON lines, fastText's; plain or
packed by gzip.

Nothing is half read: what is not understood is refused, with its line.
"""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from handheld.errors import InputError
from handheld.untrusted import read_json, require_file

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")
FASTTEXT = "__label__"
LARGEST = 1 << 31  # bytes of a file, unpacked

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Row(NamedTuple):
    """One row.

    Attributes:
        line: of the file, from 1, where it begins.
        fields: as they stand there; None for a null.
    """

    line: int
    fields: tuple[str | None, ...]


class Table(NamedTuple):
    """The rows of a file.

    Attributes:
        rows: all, a header among them.
        names: of the fields, where each row says them itself.
        may_hold_tabs: whether a text may go on behind its last separator.
    """

    rows: list[Row]
    names: tuple[str, ...] = ()
    may_hold_tabs: bool = False


def suffix_of(path: Path) -> str:
    """Return a file's suffix in small letters, that of what is packed for a ``.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_rows(path: Path) -> Table:
    """Return the rows of a file.

    Raises :class:`InputError` for what cannot be read, with its line.
    """
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: expected a file that ends in {', '.join(SUFFIXES)}, or in these and .gz, got {suffix or 'none'}"
        )
    text = text_of(content_of(path), str(path))
    if suffix in (".jsonl", ".ndjson"):
        return _json_table(_json_lines(text, path), path)
    if suffix == ".json":
        return _json_table(_json_list(text, path), path)
    lines = lines_of(text)
    first = next((line for line in lines if line.strip()), "")
    if first.startswith(FASTTEXT):
        return Table(list(_fasttext_rows(lines, path)), names=("label", "text"))
    if suffix == ".txt":
        raise InputError(
            f"{path}: a .txt file is read as fastText's, whose lines begin with {FASTTEXT}; this one's do not"
        )
    if suffix == ".csv":
        return Table(list(_quoted_rows(text, path)))
    return Table(
        [Row(number, tuple(line.split("\t"))) for number, line in enumerate(lines, 1)],
        may_hold_tabs=True,
    )


def content_of(path: Path) -> bytes:
    """Return a file's bytes, unpacked. Raises :class:`InputError`."""
    try:
        require_file(path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix.lower() == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as packed:
                content = packed.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: cannot be unpacked by gzip: {error}") from error
    if len(content) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST:,} bytes of text, expected at most that many")
    return content


def text_of(content: bytes, where: str) -> str:
    """Return bytes as text: UTF-8, or UTF-16 with its mark.

    Raises :class:`InputError` for anything else.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{where}, line {line}: cannot be read as {encoding.upper()}: byte {error.start}: {error.reason}; save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{where}, line {line}: cannot be read as text: zero bytes, as in UTF-16 without a mark; save it as UTF-8"
        )
    return text


def lines_of(text: str) -> list[str]:
    """Return lines that end in LF, CRLF, or throughout in CR; other separators of Unicode belong to
    texts.
    """
    if "\n" not in text:
        return text.split("\r")
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in lines] if "\r" in text else lines


def _quoted_rows(text: str, path: Path) -> Iterator[Row]:
    # The limit is one for the process, and only ever raised: a field may be as long as the file.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))
    line = 1
    try:
        for fields in reader:
            yield Row(line, tuple(fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line}: cannot be read as a table: {error}: a field that begins with a quotation "
            'mark must end with one before the next separator, and marks inside it are doubled, ""'
        ) from error


def _delimiter(text: str) -> str:
    """Return what stands between fields: a comma, or what divides the first line where no comma
    does.

    Spreadsheets write semicolons where commas are decimal points.
    """
    first = next((line for line in lines_of(text) if line.strip()), "")
    for delimiter in ",;\t|":
        if len(next(csv.reader([first], delimiter=delimiter), [])) > 1:
            return delimiter
    return ","


def _fasttext_rows(lines: Sequence[str], path: Path) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, _, text = line.strip().partition(" ")
        if not label.startswith(FASTTEXT):
            raise InputError(
                f"{path}, line {number}: begins with no {FASTTEXT}, as the lines before do"
            )
        if text.lstrip().startswith(FASTTEXT):
            raise InputError(f"{path}, line {number}: has two labels or more, expected one")
        yield Row(number, (label.removeprefix(FASTTEXT), text))


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines_of(text), 1):
        if line.strip():
            try:
                yield number, read_json(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: no JSON: {error}") from error


def _json_list(text: str, path: Path) -> list[tuple[int, Any]]:
    try:
        entries = read_json(text)
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a JSON list of objects, got {type(entries).__name__}")
    return list(enumerate(entries, 1))


def _json_table(entries: Iterator[tuple[int, Any]] | list[tuple[int, Any]], path: Path) -> Table:
    names: dict[str, int] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, entry in entries:
        if not isinstance(entry, dict):
            raise InputError(
                f'{path}, line {number}: expected an object such as {{"label": ..., "text": ...}}'
            )
        objects.append((number, entry))
        for name in entry:
            names.setdefault(name, len(names))
    rows = [
        Row(number, tuple(_field(entry.get(name)) for name in names)) for number, entry in objects
    ]
    return Table(rows, names=tuple(names))


def _field(value: Any) -> str | None:
    """Return a value as a field; whole numbers are labels in many sets, nested values none."""
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str) else json.dumps(value)
