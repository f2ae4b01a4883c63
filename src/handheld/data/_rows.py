"""The rows of a file of texts: quoted CSV, TSV, JSON lines, fastText's; plain or packed by gzip.

Nothing is half read: what is not understood is refused, with its line.
"""

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from handheld.errors import InputError
from handheld.untrusted import read_json, require_file

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json")
FASTTEXT = "__label__"
# What fastText takes to be between words, line ends apart.
_BLANK = re.compile("[ \t\v\f]")

# Bytes of a file, unpacked: some gigabytes of texts are as many as memory takes as Python objects.
MAX_BYTES = 1 << 31

# Byte order marks, which spreadsheets on Windows write.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class TableRow(NamedTuple):
    """One row.

    Attributes:
        line: of the file, from 1, where it begins.
        fields: as they stand there; None for a null.
    """

    line: int
    fields: tuple[str | None, ...]

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands in it."""
        return not any(map(str.strip, filter(None, self.fields)))

    def at(self, column: int) -> str:
        """Return what stands in a column, an empty text where nothing does."""
        if column >= len(self.fields):
            return ""
        return (self.fields[column] or "").strip()

    def folded(self, width: int) -> "TableRow":
        """Return a row of ``width`` fields; the last one has the tabs that divided it."""
        first = self.fields[: width - 1]
        others = self.fields[width - 1 :]
        last = "\t".join(field or "" for field in others)
        return self._replace(fields=(*first, last))


class TextTable(NamedTuple):
    """The rows of a file.

    Attributes:
        rows: all, a header among them.
        names: of the fields, where each row says them itself.
        may_hold_tabs: whether a text may go on behind its last separator.
    """

    rows: list[TableRow]
    names: tuple[str, ...] = ()
    may_hold_tabs: bool = False


def suffix_of(path: Path) -> str:
    """Return a file's suffix in small letters, that of what is packed for a ``.gz``."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return path.with_suffix("").suffix.lower()
    return suffix


def read_rows(path: Path) -> TextTable:
    """Return the rows of a file.

    Raises :class:`InputError` for what cannot be read, with its line.
    """
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: expected a file that ends in {', '.join(SUFFIXES)}, or in these and .gz, "
            f"got {suffix or 'none'}"
        )
    text = text_of(content_of(path), str(path))
    if suffix in (".jsonl", ".ndjson"):
        return _json_table(_json_lines(text, path), path)
    if suffix == ".json":
        return _json_table(_json_list(text, path), path)
    lines = lines_of(text)
    # fastText's own files are called .txt, but people name them otherwise too.
    if _first_line(lines).startswith(FASTTEXT):
        return TextTable(list(_fasttext_rows(lines, path)), names=("label", "text"))
    if suffix == ".txt":
        raise InputError(
            f"{path}: a .txt file is read as fastText's, whose lines begin with {FASTTEXT}; "
            "this one's do not"
        )
    if suffix == ".csv":
        return TextTable(list(_quoted_rows(text, path)))
    # Not by csv: in the sets that are shared as .tsv a quotation mark is a letter like any other.
    fields = (tuple(line.split("\t")) for line in lines)
    return TextTable(list(map(TableRow, count(1), fields)), may_hold_tabs=True)


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
        content = _unpacked(content, path)
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path}: more than {MAX_BYTES:,} bytes of text, expected at most that many"
        )
    return content


def _unpacked(content: bytes, path: Path) -> bytes:
    """Return what gzip packed, one byte more than is taken at most: no bomb fills the memory."""
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            return packed.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked by gzip: {error}") from error


def text_of(content: bytes, location: str) -> str:
    """Return bytes as text: UTF-8, or UTF-16 with its mark.

    Raises :class:`InputError` for anything else.
    """
    encoding = _encoding_of(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{location}, line {line}: cannot be read as {encoding.upper()}: byte {error.start}: "
            f"{error.reason}; save it as UTF-8"
        ) from error
    # UTF-16 without a mark is valid UTF-8 as long as its letters are English.
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{location}, line {line}: cannot be read as text: zero bytes, as in UTF-16 without "
            "a mark; save it as UTF-8"
        )
    return text


def _encoding_of(content: bytes) -> str:
    for mark, name in _MARKS:
        if content.startswith(mark):
            return name
    return "utf-8"


def lines_of(text: str) -> list[str]:
    """Return lines that end in LF, CRLF, or throughout in CR.

    Other separators of Unicode, at which ``str.splitlines`` cuts, belong to texts.
    """
    if "\n" not in text:
        return text.split("\r")
    lines = text.split("\n")
    # Nearly always: a pass over the text is far cheaper than one over its lines.
    if "\r" not in text:
        return lines
    return [line.removesuffix("\r") for line in lines]


def _first_line(lines: Sequence[str]) -> str:
    """Return the first line that is not blank; an empty one where there is none."""
    return next(filter(str.strip, lines), "")


def _quoted_rows(text: str, path: Path) -> Iterator[TableRow]:
    # The limit is one for the process, and only ever raised: a field may be as long as the file.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    # Ends of lines as they are: those within quotation marks belong to their text.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, strict=True, delimiter=_delimiter(text))
    line = 1
    try:
        for fields in reader:
            yield TableRow(line, tuple(fields))
            # Where the next row begins; a quoted field may hold ends of lines.
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line}: cannot be read as a table: {error}: a field that begins with a "
            "quotation mark must end with one before the next separator, and marks inside it are "
            'doubled, ""'
        ) from error


def _delimiter(text: str) -> str:
    """Return what stands between fields.

    It is a comma, or what divides the first line where no comma does: spreadsheets write
    semicolons where commas are decimal points.
    """
    first = _first_line(lines_of(text))
    for delimiter in ",;\t|":
        # By csv, and not by counting: a separator within quotation marks divides nothing.
        fields = next(csv.reader([first], delimiter=delimiter), [])
        if len(fields) > 1:
            return delimiter
    return ","


def _fasttext_rows(lines: Sequence[str], path: Path) -> Iterator[TableRow]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, text = [*_BLANK.split(line.strip(), maxsplit=1), ""][:2]
        if not label.startswith(FASTTEXT):
            raise InputError(
                f"{path}, line {number}: begins with no {FASTTEXT}, as the lines before do"
            )
        # A network with one answer cannot learn two.
        if text.lstrip().startswith(FASTTEXT):
            raise InputError(f"{path}, line {number}: has two labels or more, expected one")
        yield TableRow(number, (label.removeprefix(FASTTEXT), text))


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines_of(text), 1):
        if line.strip():
            try:
                yield number, read_json(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}: no JSON: {error}") from error


def _json_list(text: str, path: Path) -> Iterable[tuple[int, Any]]:
    try:
        entries = read_json(text)
    except ValueError as error:
        raise InputError(f"{path}: no JSON: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a JSON list of objects, got {type(entries).__name__}")
    return enumerate(entries, 1)


def _json_table(entries: Iterable[tuple[int, Any]], path: Path) -> TextTable:
    """Return a table whose columns are all names that occur, in the order of their first use."""
    names: dict[str, None] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, entry in entries:
        if not isinstance(entry, dict):
            raise InputError(
                f'{path}, line {number}: expected an object such as {{"label": ..., "text": ...}}'
            )
        objects.append((number, entry))
        names |= dict.fromkeys(entry)
    # Once more, since a name may occur for the first time in the last object.
    rows = []
    for number, entry in objects:
        values = map(entry.get, names)
        rows.append(TableRow(number, tuple(map(_field, values))))
    return TextTable(rows, names=tuple(names))


def _field(value: Any) -> str | None:
    """Return a value as a field; whole numbers are labels in many sets, nested values none."""
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value
    # As it stands in the file: true, and not Python's True.
    return json.dumps(value)
